#include <gtest/gtest.h>

#include "api/normalize.h"
#include "base/text.h"

namespace skiff::api {
namespace {

std::string all_of(const std::vector<Cause>& causes) {
    std::string text;
    for (const Cause& cause : causes)
        append(text, cause.type.substr(10), " ", cause.field, ": ", cause.message, "\n");
    return text;
}

std::string wrong(const Kind& kind, std::string_view json, std::string_view old = "") {
    const auto object = codec::parse_json(json);
    EXPECT_TRUE(object) << json;
    if (old.empty()) return all_of(validate(kind, object->root, nullptr));
    const auto before = codec::parse_json(old);
    return all_of(validate(kind, object->root, &before->root));
}

const Kind& config_map() { return *builtin_kind("", "v1", "ConfigMap"); }

TEST(ValidateMetadata, create) {
    const auto in = [](std::string_view metadata) {
        return wrong(config_map(), concat(R"({"metadata":)", metadata, "}"));
    };
    EXPECT_EQ(in(R"({"name":"a.b-c","namespace":"n","labels":{"x.y/z":"A_1.b"},
                     "annotations":{"A/B":"any thing"}})"),
              "");
    EXPECT_EQ(in("{}"),
              "Required metadata.name: Required value: name or generateName is required\n"
              "Required metadata.namespace: Required value\n");
    EXPECT_EQ(in(R"({"generateName":"ok-","name":"x","namespace":"n"})"), "");
    EXPECT_EQ(
        in(R"({"name":"Web_1","namespace":"n"})"),
        "Invalid metadata.name: Invalid value: \"Web_1\": a lowercase RFC 1123 subdomain "
        "must consist of lower case alphanumeric characters, '-' or '.', and must start and "
        "end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
        "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')\n");
    EXPECT_EQ(in(R"({"name":"a","namespace":"n.m"})"),
              "Invalid metadata.namespace: Invalid value: \"n.m\": must not contain dots\n");
    EXPECT_NE(
        in(R"({"name":"a","namespace":"n","labels":{"-x":"v v"}})").find("Invalid metadata.labels"),
        std::string::npos);
    EXPECT_EQ(in(concat(R"({"name":"a","namespace":"n","annotations":{"a":")",
                        std::string(262144, 'x'), "\"}}")),
              "TooLong metadata.annotations: Too long: may not be more than 262144 bytes\n");
    EXPECT_EQ(
        in(R"({"name":"a","namespace":"n",
               "ownerReferences":[{"apiVersion":"","kind":"","name":"n","uid":"u"}]})"),
        "Invalid metadata.ownerReferences[0].apiVersion: Invalid value: \"\": version must not be "
        "empty\n"
        "Invalid metadata.ownerReferences[0].kind: Invalid value: \"\": must not be empty\n");
    EXPECT_NE(in(R"({"name":"a","namespace":"n","ownerReferences":[
        {"apiVersion":"v1","kind":"K","name":"n","uid":"u","controller":true},
        {"apiVersion":"v1","kind":"K","name":"m","uid":"v","controller":true}]})")
                  .find("Only one reference can have Controller set to true"),
              std::string::npos);
    EXPECT_NE(in(R"({"name":"a","namespace":"n","finalizers":["orphan","foregroundDeletion"]})")
                  .find("cannot be both set"),
              std::string::npos);
    EXPECT_EQ(
        wrong(*builtin_kind("", "v1", "Namespace"), R"({"metadata":{"name":"a","namespace":"b"}})"),
        "Forbidden metadata.namespace: Forbidden: not allowed on this type\n");
}

TEST(ValidateMetadata, update) {
    const std::string_view old =
        R"({"metadata":{"name":"a","namespace":"n","uid":"u","generation":2,
        "deletionTimestamp":"2026-01-02T03:04:05Z","finalizers":["x/y"]}})";
    EXPECT_EQ(wrong(config_map(), old, old), "");
    EXPECT_EQ(
        wrong(config_map(), R"({"metadata":{"name":"a","namespace":"n","uid":"v","generation":1,
        "deletionTimestamp":"2026-01-02T03:04:05Z","finalizers":["x/y","x/z"]}})",
              old),
        "Invalid metadata.generation: Invalid value: 1: must not be decremented\n"
        "Invalid metadata.uid: Invalid value: \"v\": field is immutable\n"
        "Forbidden metadata.finalizers: Forbidden: no new finalizers can be added if the object is "
        "being deleted, found new finalizers []string{\"x/z\"}\n");
}

// Rules of every sort, made for this test.
constexpr std::string_view colours[] = {"Red", "Green"};
constexpr std::string_view name_key[] = {"name"};
constexpr std::string_view pair_key[] = {"name", "port"};
constexpr Field item_fields[] = {
    {.number = 1, .name = "name", .required = true, .format = Format::Dns1123Label},
    {.number = 2,
     .name = "port",
     .type = Type::Int32,
     .required = true,
     .format = Format::PortNumber},
};
constexpr Message item{.name = "t.v1.Item", .fields = item_fields};
constexpr Field spec_fields[] = {
    {.number = 1, .name = "colour", .enum_values = colours},
    {.number = 2,
     .name = "replicas",
     .type = Type::Int32,
     .presence = Presence::Optional,
     .has_min = true},
    {.number = 3,
     .name = "percent",
     .type = Type::Int64,
     .has_min = true,
     .has_max = true,
     .min = 1,
     .max = 100},
    {.number = 4, .name = "fixed", .immutable = true},
    {.number = 5,
     .name = "items",
     .type = Type::Message,
     .shape = Shape::List,
     .required = true,
     .message = &item,
     .list_type = ListType::Map,
     .map_keys = name_key,
     .unique = true},
    {.number = 6,
     .name = "pairs",
     .type = Type::Message,
     .shape = Shape::List,
     .message = &item,
     .list_type = ListType::Map,
     .map_keys = pair_key,
     .unique = true},
    {.number = 7, .name = "set", .shape = Shape::List, .list_type = ListType::Set, .unique = true},
    {.number = 8, .name = "keys", .shape = Shape::Map, .format = Format::ConfigMapKey},
    {.number = 9, .name = "when", .type = Type::Time, .required = true},
};
constexpr Message spec{.name = "t.v1.Spec", .fields = spec_fields};
constexpr Field thing_fields[] = {
    {.number = 1, .name = "metadata", .type = Type::Message},
    {.number = 2, .name = "spec", .type = Type::Message, .message = &spec},
};
constexpr Message thing_message{.name = "t.v1.Thing", .fields = thing_fields};
constexpr Kind thing{.group = "t",
                     .version = "v1",
                     .kind = "Thing",
                     .scope = Scope::Cluster,
                     .message = &thing_message};

TEST(Validate, what_tables_can_say) {
    struct Row {
        const char* why;
        const char* spec;   // beside what is required
        const char* wanted;
    };
    const Row rows[] = {
        {"enum", R"("colour":"Blue")",
         "NotSupported spec.colour: Unsupported value: \"Blue\": supported values: \"Red\", "
         "\"Green\"\n"},
        {"min", R"("replicas":-1)",
         "Invalid spec.replicas: Invalid value: -1: must be greater than or equal to 0\n"},
        {"min and max", R"("percent":101)",
         "Invalid spec.percent: Invalid value: 101: must be between 1 and 100, inclusive\n"},
        {"zero is absent", R"("percent":0)", ""},
        {"duplicate key", R"("items":[{"name":"a","port":1},{"name":"a","port":2}])",
         "Duplicate spec.items[1].name: Duplicate value: \"a\"\n"},
        {"duplicate keys", R"("pairs":[{"name":"a","port":1},{"name":"a","port":1}])",
         "Duplicate spec.pairs[1]: Duplicate value: {\"name\":\"a\",\"port\":1}\n"},
        {"duplicate in a set", R"("set":["a","a"])",
         "Duplicate spec.set[1]: Duplicate value: \"a\"\n"},
        {"required and formats in lists", R"("items":[{"port":0},{"name":"-","port":65536}])",
         "Required spec.items[0].name: Required value\n"
         "Required spec.items[0].port: Required value\n"
         "Invalid spec.items[1].name: Invalid value: \"-\": a lowercase RFC 1123 label must "
         "consist of lower case "
         "alphanumeric characters or '-', and must start and end with an alphanumeric character "
         "(e.g. 'my-name', "
         " or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')\n"
         "Invalid spec.items[1].port: Invalid value: 65536: must be between 1 and 65535, "
         "inclusive\n"},
        {"an empty list is not there", R"("items":[])", "Required spec.items: Required value\n"},
        {"keys of a map", R"("keys":{"..":"x"})",
         "Invalid spec.keys[..]: Invalid value: \"..\": must not be '..'\n"},
        {"a required time", R"("when":null)", "Required spec.when: Required value\n"},
    };
    for (const Row& row : rows) {
        const std::string_view said = row.spec;
        std::string text = concat(R"({"metadata":{"name":"a"},"spec":{)", said);
        if (!said.starts_with(R"("when")")) text += R"(,"when":"2026-01-02T03:04:05Z")";
        if (!said.starts_with(R"("items")")) text += R"(,"items":[{"name":"a","port":1}])";
        EXPECT_EQ(wrong(thing, text + "}}"), row.wanted) << row.why;
    }
}

TEST(Validate, immutable_fields) {
    const auto with = [](std::string_view fixed) {
        return concat(
            R"({"metadata":{"name":"a"},"spec":{"items":[{"name":"a","port":1}],
                "when":"2026-01-02T03:04:05Z")",
            fixed, "}}");
    };
    EXPECT_EQ(wrong(thing, with(R"(,"fixed":"a")"), with(R"(,"fixed":"a")")), "");
    EXPECT_EQ(wrong(thing, with(R"(,"fixed":"b")"), with(R"(,"fixed":"a")")),
              "Invalid spec.fixed: Invalid value: \"b\": field is immutable\n");
    EXPECT_EQ(wrong(thing, with(""), with(R"(,"fixed":"a")")),
              "Invalid spec.fixed: Invalid value: null: field is immutable\n");
}

TEST(Validate, the_error_reads_as_upstream) {
    const Cause one{"FieldValueRequired", "Required value", "spec.x"};
    const auto single = invalid_error(config_map(), "a", {one});
    EXPECT_EQ(single.message, R"(ConfigMap "a" is invalid: spec.x: Required value)");
    EXPECT_EQ(single.reason, Reason::Invalid);
    ASSERT_TRUE(single.subject);
    EXPECT_EQ(single.subject->kind, "ConfigMap");
    EXPECT_EQ(invalid_error(thing, "a", {one, one}).message,
              R"(Thing.t "a" is invalid: [spec.x: Required value, spec.x: Required value])");
}

}   // namespace
}   // namespace skiff::api
