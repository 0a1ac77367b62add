#include <gtest/gtest.h>

#include "api/normalize.h"

namespace skiff::api {
namespace {

const Kind& events_v1() { return *builtin_kind("events.k8s.io", "v1", "Event"); }

constexpr std::string_view served_event = R"({
    "metadata":{"name":"e"},"eventTime":"2026-01-02T03:04:05.000006Z",
    "reportingController":"c","reportingInstance":"i","action":"a","reason":"R",
    "regarding":{"kind":"Pod","name":"p"},"note":"what happened","type":"Normal",
    "deprecatedSource":{"component":"k","host":"n"},
    "deprecatedFirstTimestamp":"2026-01-02T03:04:05Z",
    "deprecatedLastTimestamp":"2026-01-02T03:04:06Z","deprecatedCount":3})";

codec::Document parsed(std::string_view json) {
    auto document = codec::parse_json(json);
    EXPECT_TRUE(document) << json;
    return std::move(*document);
}

TEST(Convert, an_event_becomes_the_core_one) {
    auto event = parsed(served_event);
    ASSERT_TRUE(to_stored(events_v1(), event.root, nullptr, event.arena));
    EXPECT_EQ(codec::to_json(event.root).substr(0, 36), R"({"kind":"Event","apiVersion":"v1","m)");
    EXPECT_EQ(event.root.text_at({"involvedObject", "name"}), "p");
    EXPECT_EQ(event.root.text_at({"message"}), "what happened");
    EXPECT_EQ(event.root.text_at({"source", "host"}), "n");
    EXPECT_EQ(event.root.text_at({"firstTimestamp"}), "2026-01-02T03:04:05Z");
    EXPECT_EQ(event.root.find("count")->as_int(), 3);
    EXPECT_EQ(event.root.text_at({"reportingComponent"}), "c");
    EXPECT_EQ(event.root.find("note"), nullptr);
    EXPECT_EQ(event.root.find("deprecatedCount"), nullptr);
}

TEST(Convert, there_and_back_is_the_same) {
    auto event = parsed(served_event);
    NormalizeReport report;
    ASSERT_TRUE(normalize(*events_v1().message, event.root, event.arena, report));
    const Json before = event.root.deep_copy(event.arena);
    ASSERT_TRUE(to_stored(events_v1(), event.root, nullptr, event.arena));
    ASSERT_TRUE(from_stored(events_v1(), event.root, event.arena));
    EXPECT_EQ(event.root.text_at({"apiVersion"}), "events.k8s.io/v1");
    event.root.remove("apiVersion");
    event.root.remove("kind");
    EXPECT_TRUE(before == event.root) << codec::to_json(event.root);
}

TEST(Convert, every_served_version_comes_back_the_same) {
    for (const Kind* kind : builtin_kinds()) {
        auto object = parsed(R"({"metadata":{"name":"x","labels":{"a":"b"}}})");
        NormalizeReport report;
        ASSERT_TRUE(normalize(*kind->message, object.root, object.arena, report)) << kind->kind;
        ASSERT_TRUE(from_stored(*kind, object.root, object.arena));
        const Json before = object.root.deep_copy(object.arena);
        ASSERT_TRUE(to_stored(*kind, object.root, nullptr, object.arena)) << kind->kind;
        EXPECT_EQ(object.root.text_at({"apiVersion"}), stored_kind(*kind).api_version());
        ASSERT_TRUE(from_stored(*kind, object.root, object.arena)) << kind->kind;
        for (const auto& [key, value] : before.members())   // defaults may have come
            EXPECT_NE(object.root.find(key), nullptr) << kind->kind << " " << key;
    }
}

// A version made for this test: it cannot say `b`, nor `deep.z`; it calls `c` `a` and `a` `c`.
constexpr Field inner_stored[] = {{.number = 1, .name = "y"}, {.number = 2, .name = "z"}};
constexpr Message inner_stored_message{.name = "t.v2.Inner", .fields = inner_stored};
constexpr Field inner_served[] = {{.number = 1, .name = "y"}};
constexpr Message inner_served_message{.name = "t.v1.Inner", .fields = inner_served};
constexpr std::string_view item_keys[] = {"y"};
constexpr Field stored_fields[] = {
    {.number = 1, .name = "a"},
    {.number = 2, .name = "b"},
    {.number = 3, .name = "c"},
    {.number = 4,
     .name = "deep",
     .type = Type::Message,
     .presence = Presence::Optional,
     .message = &inner_stored_message},
    {.number = 5,
     .name = "items",
     .type = Type::Message,
     .shape = Shape::List,
     .message = &inner_stored_message,
     .list_type = ListType::Map,
     .map_keys = item_keys},
    {.number = 6, .name = "d", .default_json = "\"stored\""},
    {.number = 0, .name = "kind"},
    {.number = 0, .name = "apiVersion"},
};
constexpr Message stored_message{.name = "t.v2.Thing", .fields = stored_fields};
constexpr Field served_fields[] = {
    {.number = 1, .name = "a"},
    {.number = 2, .name = "c"},
    {.number = 3,
     .name = "deep",
     .type = Type::Message,
     .presence = Presence::Optional,
     .message = &inner_served_message},
    {.number = 4,
     .name = "items",
     .type = Type::Message,
     .shape = Shape::List,
     .message = &inner_served_message,
     .list_type = ListType::Map,
     .map_keys = item_keys},
    {.number = 5, .name = "d"},
    {.number = 0, .name = "kind"},
    {.number = 0, .name = "apiVersion"},
};
constexpr Message served_message{.name = "t.v1.Thing", .fields = served_fields};
constexpr Difference differences[] = {{Difference::Kind::Rename, "a", "c", ""},
                                      {Difference::Kind::Rename, "c", "a", ""},
                                      {Difference::Kind::Default, "d", "d", "\"served\""}};
const Kind stored_thing{.group = "t", .version = "v2", .kind = "Thing", .message = &stored_message};
const Kind served_thing{.group = "t",
                        .version = "v1",
                        .kind = "Thing",
                        .message = &served_message,
                        .stored = &stored_thing,
                        .differences = differences};

TEST(Convert, a_put_keeps_what_the_version_cannot_say) {
    const auto existing = parsed(R"({"kind":"Thing","apiVersion":"t/v2","a":"A","b":"B","c":"C",
        "deep":{"y":"1","z":"2"},"items":[{"y":"i","z":"I"},{"y":"j","z":"J"}],"d":"D"})");
    auto object = parsed(R"({"a":"now c","deep":{"y":"9"},"items":[{"y":"j"},{"y":"k"}],"d":"E"})");
    ASSERT_TRUE(to_stored(served_thing, object.root, &existing.root, object.arena));
    EXPECT_TRUE(object.root == parsed(R"({"kind":"Thing","apiVersion":"t/v2","b":"B","c":"now c",
        "deep":{"y":"9","z":"2"},"items":[{"y":"j","z":"J"},{"y":"k"}],"d":"E"})")
                                   .root)
        << codec::to_json(object.root) << ": what it can say and did not is gone, the rest kept";
}

TEST(Convert, versions_have_defaults_of_their_own) {
    auto object = parsed("{}");
    apply_defaults(served_thing, object.root, object.arena);
    EXPECT_EQ(object.root.text_at({"d"}), "served");
    auto stored = parsed("{}");
    apply_defaults(stored_thing, stored.root, stored.arena);
    EXPECT_EQ(stored.root.text_at({"d"}), "stored");
}

}   // namespace
}   // namespace skiff::api
