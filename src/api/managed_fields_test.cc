#include "api/managed_fields.h"

#include <gtest/gtest.h>

#include "api/field_set.h"
#include "base/text.h"

namespace skiff::api {
namespace {

using codec::Json;

// A little of a deployment with all ways to own something.
constexpr std::string_view port_keys[] = {"containerPort", "protocol"};
constexpr std::string_view name_key[] = {"name"};
constexpr Field port_fields[] = {
    {.number = 1, .name = "containerPort", .type = Type::Int32},
    {.number = 2, .name = "protocol", .default_json = "\"TCP\""},
    {.number = 3, .name = "name"},
};
constexpr Message port{.name = "Port", .fields = port_fields};
constexpr Field container_fields[] = {
    {.number = 1, .name = "name"},
    {.number = 2, .name = "image"},
    {.number = 3, .name = "args", .shape = Shape::List},
    {.number = 4,
     .name = "ports",
     .type = Type::Message,
     .shape = Shape::List,
     .message = &port,
     .list_type = ListType::Map,
     .map_keys = port_keys},
};
constexpr Message container{.name = "Container", .fields = container_fields};
constexpr Field selector_fields[] = {{.number = 1, .name = "matchLabels", .shape = Shape::Map}};
constexpr Message selector{.name = "Selector", .fields = selector_fields};
constexpr Field spec_fields[] = {
    {.number = 1, .name = "replicas", .type = Type::Int32, .presence = Presence::Optional},
    {.number = 2,
     .name = "containers",
     .type = Type::Message,
     .shape = Shape::List,
     .presence = Presence::Always,
     .message = &container,
     .list_type = ListType::Map,
     .map_keys = name_key},
    {.number = 3,
     .name = "selector",
     .type = Type::Message,
     .presence = Presence::Optional,
     .message = &selector,
     .map_type = MapType::Atomic},
    {.number = 4,
     .name = "extra",
     .type = Type::Message,
     .presence = Presence::Optional,
     .message = &selector},
};
constexpr Message spec{.name = "Spec", .fields = spec_fields};
constexpr Field metadata_fields[] = {
    {.number = 1, .name = "name"},
    {.number = 2, .name = "labels", .shape = Shape::Map},
    {.number = 3, .name = "finalizers", .shape = Shape::List, .list_type = ListType::Set},
    {.number = 4, .name = "uid"},
    {.number = 5, .name = "annotations", .shape = Shape::Map},
    {.number = 6, .name = "creationTimestamp"},
    {.number = 7, .name = "managedFields", .type = Type::Any, .shape = Shape::List},
};
constexpr Message metadata{.name = "Meta", .fields = metadata_fields};
constexpr Field status_fields[] = {
    {.number = 1, .name = "replicas", .type = Type::Int32, .presence = Presence::Always},
    {.number = 2, .name = "phase"},
};
constexpr Message status{.name = "Status", .fields = status_fields};
constexpr Field set_fields[] = {
    {.name = "kind"},
    {.name = "apiVersion"},
    {.number = 1, .name = "metadata", .type = Type::Message, .message = &metadata},
    {.number = 2, .name = "spec", .type = Type::Message, .message = &spec},
    {.number = 3, .name = "status", .type = Type::Message, .message = &status},
};
constexpr Message set{.name = "test.v1.Set", .fields = set_fields};
const Kind kind{.group = "apps", .version = "v1", .kind = "Set", .message = &set};

WallTime at(int minute) { return *parse_rfc3339(concat("2026-01-01T00:", minute + 10, ":00Z")); }

// "manager/operation/subresource minute fields" a line.
std::string shown_managers(const Json& object) {
    std::string text;
    const Json* list = object.at_path({"metadata", "managedFields"});
    for (const Json& entry : list ? list->items() : std::span<const Json>{}) {
        const auto subresource = entry.text_at({"subresource"});
        append(text, entry.text_at({"manager"}), "/", entry.text_at({"operation"}),
               subresource.empty() ? "" : "/", subresource, " ",
               entry.text_at({"time"}).substr(15, 1), " ", codec::to_json(*entry.find("fieldsV1")),
               "\n");
    }
    return text;
}

struct World {
    codec::Document document{.arena = {}, .root = Json{}};

    std::string update(std::string_view manager, int minute, std::string_view object,
                       std::string_view subresource = "") {
        const Json before = document.root.deep_copy(document.arena);
        document.root = *codec::parse_json_into(document.arena, object);
        record_update(kind, before.is_null() ? nullptr : &before, document.root,
                      {.manager = manager, .subresource = subresource, .now = at(minute)},
                      document.arena);
        return shown_managers(document.root);
    }
    std::string apply(std::string_view manager, int minute, std::string_view object,
                      Force force = Force::No) {
        const auto config = codec::parse_json(object);
        const auto done =
            apply_server_side(kind, document.root, config->root,
                              {.manager = manager, .now = at(minute)}, force, document.arena);
        return done ? shown_managers(document.root) : "error: " + done.error().message;
    }
    std::string object() const {
        codec::Arena arena;
        Json copy = document.root.deep_copy(arena);
        if (Json* meta = copy.find("metadata")) meta->remove("managedFields");
        return codec::to_json(copy);
    }
};

TEST(ApiManagedFields, a_create_is_owned_as_upstream_writes_it) {
    World world;
    EXPECT_EQ(world.update("kubectl-create", 0, R"({"apiVersion":"apps/v1","kind":"Set",
        "metadata":{"name":"x","uid":"u","labels":{"b":"2","a":"1"},"finalizers":["f"]},
        "spec":{"selector":{"matchLabels":{"a":"1"}},"replicas":2,"extra":{"matchLabels":{"k":"v"}},
          "containers":[{"name":"c","image":"i","args":["1"],"ports":[{"containerPort":80},
            {"containerPort":53,"protocol":"UDP"}]}]},"status":{"replicas":0}})"),
              R"(kubectl-create/Update 0 {"f:metadata":{"f:finalizers":{".":{},"v:\"f\"":{}},)"
              R"("f:labels":{".":{},"f:a":{},"f:b":{}}},"f:spec":{"f:containers":{)"
              R"("k:{\"name\":\"c\"}":{".":{},"f:args":{},"f:image":{},"f:name":{},"f:ports":{)"
              R"(".":{},"k:{\"containerPort\":53,\"protocol\":\"UDP\"}":{".":{},)"
              R"("f:containerPort":{},"f:protocol":{}},"k:{\"containerPort\":80,)"
              R"(\"protocol\":\"TCP\"}":{".":{},"f:containerPort":{}}}}},"f:extra":{".":{},)"
              R"("f:matchLabels":{".":{},"f:k":{}}},"f:replicas":{},"f:selector":{}}})"
              "\n");
    const Json* entry = &world.document.root.at_path({"metadata", "managedFields"})->items()[0];
    EXPECT_EQ(entry->text_at({"apiVersion"}), "apps/v1");
    EXPECT_EQ(entry->text_at({"fieldsType"}), "FieldsV1");
    EXPECT_EQ(entry->text_at({"time"}), "2026-01-01T00:10:00Z");
}

TEST(ApiManagedFields, who_changes_a_field_owns_it) {
    World world;
    world.update("a", 0, R"({"metadata":{"labels":{"x":"1","y":"1"}},"spec":{"replicas":1}})");
    EXPECT_EQ(
        world.update("b", 1, R"({"metadata":{"labels":{"x":"2","y":"1"}},"spec":{"replicas":1}})"),
        R"(a/Update 0 {"f:metadata":{"f:labels":{".":{},"f:y":{}}},)"
        R"("f:spec":{"f:replicas":{}}})"
        "\n"
        R"(b/Update 1 {"f:metadata":{"f:labels":{"f:x":{}}}})"
        "\n");
    // Nothing changed: nobody's time does.
    EXPECT_EQ(
        world.update("b", 2, R"({"metadata":{"labels":{"x":"2","y":"1"}},"spec":{"replicas":1}})"),
        R"(a/Update 0 {"f:metadata":{"f:labels":{".":{},"f:y":{}}},)"
        R"("f:spec":{"f:replicas":{}}})"
        "\n"
        R"(b/Update 1 {"f:metadata":{"f:labels":{"f:x":{}}}})"
        "\n");
    // What is gone is nobody's; an entry with nothing left goes.
    EXPECT_EQ(world.update("c", 3, R"({"metadata":{"labels":{"y":"1"}},"spec":{"replicas":3}})"),
              R"(a/Update 0 {"f:metadata":{"f:labels":{".":{},"f:y":{}}}})"
              "\n"
              R"(c/Update 3 {"f:spec":{"f:replicas":{}}})"
              "\n");
    EXPECT_EQ(world.update("status", 4,
                           R"({"metadata":{"labels":{"y":"1"}},"spec":{"replicas":3},
                               "status":{"phase":"Up"}})",
                           "status"),
              R"(a/Update 0 {"f:metadata":{"f:labels":{".":{},"f:y":{}}}})"
              "\n"
              R"(c/Update 3 {"f:spec":{"f:replicas":{}}})"
              "\n"
              R"(status/Update/status 4 {"f:status":{".":{},"f:phase":{}}})"
              "\n");
}

TEST(ApiManagedFields, list_elements_are_owned_by_their_keys) {
    World world;
    world.update("a", 0, R"({"metadata":{"finalizers":["f","g"]},"spec":{"containers":[
        {"name":"x","image":"1"},{"name":"y","image":"1"}]}})");
    EXPECT_EQ(world.update("b", 1, R"({"metadata":{"finalizers":["h","g"]},"spec":{"containers":[
        {"name":"z","image":"1"},{"name":"x","image":"2"}]}})"),
              R"(a/Update 0 {"f:metadata":{"f:finalizers":{".":{},"v:\"g\"":{}}},"f:spec":{)"
              R"("f:containers":{"k:{\"name\":\"x\"}":{".":{},"f:name":{}}}}})"
              "\n"
              R"(b/Update 1 {"f:metadata":{"f:finalizers":{"v:\"h\"":{}}},"f:spec":{)"
              R"("f:containers":{"k:{\"name\":\"x\"}":{"f:image":{}},"k:{\"name\":\"z\"}":{".":{},)"
              R"("f:image":{},"f:name":{}}}}})"
              "\n");
}

TEST(ApiManagedFields, a_client_may_reset_but_not_lose_them) {
    World world;
    world.update("a", 0, R"({"metadata":{"labels":{"x":"1"}}})");
    EXPECT_NE(world.update("b", 1, R"({"metadata":{"labels":{"x":"1"}}})"), "");
    EXPECT_EQ(world.update("b", 1, R"({"metadata":{"labels":{"x":"1"},"managedFields":[{}]}})"),
              "");
    EXPECT_EQ(world.update("b", 2, R"({"metadata":{"labels":{"x":"2"}}})"), "");
    EXPECT_EQ(world.object(), R"({"metadata":{"labels":{"x":"2"}}})");
    World other;
    other.update("a", 0, R"({"metadata":{"labels":{"x":"1"}}})");
    EXPECT_EQ(other.update("b", 1, R"({"metadata":{"labels":{"x":"1"},"managedFields":[]}})"), "");
    World third;
    third.update("a", 0, R"({"metadata":{"labels":{"x":"1"}}})");
    EXPECT_EQ(third.update("b", 1, R"({"metadata":{"labels":{"x":"1"},"managedFields":[
        {"manager":"zz","operation":"Bad"}]}})"),
              R"(a/Update 0 {"f:metadata":{"f:labels":{".":{},"f:x":{}}}})"
              "\n");
}

TEST(ApiManagedFields, nobody_owns_what_a_write_cannot_set) {
    Kind with_status = kind;
    with_status.has_status = true;
    codec::Arena arena;
    const auto owned_by = [&](std::string_view subresource) {
        Json object = *codec::parse_json_into(
            arena, R"({"metadata":{"labels":{"a":"1"}},"spec":{"replicas":1},)"
                   R"("status":{"phase":"Up"}})");
        record_update(with_status, nullptr, object,
                      {.manager = "me", .subresource = subresource, .now = at(0)}, arena);
        return shown_managers(object);
    };
    EXPECT_EQ(owned_by(""), R"(me/Update 0 {"f:metadata":{"f:labels":{".":{},"f:a":{}}},)"
                            R"("f:spec":{"f:replicas":{}}})"
                            "\n");
    EXPECT_EQ(owned_by("status"),
              R"(me/Update/status 0 {"f:metadata":{"f:labels":{".":{},"f:a":{}}},)"
              R"("f:status":{"f:phase":{}}})"
              "\n");
}

TEST(ApiManagedFields, ownership_is_compared_but_for_the_times) {
    const auto object = [](std::string_view managed) {
        return *codec::parse_json(concat(R"({"metadata":{)", managed, "}}"));
    };
    const auto one = R"("managedFields":[{"manager":"a","time":"2026-01-01T00:00:00Z"}])";
    const auto later = R"("managedFields":[{"manager":"a","time":"2026-01-02T00:00:00Z"}])";
    const auto other = R"("managedFields":[{"manager":"b"}])";
    EXPECT_TRUE(same_ownership(object(one).root, object(later).root));
    EXPECT_TRUE(same_ownership(object("").root, object(one).root));
    EXPECT_FALSE(same_ownership(object(other).root, object(one).root));
    EXPECT_FALSE(same_ownership(object(other).root, object("").root));
    EXPECT_FALSE(same_ownership(object(R"("managedFields":[])").root, object(one).root));
    EXPECT_FALSE(same_ownership(object(R"("managedFields":[{}])").root, object(one).root));
}

TEST(ApiManagedFields, old_updates_are_merged) {
    World world;
    std::string labels;
    for (int i = 0; i < 13; ++i) {
        append(labels, i ? "," : "", "\"l", i, "\":\"\"");
        world.update(concat("m", i), i, concat(R"({"metadata":{"labels":{)", labels, "}}}"));
    }
    const auto& list = *world.document.root.at_path({"metadata", "managedFields"});
    EXPECT_EQ(list.size(), 10u);
    EXPECT_EQ(list.items()[0].text_at({"manager"}), "ancient-changes");
    EXPECT_EQ(list.items()[0].at_path({"fieldsV1", "f:metadata", "f:labels"})->size(), 5u);
    EXPECT_EQ(list.items()[9].text_at({"manager"}), "m12");
}

TEST(ApiServerSideApply, creates_merges_and_gives_up) {
    World world;
    EXPECT_EQ(world.apply("me", 0, R"({"apiVersion":"apps/v1","kind":"Set","metadata":{"name":"x",
        "labels":{"a":"1","b":"1"}},"spec":{"replicas":1,
        "containers":[{"name":"c","image":"i"}]}})"),
              R"(me/Apply 0 {"f:metadata":{"f:labels":{"f:a":{},"f:b":{}}},"f:spec":{)"
              R"("f:containers":{"k:{\"name\":\"c\"}":{".":{},"f:image":{},"f:name":{}}},)"
              R"("f:replicas":{}}})"
              "\n");
    // What is not applied any more and nobody else's goes.
    EXPECT_EQ(world.apply("me", 1, R"({"metadata":{"name":"x","labels":{"a":"2"}}})"),
              R"(me/Apply 1 {"f:metadata":{"f:labels":{"f:a":{}}}})"
              "\n");
    EXPECT_EQ(world.object(), R"({"apiVersion":"apps/v1","kind":"Set","metadata":{"name":"x",)"
                              R"("labels":{"a":"2"}}})");
}

TEST(ApiServerSideApply, conflicts_are_told_and_forced) {
    World world;
    world.update("ctl", 0, R"({"metadata":{"name":"x","labels":{"a":"1"}},"spec":{"replicas":1,
        "containers":[{"name":"c","image":"i"}]}})");
    const auto config = R"({"metadata":{"name":"x","labels":{"a":"1"}},"spec":{"replicas":2}})";
    const auto refused = codec::parse_json(config);
    const auto done =
        apply_server_side(kind, world.document.root, refused->root, {.manager = "me", .now = at(1)},
                          Force::No, world.document.arena);
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().reason, Reason::Conflict);
    EXPECT_EQ(done.error().message,
              "Apply failed with 1 conflict: conflict with \"ctl\" using apps/v1: .spec.replicas");
    ASSERT_EQ(done.error().causes.size(), 1u);
    EXPECT_EQ(
        done.error().causes[0],
        (Cause{"FieldManagerConflict", "conflict with \"ctl\" using apps/v1", ".spec.replicas"}));

    World fresh;
    fresh.update("ctl", 0, R"({"metadata":{"name":"x","labels":{"a":"1"}},"spec":{"replicas":1,
        "containers":[{"name":"c","image":"i"}]}})");
    EXPECT_EQ(fresh.apply("me", 1, config, Force::Yes),
              R"(me/Apply 1 {"f:metadata":{"f:labels":{"f:a":{}}},"f:spec":{"f:replicas":{}}})"
              "\n"
              R"(ctl/Update 0 {"f:metadata":{"f:labels":{".":{},"f:a":{}}},"f:spec":{)"
              R"("f:containers":{"k:{\"name\":\"c\"}":{".":{},"f:image":{},"f:name":{}}}}})"
              "\n");
    // A value shared with another is kept when it is applied no more.
    EXPECT_EQ(fresh.apply("me", 2, R"({"metadata":{"name":"x"}})"),
              R"(ctl/Update 0 {"f:metadata":{"f:labels":{".":{},"f:a":{}}},"f:spec":{)"
              R"("f:containers":{"k:{\"name\":\"c\"}":{".":{},"f:image":{},"f:name":{}}}}})"
              "\n");
    EXPECT_EQ(fresh.object(), R"({"metadata":{"name":"x","labels":{"a":"1"}},"spec":{)"
                              R"("containers":[{"name":"c","image":"i"}]}})");

    World several;
    several.update("ctl", 0, R"({"metadata":{"name":"x"},"spec":{"replicas":1,"containers":[
        {"name":"c","image":"i"}]}})");
    EXPECT_EQ(several.apply("me", 1, R"({"spec":{"replicas":2,"containers":[{"name":"c",
        "image":"j"}]}})"),
              "error: Apply failed with 2 conflicts: conflicts with \"ctl\" using apps/v1:\n"
              "- .spec.containers[name=\"c\"].image\n- .spec.replicas");
}

TEST(ApiServerSideApply, lists_merge_by_key_in_the_applied_order) {
    World world;
    world.update("ctl", 0, R"({"metadata":{"name":"x","finalizers":["a","b"]},"spec":{"containers":[
        {"name":"s","image":"1"},{"name":"c","args":["1"]}]}})");
    world.apply("me", 1, R"({"metadata":{"name":"x","finalizers":["c","b"]},"spec":{"containers":[
        {"name":"n","image":"2"},{"name":"c","image":"3"}]}})");
    EXPECT_EQ(world.object(),
              R"({"metadata":{"name":"x","finalizers":["c","a","b"]},"spec":{"containers":[)"
              R"({"name":"n","image":"2"},{"name":"s","image":"1"},{"name":"c","args":["1"],)"
              R"("image":"3"}]}})");
    // One's own elements go, also those that others own a part of stay.
    world.apply("me", 2, R"({"metadata":{"name":"x","finalizers":["b"]}})");
    EXPECT_EQ(world.object(),
              R"({"metadata":{"name":"x","finalizers":["a","b"]},"spec":{"containers":[)"
              R"({"name":"s","image":"1"},{"name":"c","args":["1"]}]}})");
}

TEST(ApiServerSideApply, generated_configurations_apply) {
    World world;
    world.update("ctl", 0, R"({"metadata":{"name":"x","creationTimestamp":"2026-01-01T00:00:00Z"},
        "spec":{"replicas":1}})");
    world.apply("me", 1, R"({"metadata":{"name":"x","creationTimestamp":null,"labels":{"a":"1"}},
        "spec":{"replicas":null}})");
    EXPECT_EQ(world.object(), R"({"metadata":{"name":"x","creationTimestamp":)"
                              R"("2026-01-01T00:00:00Z","labels":{"a":"1"}},)"
                              R"("spec":{"replicas":1}})");
}

TEST(ApiServerSideApply, an_unknown_field_is_refused) {
    World world;
    EXPECT_EQ(world.apply("me", 0, R"({"metadata":{"name":"x"},"spec":{"replica":1}})"),
              "error: failed to create typed patch object (/x; apps/v1, Kind=Set): .spec.replica: "
              "field not declared in schema");
    EXPECT_EQ(world.apply("me", 0, R"({"metadata":{"name":"x"},"specc":{},"spec":{"containers":[
        {"name":"c","imagee":"i"}]}})"),
              "error: failed to create typed patch object (/x; apps/v1, Kind=Set): errors:\n"
              "  .specc: field not declared in schema\n"
              "  .spec.containers[name=\"c\"].imagee: field not declared in schema");
}

TEST(ApiServerSideApply, kubectl_owns_what_it_applied_from_the_client) {
    const auto object = R"({"metadata":{"name":"x","annotations":{
        "kubectl.kubernetes.io/last-applied-configuration":
        "{\"metadata\":{\"name\":\"x\"},\"spec\":{\"replicas\":1}}"}},"spec":{"replicas":1}})";
    const auto config = R"({"metadata":{"name":"x"},"spec":{"replicas":2}})";
    World world;
    world.update("kubectl-client-side-apply", 0, object);
    EXPECT_TRUE(world.apply("other", 1, config).starts_with("error: Apply failed with 1 conflict"));
    World again;
    again.update("kubectl-client-side-apply", 0, object);
    EXPECT_TRUE(again.apply("kubectl", 1, config)
                    .starts_with(R"(kubectl/Apply 1 {"f:spec":{"f:replicas":{}}})"));
    World changed;   // meanwhile by somebody else
    changed.update("kubectl-client-side-apply", 0, object);
    std::string scaled{object};
    scaled.replace(scaled.rfind("1"), 1, "5");
    changed.update("scaler", 1, scaled);
    EXPECT_EQ(changed.apply("kubectl", 2, config),
              "error: Apply failed with 1 conflict: conflict with \"scaler\" using apps/v1: "
              ".spec.replicas");
}

TEST(ApiServerSideApply, an_apply_that_changes_nothing_keeps_the_time) {
    World world;
    const auto config = R"({"metadata":{"name":"x","labels":{"a":"1"}}})";
    const auto first = world.apply("me", 0, config);
    EXPECT_EQ(world.apply("me", 5, config), first);
    EXPECT_EQ(world.apply("me", 5, R"({"metadata":{"name":"x","managedFields":[{}]}})"),
              "error: metadata.managedFields must be nil");
}

}   // namespace
}   // namespace skiff::api
