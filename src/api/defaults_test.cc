#include <gtest/gtest.h>

#include "api/normalize.h"

namespace skiff::api {
namespace {

constexpr Field leaf_fields[] = {
    {.number = 1, .name = "mode", .default_json = "\"A\""},
    {.number = 2,
     .name = "count",
     .type = Type::Int32,
     .presence = Presence::Optional,
     .default_json = "3"},
    {.number = 3,
     .name = "on",
     .type = Type::Bool,
     .presence = Presence::Optional,
     .default_json = "true"},
    {.number = 4, .name = "list", .shape = Shape::List, .default_json = "[\"x\"]"},
    {.number = 5, .name = "port", .type = Type::IntOrString, .default_json = "\"web\""},
    {.number = 6, .name = "odd", .presence = Presence::Optional, .default_json = "\"a\\nb\""},
    {.number = 7, .name = "said", .presence = Presence::Always, .default_json = "\"S\""},
};
constexpr Message leaf{.name = "t.v1.Leaf", .fields = leaf_fields};
constexpr Field root_fields[] = {
    {.number = 1, .name = "plain", .type = Type::Message, .message = &leaf},
    {.number = 2,
     .name = "maybe",
     .type = Type::Message,
     .presence = Presence::Optional,
     .message = &leaf},
    {.number = 3,
     .name = "made",
     .type = Type::Message,
     .presence = Presence::Optional,
     .message = &leaf,
     .default_json = "{}"},
    {.number = 4, .name = "many", .type = Type::Message, .shape = Shape::List, .message = &leaf},
    {.number = 5, .name = "named", .type = Type::Message, .shape = Shape::Map, .message = &leaf},
};
constexpr Message root{.name = "t.v1.Root", .fields = root_fields};
constexpr Kind thing{.group = "t", .version = "v1", .kind = "Thing", .message = &root};

TEST(Defaults, what_is_absent_is_filled_wherever_it_stands) {
    constexpr std::string_view full =
        R"({"mode":"A","count":3,"on":true,"list":["x"],"port":"web","odd":"a\nb","said":"S"})";
    struct Row {
        const char* why;
        const char* given;
        const char* path;
        std::string_view wanted;
    };
    const Row rows[] = {
        {"an empty message", R"({"plain":{}})", "plain", full},
        {"an optional one that is there", R"({"maybe":{}})", "maybe", full},
        {"an optional one whose default is to be", "{}", "made", full},
        {"a zero of a pointer is said",
         R"({"plain":{"count":0,"on":false,"odd":"","list":["y"],"mode":"B"}})", "plain",
         R"({"count":0,"on":false,"odd":"","list":["y"],"mode":"B","port":"web","said":"S"})"},
        {"a zero of a plain or always-field is not", R"({"plain":{"mode":"","said":"","list":[]}})",
         "plain",
         R"({"mode":"A","said":"S","list":["x"],"count":3,"on":true,"port":"web","odd":"a\nb"})"},
    };
    for (const Row& row : rows) {
        auto document = codec::parse_json(row.given);
        ASSERT_TRUE(document);
        apply_defaults(thing, document->root, document->arena);
        const auto* found = document->root.find(row.path);
        ASSERT_NE(found, nullptr) << row.why;
        EXPECT_EQ(codec::to_json(*found), row.wanted) << row.why;
    }
    auto document = codec::parse_json(R"({"many":[{},{"mode":"B"}],"named":{"k":{}}})");
    apply_defaults(thing, document->root, document->arena);
    EXPECT_EQ(codec::to_json(document->root.find("many")->items()[0]), full);
    EXPECT_EQ(document->root.find("many")->items()[1].text_at({"mode"}), "B");
    EXPECT_EQ(codec::to_json(*document->root.at_path({"named", "k"})), full);
    EXPECT_EQ(document->root.find("maybe"), nullptr);
}

// Every default of the schema is JSON that fits its field, so that filling it in cannot fail.
TEST(Defaults, those_of_the_schema_normalise) {
    for (const Kind* kind : builtin_kinds()) {
        for (const Field* field : kind->message->all) {
            if (!field->message || field->shape != Shape::Single) continue;
            Arena arena;
            Json object = Json::object();
            object.set(arena, field->name, Json::object());
            NormalizeReport report;
            ASSERT_TRUE(normalize(*kind->message, object, arena, report));
            apply_defaults(*kind, object, arena);
            const auto done = normalize(*kind->message, object, arena, report);
            EXPECT_TRUE(done) << kind->kind << "." << field->name << ": " << done.error().message;
            const Json once = object.deep_copy(arena);
            apply_defaults(*kind, object, arena);
            EXPECT_TRUE(once == object) << kind->kind << ": defaulting twice changes nothing";
        }
    }
}

}   // namespace
}   // namespace skiff::api
