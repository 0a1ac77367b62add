#include "api/normalize.h"

#include <gtest/gtest.h>

#include "base/text.h"
#include "codec/protobuf.h"

namespace skiff::api {
namespace {

struct Outcome {
    std::string text;   // or the error
    std::vector<std::string> unknown;
};

Outcome normalized(std::string_view message, std::string_view json) {
    auto document = codec::parse_json(json);
    EXPECT_TRUE(document) << json;
    NormalizeReport report;
    const auto done = normalize(*builtin_message(message), document->root, document->arena, report);
    return {done ? codec::to_json(document->root) : done.error().message, report.unknown_fields};
}

TEST(Normalize, canonical_form) {
    struct Row {
        const char* why;
        const char* message;
        const char* given;
        const char* wanted;
    };
    const Row rows[] = {
        {"nulls and empty plain fields go", "core.v1.ConfigMap",
         R"({"metadata":{"name":"a","labels":null,"annotations":{}},"data":{"k":null}})",
         R"({"metadata":{"name":"a"},"data":{"k":""}})"},
        {"an optional zero stays", "core.v1.ConfigMap", R"({"metadata":{},"immutable":false})",
         R"({"metadata":{},"immutable":false})"},
        {"plain messages and always-fields come", "core.v1.Namespace", R"({})",
         R"({"metadata":{},"spec":{},"status":{}})"},
        {"always-scalars come as zero", "core.v1.Container", R"({"image":"i"})",
         R"({"image":"i","name":"","resources":{}})"},
        {"quantities are canonical, numbers too", "core.v1.ResourceRequirements",
         R"({"limits":{"cpu":0.5,"memory":"1024Ki"}})",
         R"({"limits":{"cpu":"500m","memory":"1Mi"}})"},
        {"times are in UTC and whole seconds", "meta.v1.ObjectMeta",
         R"({"creationTimestamp":"2026-01-02T03:04:05.6+01:00"})",
         R"({"creationTimestamp":"2026-01-02T02:04:05Z"})"},
        {"micro times have six digits", "core.v1.EventSeries",
         R"({"count":1,"lastObservedTime":"2026-01-02T03:04:05Z"})",
         R"({"count":1,"lastObservedTime":"2026-01-02T03:04:05.000000Z"})"},
        {"a null element is a zero one", "core.v1.Container",
         R"({"name":"a","args":["x",null],"env":[null]})",
         R"({"name":"a","args":["x",""],"env":[{"name":""}],"resources":{}})"},
        {"int or string, as it is", "core.v1.HTTPGetAction", R"({"port":"http"})",
         R"({"port":"http"})"},
        {"fields of inline messages stand in their parent", "core.v1.Volume",
         R"({"name":"v","emptyDir":{"medium":""},"none":1})", R"({"name":"v","emptyDir":{}})"},
    };
    for (const Row& row : rows)
        EXPECT_EQ(normalized(row.message, row.given).text, row.wanted) << row.why;
}

TEST(Normalize, unknown_fields_are_dropped_and_told) {
    const auto outcome =
        normalized("core.v1.Pod", R"({"metadata":{"nam":"a"},"spec":{"containers":[{"name":"a"},
        {"name":"b","imagee":"x","env":[{"name":"e","vale":1}]}],"nope":{}}})");
    const std::vector<std::string> wanted{"metadata.nam", "spec.containers[1].imagee",
                                          "spec.containers[1].env[0].vale", "spec.nope"};
    EXPECT_EQ(outcome.unknown, wanted);
    EXPECT_EQ(outcome.text.find("imagee"), std::string::npos);
}

TEST(Normalize, wrong_types_in_the_words_of_go) {
    const std::pair<std::string_view, std::string_view> rows[] = {
        {R"({"spec":{"containers":"x"}})",
         "json: cannot unmarshal string into Go struct field PodSpec.spec.containers of type "
         "[]v1.Container"},
        {R"({"spec":{"containers":["x"]}})",
         "json: cannot unmarshal string into Go struct field PodSpec.spec.containers of type "
         "v1.Container"},
        {R"({"spec":{"containers":[{"env":[{"name":"a","value":7}]}]}})",
         "json: cannot unmarshal number into Go struct field EnvVar.spec.containers.env.value of "
         "type string"},
        {R"({"spec":"x"})",
         "json: cannot unmarshal string into Go struct field Pod.spec of type v1.PodSpec"},
        {R"({"metadata":{"labels":{"a":1}}})",
         "json: cannot unmarshal number into Go struct field ObjectMeta.metadata.labels of type "
         "string"},
        {R"({"metadata":{"labels":[]}})",
         "json: cannot unmarshal array into Go struct field "
         "ObjectMeta.metadata.labels of type map[string]string"},
        {R"({"spec":{"priority":1.5}})",
         "json: cannot unmarshal number 1.5 into Go struct field PodSpec.spec.priority of type "
         "int32"},
        {R"({"spec":{"priority":3000000000}})",
         "json: cannot unmarshal number 3000000000 into Go struct field PodSpec.spec.priority of "
         "type int32"},
        {R"({"spec":{"hostNetwork":"true"}})",
         "json: cannot unmarshal string into Go struct field PodSpec.spec.hostNetwork of type "
         "bool"},
        {R"({"metadata":{"creationTimestamp":7}})",
         "json: cannot unmarshal number into Go value of type string"},
        {R"({"metadata":{"creationTimestamp":"x"}})",
         R"(parsing time "x" as "2006-01-02T15:04:05Z07:00": cannot parse "x" as "2006")"},
        {R"({"spec":{"overhead":{"cpu":"x"}}})",
         "quantities must match the regular expression "
         "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"},
        {R"([])", "json: cannot unmarshal array into Go value of type v1.Pod"},
    };
    for (const auto& [json, wanted] : rows) EXPECT_EQ(normalized("core.v1.Pod", json).text, wanted);
    EXPECT_EQ(normalized("core.v1.Secret", R"({"data":{"a":"x$"}})").text,
              "illegal base64 data at input byte 1");
}

TEST(Normalize, it_is_idempotent) {
    const auto once = normalized("core.v1.Node", "{}").text;
    EXPECT_EQ(normalized("core.v1.Node", once).text, once);
}

std::string decoded(std::string_view message,
                    const std::function<void(codec::ProtoWriter&)>& content) {
    std::string bytes;
    codec::ProtoWriter writer{bytes};
    content(writer);
    Arena arena;
    const auto tree = decode_protobuf(*builtin_message(message), bytes, arena);
    return tree ? codec::to_json(*tree) : tree.error().message;
}

TEST(Protobuf, what_a_client_may_send) {
    EXPECT_EQ(decoded("core.v1.ConfigMap",
                      [](auto& writer) {
                          writer.message(1, [&] { writer.text(1, "a"); });
                          writer.message(1, [&] { writer.text(3, "n"); });
                          writer.text(99, "unknown");
                          writer.message(2, [&] { writer.text(1, "k"); });
                      }),
              R"({"metadata":{"name":"a","namespace":"n"},"data":{"k":""}})")
        << "parts are merged, unknown fields passed over, absent map values empty";
    EXPECT_EQ(decoded("meta.v1.ObjectMeta", [](auto& writer) { writer.message(8, [] {}); }), "{}")
        << "an empty time is none";
}

TEST(Protobuf, what_is_wrong_is_an_error) {
    EXPECT_EQ(decoded("meta.v1.ObjectMeta", [](auto& writer) { writer.text(1, "\xff"); }),
              "name: the text is not valid UTF-8");
    EXPECT_EQ(decoded("meta.v1.ObjectMeta",
                      [](auto& writer) {
                          writer.message(8, [&] { writer.int64(1, int64_t{1} << 60); });
                      }),
              "creationTimestamp: a time out of range");
    EXPECT_NE(decoded("meta.v1.ObjectMeta", [](auto& writer) { writer.uint64(1, 7); }).find("wire"),
              std::string::npos);
}

}   // namespace
}   // namespace skiff::api
