#include "api/table.h"

#include <gtest/gtest.h>

#include "api/printers.h"

namespace skiff::api {
namespace {

using codec::Arena;
using codec::Json;

constexpr Field spec_fields[] = {{.number = 1, .name = "replicas", .type = Type::Int32}};
constexpr Message spec{.name = "test.v1.Spec", .fields = spec_fields};
constexpr Field set_fields[] = {
    {.number = 1, .name = "spec", .type = Type::Message, .message = &spec}};
constexpr Message set{.name = "test.v1.Set", .fields = set_fields};

WallTime at(std::string_view text) { return *parse_rfc3339(text); }
const WallTime now = at("2026-01-01T01:00:00Z");

std::string cells(std::span<const Column> columns, std::string_view object) {
    Arena arena;
    const Kind kind{.version = "v1", .kind = "Set", .message = &set, .columns = columns};
    const auto document = codec::parse_json(object);
    const Json table = make_table(kind, std::span{&document->root, 1}, IncludeObject::None,
                                  "meta.k8s.io/v1", "", now, arena);
    return codec::to_json(*table.find("rows")->items()[0].find("cells"));
}

TEST(ApiTable, ages_look_as_in_kubectl) {
    const struct {
        Duration duration;
        const char* text;
    } rows[] = {
        {-5s, "<invalid>"},  {-1s, "0s"},       {0s, "0s"},          {1999ms, "1s"},
        {119s, "119s"},      {120s, "2m"},      {599s, "9m59s"},     {600s, "10m"},
        {10799s, "179m"},    {3h, "3h"},        {3h + 5min, "3h5m"}, {8h + 1min, "8h"},
        {47h, "47h"},        {48h, "2d"},       {51h, "2d3h"},       {24h * 8, "8d"},
        {24h * 729, "729d"}, {24h * 730, "2y"}, {24h * 731, "2y1d"}, {24h * 365 * 9, "9y"},
    };
    for (const auto& row : rows) EXPECT_EQ(human_duration(row.duration), row.text);
}

TEST(ApiTable, templates_print_paths) {
    constexpr auto object = R"({"metadata":{"name":"x","creationTimestamp":"2026-01-01T00:57:00Z"},
        "spec":{"replicas":3,"images":["a","b"],"on":true,"ratio":1.5},"status":{"phase":"Up"}})";
    const struct {
        const char* why;
        Column column;
        const char* cells;
    } rows[] = {
        {"text", {.name = "A", .type = "string", .cell = "{status.phase}"}, R"(["x","Up"])"},
        {"a number", {.name = "A", .type = "integer", .cell = "{spec.replicas}"}, R"(["x",3])"},
        {"a number as text",
         {.name = "A", .type = "string", .cell = "{spec.replicas}"},
         R"(["x","3"])"},
        {"a boolean", {.name = "A", .type = "boolean", .cell = "{spec.on}"}, R"(["x",true])"},
        {"several values",
         {.name = "A", .type = "string", .cell = "{spec.images[*]}"},
         R"(["x","a,b"])"},
        {"missing text", {.name = "A", .type = "string", .cell = "{status.nope}"}, R"(["x",""])"},
        {"missing with a word for it",
         {.name = "A", .type = "string", .cell = "{status.nope|<none>}"},
         R"(["x","<none>"])"},
        {"mixed",
         {.name = "A", .type = "string", .cell = "{status.ready|0}/{spec.replicas}!"},
         R"(["x","0/3!"])"},
        {"an age",
         {.name = "Age", .type = "date", .cell = "{metadata.creationTimestamp}"},
         R"(["x","3m"])"},
        {"no instant",
         {.name = "Age", .type = "date", .cell = "{status.at}"},
         R"(["x","<unknown>"])"},
        {"the instant",
         {.name = "Created At", .type = "date", .cell = "{metadata.creationTimestamp}"},
         R"(["x","2026-01-01T00:57:00Z"])"},
        {"a name where the kind wants it",
         {.name = "Name", .type = "string", .cell = "{metadata.name}"},
         R"(["x"])"},
        {"no such printer", {.name = "A", .type = "string", .cell = "@nope"}, R"(["x",""])"},
    };
    for (const auto& row : rows) EXPECT_EQ(cells({&row.column, 1}, object), row.cells) << row.why;
    const Column replicas{.name = "A", .type = "integer", .cell = "{spec.replicas}"};
    EXPECT_EQ(cells({&replicas, 1}, R"({"metadata":{"name":"x"}})"), R"(["x",0])");
    EXPECT_EQ(cells({}, R"({"metadata":{"name":"x","creationTimestamp":"2026-01-01T00:59:59Z"}})"),
              R"(["x","1s"])");
}

TEST(ApiTable, a_table_has_what_clients_read) {
    Arena arena;
    const Column column{
        .name = "Phase", .type = "string", .doc = "Where.", .priority = 1, .cell = "{p}"};
    const Kind kind{.version = "v1", .kind = "Set", .columns = {&column, 1}};
    const auto document = codec::parse_json(
        R"({"kind":"Set","metadata":{"name":"x","resourceVersion":"7"},"p":"Up"})");
    const std::span objects{&document->root, 1};
    EXPECT_EQ(
        codec::to_json(
            make_table(kind, objects, IncludeObject::Metadata, "meta.k8s.io/v1", "12", now, arena)),
        R"({"kind":"Table","apiVersion":"meta.k8s.io/v1","metadata":{"resourceVersion":"12"},)"
        R"("columnDefinitions":[{"name":"Name","type":"string","format":"name",)"
        R"("description":"What the object is called.","priority":0},{"name":"Phase",)"
        R"("type":"string","format":"","description":"Where.","priority":1}],"rows":[{)"
        R"("cells":["x","Up"],"object":{"kind":"PartialObjectMetadata",)"
        R"("apiVersion":"meta.k8s.io/v1","metadata":{"name":"x","resourceVersion":"7"}}}]})");
    EXPECT_EQ(codec::to_json(
                  make_table(kind, {}, IncludeObject::None, "meta.k8s.io/v1beta1", "", now, arena)
                      .at_path({"rows"})[0]),
              "[]");
    const Json row = make_table_row(kind, document->root, IncludeObject::Object, now, arena);
    EXPECT_EQ(codec::to_json(row),
              R"({"kind":"Table","apiVersion":"meta.k8s.io/v1","metadata":{"resourceVersion":"7"},)"
              R"("columnDefinitions":null,"rows":[{"cells":["x","Up"],"object":{"kind":"Set",)"
              R"("metadata":{"name":"x","resourceVersion":"7"},"p":"Up"}}]})");
}

TEST(ApiTable, printers_have_words_for_nothing) {
    EXPECT_EQ(text_or_none("").text(), "<none>");
    EXPECT_EQ(text_or_none("a").text(), "a");
    EXPECT_EQ(age_of("2026-01-01T00:00:00Z", now), "60m");
    EXPECT_EQ(age_of("", now), "<unknown>");
    EXPECT_EQ(printer_of("nope"), nullptr);
}

}   // namespace
}   // namespace skiff::api
