#include "api/patch.h"

#include <gtest/gtest.h>

#include "base/text.h"

namespace skiff::api {
namespace {

using codec::Arena;
using codec::Json;

struct Row {
    const char* why;
    std::string target;
    std::string patch;
    std::string result;   // "!" and a part of the message: an error
};

template <class Apply>
void expect_rows(std::initializer_list<Row> rows, Apply apply) {
    for (const auto& row : rows) {
        auto target = codec::parse_json(row.target);
        const auto patch = codec::parse_json(row.patch);
        ASSERT_TRUE(target && patch) << row.why;
        const Result<> done = apply(target->root, patch->root, target->arena);
        if (row.result.starts_with('!')) {
            ASSERT_FALSE(done) << row.why << ": " << codec::to_json(target->root);
            EXPECT_NE(done.error().message.find(row.result.substr(1)), std::string::npos)
                << row.why << ": " << done.error().message;
            continue;
        }
        ASSERT_TRUE(done) << row.why << ": " << done.error().message;
        EXPECT_EQ(codec::to_json(target->root), row.result) << row.why;
    }
}

TEST(ApiPatch, json_patch_as_in_rfc_6902) {
    expect_rows(
        {
            {"A.1 add a member", R"({"foo":"bar"})",
             R"([{"op":"add","path":"/baz","value":"qux"}])", R"({"foo":"bar","baz":"qux"})"},
            {"A.2 add an element", R"({"foo":["bar","baz"]})",
             R"([{"op":"add","path":"/foo/1","value":"qux"}])", R"({"foo":["bar","qux","baz"]})"},
            {"A.3 remove a member", R"({"baz":"qux","foo":"bar"})",
             R"([{"op":"remove","path":"/baz"}])", R"({"foo":"bar"})"},
            {"A.4 remove an element", R"({"foo":["bar","qux","baz"]})",
             R"([{"op":"remove","path":"/foo/1"}])", R"({"foo":["bar","baz"]})"},
            {"A.5 replace", R"({"baz":"qux","foo":"bar"})",
             R"([{"op":"replace","path":"/baz","value":"boo"}])", R"({"baz":"boo","foo":"bar"})"},
            {"A.6 move a value", R"({"foo":{"bar":"baz","waldo":"fred"},"qux":{"corge":"grault"}})",
             R"([{"op":"move","from":"/foo/waldo","path":"/qux/thud"}])",
             R"({"foo":{"bar":"baz"},"qux":{"corge":"grault","thud":"fred"}})"},
            {"A.7 move an element", R"({"foo":["all","grass","cows","eat"]})",
             R"([{"op":"move","from":"/foo/1","path":"/foo/3"}])",
             R"({"foo":["all","cows","eat","grass"]})"},
            {"A.8 test", R"({"baz":"qux","foo":["a",2,"c"]})",
             R"([{"op":"test","path":"/baz","value":"qux"},)"
             R"({"op":"test","path":"/foo/1","value":2}])",
             R"({"baz":"qux","foo":["a",2,"c"]})"},
            {"A.9 test fails", R"({"baz":"qux"})", R"([{"op":"test","path":"/baz","value":"bar"}])",
             "!testing value /baz failed: test failed"},
            {"A.12 no such parent", R"({"foo":"bar"})",
             R"([{"op":"add","path":"/baz/bat","value":"qux"}])",
             "!add operation does not apply: doc is missing path: /baz/bat: missing value"},
            {"A.14 escapes", R"({"/":9,"~1":10})", R"([{"op":"test","path":"/~01","value":10}])",
             R"({"/":9,"~1":10})"},
            {"A.16 append", R"({"foo":["bar"]})",
             R"([{"op":"add","path":"/foo/-","value":["abc","def"]}])",
             R"({"foo":["bar",["abc","def"]]})"},
            {"the whole document", R"({"a":1})", R"([{"op":"replace","path":"","value":{"b":2}}])",
             R"({"b":2})"},
            {"a copy is another value", R"({"a":{"x":1}})",
             R"([{"op":"copy","from":"/a","path":"/b"},{"op":"add","path":"/b/y","value":2}])",
             R"({"a":{"x":1},"b":{"x":1,"y":2}})"},
            {"add replaces a member", R"({"a":1})", R"([{"op":"add","path":"/a","value":null}])",
             R"({"a":null})"},
            {"a label with a slash", R"({"l":{"a/b":"1"}})",
             R"([{"op":"remove","path":"/l/a~1b"}])", R"({"l":{}})"},
            {"null is what is missing, to test", R"({})", R"([{"op":"test","path":"/a"}])", "{}"},
            {"replace needs the member", R"({})", R"([{"op":"replace","path":"/a","value":1}])",
             "!replace operation does not apply: doc is missing path: /a"},
            {"remove needs it", "{}", R"([{"op":"remove","path":"/a"}])", "!remove operation"},
            {"an index too far", R"({"a":[]})", R"([{"op":"add","path":"/a/1","value":1}])",
             "!invalid index referenced"},
            {"an index that is none", R"({"a":[1]})", R"([{"op":"remove","path":"/a/01"}])",
             "!missing value"},
            {"into itself", R"({"a":{}})", R"([{"op":"move","from":"/a","path":"/a/b"}])",
             "!moved into itself"},
            {"no array", "{}", "{}", "!error decoding patch"},
            {"no such operation", "{}", R"([{"op":"set","path":"/a"}])", "!unexpected kind"},
            {"no path", "{}", R"([{"op":"remove"}])", "!operation has no path"},
            {"a bad path", "{}", R"([{"op":"remove","path":"a"}])", "!begin with '/'"},
        },
        [](Json& target, const Json& patch, Arena& arena) {
            return apply_json_patch(target, patch, arena);
        });
}

TEST(ApiPatch, json_patches_are_bounded) {
    Arena arena;
    Json target = Json::object();
    Json patch = Json::array();
    for (int i = 0; i <= 10'000; ++i) patch.push(arena, Json::object());
    const auto many = apply_json_patch(target, patch, arena);
    ASSERT_FALSE(many);
    EXPECT_EQ(many.error().reason, Reason::RequestEntityTooLarge);

    std::string doubling = "[";
    for (int i = 0; i < 60; ++i) {
        if (i) doubling += ',';
        doubling += R"({"op":"copy","from":"","path":"/x"},{"op":"copy","from":"/x","path":"/y"})";
    }
    const auto document = codec::parse_json(doubling + "]");
    ASSERT_TRUE(document);
    Arena copies;
    EXPECT_FALSE(apply_json_patch(target, document->root, copies));
    EXPECT_LE(copies.bytes_held(), (1u << 20) + 16 * doubling.size());
}

TEST(ApiPatch, merge_patch_as_in_rfc_7386) {
    expect_rows(
        {
            {"", R"({"a":"b"})", R"({"a":"c"})", R"({"a":"c"})"},
            {"", R"({"a":"b"})", R"({"b":"c"})", R"({"a":"b","b":"c"})"},
            {"", R"({"a":"b"})", R"({"a":null})", "{}"},
            {"", R"({"a":"b","b":"c"})", R"({"a":null})", R"({"b":"c"})"},
            {"", R"({"a":["b"]})", R"({"a":"c"})", R"({"a":"c"})"},
            {"", R"({"a":"c"})", R"({"a":["b"]})", R"({"a":["b"]})"},
            {"", R"({"a":{"b":"c"}})", R"({"a":{"b":"d","c":null}})", R"({"a":{"b":"d"}})"},
            {"", R"({"a":[{"b":"c"}]})", R"({"a":[1]})", R"({"a":[1]})"},
            {"", R"(["a","b"])", R"(["c","d"])", R"(["c","d"])"},
            {"", R"({"a":"b"})", R"(["c"])", R"(["c"])"},
            {"", R"({"a":"foo"})", "null", "null"},
            {"", R"({"a":"foo"})", R"("bar")", R"("bar")"},
            {"", R"({"e":null})", R"({"a":1})", R"({"e":null,"a":1})"},
            {"", R"([1,2])", R"({"a":"b","c":null})", R"({"a":"b"})"},
            {"", "{}", R"({"a":{"bb":{"ccc":null}}})", R"({"a":{"bb":{}}})"},
            {"nulls in arrays stay", "{}", R"({"a":[null,{"b":null}]})",
             R"({"a":[null,{"b":null}]})"},
        },
        [](Json& target, const Json& patch, Arena& arena) -> Result<> {
            apply_merge_patch(target, patch, arena);
            return {};
        });
}

// A little of a pod's schema.
constexpr Field port_fields[] = {
    {.number = 1, .name = "name"},
    {.number = 3, .name = "containerPort", .type = Type::Int32},
    {.number = 4, .name = "protocol"},
};
constexpr Message port{.name = "Port", .fields = port_fields};
constexpr Field container_fields[] = {
    {.number = 1, .name = "name"},
    {.number = 2, .name = "image"},
    {.number = 3, .name = "command", .shape = Shape::List},
    {.number = 4,
     .name = "ports",
     .type = Type::Message,
     .shape = Shape::List,
     .message = &port,
     .patch = PatchStrategy::Merge,
     .merge_key = "containerPort"},
};
constexpr Message container{.name = "Container", .fields = container_fields};
constexpr Field source_fields[] = {{.number = 1, .name = "medium"}};
constexpr Message source{.name = "Source", .fields = source_fields};
constexpr Field volume_fields[] = {
    {.number = 1, .name = "name"},
    {.number = 2, .name = "emptyDir", .type = Type::Message, .message = &source},
    {.number = 3, .name = "hostPath", .type = Type::Message, .message = &source},
};
constexpr Message volume{.name = "Volume", .fields = volume_fields};
constexpr Field spec_fields[] = {
    {.number = 1,
     .name = "volumes",
     .type = Type::Message,
     .shape = Shape::List,
     .message = &volume,
     .patch = PatchStrategy::MergeRetainKeys,
     .merge_key = "name"},
    {.number = 2,
     .name = "containers",
     .type = Type::Message,
     .shape = Shape::List,
     .message = &container,
     .patch = PatchStrategy::Merge,
     .merge_key = "name"},
    {.number = 3,
     .name = "tolerations",
     .type = Type::Message,
     .shape = Shape::List,
     .message = &source},
    {.number = 4, .name = "finalizers", .shape = Shape::List, .patch = PatchStrategy::Merge},
    {.number = 5, .name = "labels", .shape = Shape::Map},
    {.number = 6,
     .name = "byName",
     .type = Type::Message,
     .shape = Shape::Map,
     .message = &container},
};
constexpr Message spec{.name = "Spec", .fields = spec_fields};

Result<> apply_strategic(Json& target, const Json& patch, Arena& arena) {
    return apply_strategic_merge_patch(spec, target, patch, arena);
}

TEST(ApiPatch, strategic_merge_without_directives) {
    expect_rows(
        {
            {"scalars and maps merge", R"({"labels":{"a":"1","b":"2"},"x":1})",
             R"({"labels":{"a":null,"c":"3"},"x":2})", R"({"labels":{"b":"2","c":"3"},"x":2})"},
            {"a list without strategy is replaced", R"({"tolerations":[{"medium":"a"}]})",
             R"({"tolerations":[{"medium":"b"}]})", R"({"tolerations":[{"medium":"b"}]})"},
            {"elements merge by their key",
             R"({"containers":[{"name":"a","image":"1"},{"name":"b","image":"2"}]})",
             R"({"containers":[{"name":"b","image":"3"},{"name":"c","image":"4"}]})",
             R"({"containers":[{"name":"a","image":"1"},{"name":"b","image":"3"},)"
             R"({"name":"c","image":"4"}]})"},
            {"the patch's order wins, others keep their place before what followed them",
             R"({"containers":[{"name":"a"},{"name":"b"},{"name":"c"}]})",
             R"({"containers":[{"name":"c"},{"name":"a"}]})",
             R"({"containers":[{"name":"b"},{"name":"c"},{"name":"a"}]})"},
            {"a new element comes first", R"({"containers":[{"name":"a"}]})",
             R"({"containers":[{"name":"b"}]})", R"({"containers":[{"name":"b"},{"name":"a"}]})"},
            {"lists inside elements merge too, by a number",
             R"({"containers":[{"name":"a","ports":[{"containerPort":80}]}]})",
             R"({"containers":[{"name":"a","ports":[{"containerPort":443},{"containerPort":80,)"
             R"("name":"http"}]}]})",
             R"({"containers":[{"name":"a","ports":[{"containerPort":443},{"containerPort":80,)"
             R"("name":"http"}]}]})"},
            {"values merge without doubles", R"({"finalizers":["a","b"]})",
             R"({"finalizers":["c","b"]})", R"({"finalizers":["c","a","b"]})"},
            {"a list that was not there", "{}", R"({"containers":[{"name":"a","image":null}]})",
             R"({"containers":[{"name":"a"}]})"},
            {"a value of another type is replaced", R"({"labels":"x"})", R"({"labels":{"a":"1"}})",
             R"({"labels":{"a":"1"}})"},
            {"maps of messages know their lists",
             R"({"byName":{"k":{"ports":[{"containerPort":1}]}}})",
             R"({"byName":{"k":{"ports":[{"containerPort":2}]}}})",
             R"({"byName":{"k":{"ports":[{"containerPort":2},{"containerPort":1}]}}})"},
            {"an unknown field merges as an object", R"({"u":{"a":1,"l":[1]}})",
             R"({"u":{"b":2,"l":[2]}})", R"({"u":{"a":1,"l":[2],"b":2}})"},
            {"an element without its key", R"({"containers":[{"name":"a"}]})",
             R"({"containers":[{"image":"x"}]})",
             "!map: {\"image\":\"x\"} does not contain declared merge key: name"},
        },
        apply_strategic);
}

TEST(ApiPatch, strategic_merge_directives_on_objects) {
    expect_rows(
        {
            {"replace", R"({"labels":{"a":"1"}})", R"({"labels":{"$patch":"replace","b":"2"}})",
             R"({"labels":{"b":"2"}})"},
            {"delete", R"({"labels":{"a":"1"},"x":1})", R"({"labels":{"$patch":"delete"}})",
             R"({"labels":{},"x":1})"},
            {"delete of what is not there", R"({"x":1})", R"({"labels":{"$patch":"delete"}})",
             R"({"x":1})"},
            {"an unknown one", R"({"labels":{}})", R"({"labels":{"$patch":"zap"}})",
             "!unknown patch type: zap"},
            {"retainKeys clears the rest",
             R"({"volumes":[{"name":"v","hostPath":{"medium":"x"}}]})",
             R"({"volumes":[{"$retainKeys":["name","emptyDir"],"name":"v","emptyDir":{}}]})",
             R"({"volumes":[{"name":"v","emptyDir":{}}]})"},
            {"retainKeys must name what the patch sets", R"({"labels":{"a":"1"}})",
             R"({"labels":{"$retainKeys":["a"],"b":"1"}})", "!invalid patch format of retainKeys"},
            {"retainKeys must be a list", R"({"labels":{"a":"1"}})",
             R"({"labels":{"$retainKeys":"a"}})", "!invalid patch format of retainKeys"},
            {"directives are no content", "{}",
             R"({"volumes":[{"$retainKeys":["name"],"name":"v"}],)"
             R"("$setElementOrder/volumes":[{"name":"v"}]})",
             R"({"volumes":[{"name":"v"}]})"},
        },
        apply_strategic);
}

TEST(ApiPatch, strategic_merge_directives_on_lists) {
    expect_rows(
        {
            {"delete an element", R"({"containers":[{"name":"a"},{"name":"b"}]})",
             R"({"containers":[{"$patch":"delete","name":"a"}]})",
             R"({"containers":[{"name":"b"}]})"},
            {"delete needs the key", R"({"containers":[{"name":"a"}]})",
             R"({"containers":[{"$patch":"delete"}]})", "!does not contain declared merge key"},
            {"replace the list", R"({"containers":[{"name":"a"},{"name":"b"}]})",
             R"({"containers":[{"name":"c"},{"$patch":"replace"}]})",
             R"({"containers":[{"name":"c"}]})"},
            {"merge is no directive for lists", R"({"containers":[{"name":"a"}]})",
             R"({"containers":[{"$patch":"merge","name":"a"}]})", "!merging lists cannot yet"},
            {"delete values", R"({"finalizers":["a","b","c"]})",
             R"({"$deleteFromPrimitiveList/finalizers":["a","c","z"]})", R"({"finalizers":["b"]})"},
            {"delete values of what is not there", "{}",
             R"({"$deleteFromPrimitiveList/finalizers":["a"]})", "{}"},
            {"order only", R"({"containers":[{"name":"a"},{"name":"b"},{"name":"c"}]})",
             R"({"$setElementOrder/containers":[{"name":"c"},{"name":"a"}]})",
             R"({"containers":[{"name":"b"},{"name":"c"},{"name":"a"}]})"},
            {"order with a change and an addition", R"({"containers":[{"name":"a"},{"name":"b"}]})",
             R"({"$setElementOrder/containers":[{"name":"n"},{"name":"b"},{"name":"a"}],)"
             R"("containers":[{"name":"n"},{"name":"b","image":"x"}]})",
             R"({"containers":[{"name":"n"},{"name":"b","image":"x"},{"name":"a"}]})"},
            {"order with a deletion", R"({"containers":[{"name":"a"},{"name":"b"}]})",
             R"({"$setElementOrder/containers":[{"name":"b"}],)"
             R"("containers":[{"$patch":"delete","name":"a"}]})",
             R"({"containers":[{"name":"b"}]})"},
            {"what only the server has keeps its place",
             R"({"containers":[{"name":"a"},{"name":"s"},{"name":"b"}]})",
             R"({"$setElementOrder/containers":[{"name":"a"},{"name":"b"}],)"
             R"("containers":[{"name":"b","image":"x"}]})",
             R"({"containers":[{"name":"a"},{"name":"s"},{"name":"b","image":"x"}]})"},
            {"order of values", R"({"finalizers":["a","b"]})",
             R"({"$setElementOrder/finalizers":["c","b","a"],"finalizers":["c"]})",
             R"({"finalizers":["c","b","a"]})"},
            {"order and deletion of values", R"({"finalizers":["a","b"]})",
             R"({"$setElementOrder/finalizers":["b"],"$deleteFromPrimitiveList/finalizers":["a"]})",
             R"({"finalizers":["b"]})"},
            {"the order must hold all the patch names", R"({"containers":[{"name":"a"}]})",
             R"({"$setElementOrder/containers":[{"name":"a"}],"containers":[{"name":"b"}]})",
             "!doesn't match $setElementOrder list"},
            {"and in their order", R"({"containers":[{"name":"a"},{"name":"b"}]})",
             R"({"$setElementOrder/containers":[{"name":"a"},{"name":"b"}],)"
             R"("containers":[{"name":"b"},{"name":"a"}]})",
             "!doesn't match $setElementOrder list"},
            {"the order must be a list", R"({"containers":[]})",
             R"({"$setElementOrder/containers":1})", "!setElementOrder"},
        },
        apply_strategic);
}

TEST(ApiPatch, the_patch_is_not_changed_and_not_shared) {
    auto target = codec::parse_json("{}");
    std::string before;
    {
        auto patch = codec::parse_json(R"({"labels":{"a":"1"},"containers":[{"name":"x"}]})");
        before = codec::to_json(patch->root);
        ASSERT_TRUE(apply_strategic(target->root, patch->root, target->arena));
        target->root.find("labels")->set(target->arena, "b", Json::borrowed("2"));
        EXPECT_EQ(codec::to_json(patch->root), before);
    }
    EXPECT_EQ(codec::to_json(target->root),
              R"({"labels":{"a":"1","b":"2"},"containers":[{"name":"x"}]})");
}

}   // namespace
}   // namespace skiff::api
