#include "codec/jsonpath.h"

#include <gtest/gtest.h>

namespace skiff::codec {
namespace {

TEST(CodecJsonPath, paths_find_what_they_name) {
    const auto document = parse_json(R"({
        "metadata":{"labels":{"app":"web","a.b/c":"x"},"n":5},
        "spec":{"containers":[{"image":"i1"},{"image":"i2"},{}],"map":{"k":1,"l":2}},
        "status":{"conditions":[{"type":"Ready","status":"True"},{"type":"Other","status":"False"},
                                {"status":"?"}]}})");
    ASSERT_TRUE(document);
    const struct {
        const char* path;
        const char* found;   // joined by |
    } rows[] = {
        {"metadata.labels.app", "web"},
        {".metadata.labels.app", "web"},
        {"{.metadata.n}", "5"},
        {"$.metadata.n", "5"},
        {"metadata.labels['a.b/c']", "x"},
        {"metadata.labels[\"a.b/c\"]", "x"},
        {"metadata.labels.a\\.b/c", "x"},
        {"metadata.nope.app", ""},
        {"spec.containers[*].image", "i1|i2"},
        {"spec.containers[0].image", "i1"},
        {"spec.containers[-2].image", "i2"},
        {"spec.containers[7].image", ""},
        {"spec.map.*", "1|2"},
        {"spec.containers[1]", R"({"image":"i2"})"},
        {R"(.status.conditions[?(@.type=="Ready")].status)", "True"},
        {R"(.status.conditions[?(@.type == 'Other')].status)", "False"},
        {R"(.status.conditions[?(@.type!="Ready")].status)", "False"},
        {".status.conditions.type", ""},
    };
    for (const auto& row : rows) {
        const auto path = JsonPath::parse(row.path);
        ASSERT_TRUE(path) << row.path << ": " << path.error().message;
        std::string found;
        for (const Json* value : path->find(document->root))
            found += (found.empty() ? "" : "|") + plain_text(*value);
        EXPECT_EQ(found, row.found) << row.path;
    }
}

TEST(CodecJsonPath, wrong_paths_say_what_is_wrong) {
    for (const char* text : {"a..b", "a[", "a[x]", "a['b", "a[?(@.b)]", "a[?(@.b==1", "a[0]b"}) {
        const auto path = JsonPath::parse(text);
        ASSERT_FALSE(path) << text;
        EXPECT_TRUE(path.error().message.starts_with(std::string{"path '"} + text + "': "));
    }
}

}   // namespace
}   // namespace skiff::codec
