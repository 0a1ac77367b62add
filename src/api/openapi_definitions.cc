#include <algorithm>
#include <array>

#include "api/openapi_parts.h"
#include "base/text.h"

namespace skiff::api::openapi {
namespace {

using codec::Arena;
using codec::Json;

constexpr std::string_view time_name = "io.k8s.apimachinery.pkg.apis.meta.v1.Time";
constexpr std::string_view micro_time_name = "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime";
constexpr std::string_view duration_name = "io.k8s.apimachinery.pkg.apis.meta.v1.Duration";
constexpr std::string_view fields_name = "io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1";
constexpr std::string_view patch_name = "io.k8s.apimachinery.pkg.apis.meta.v1.Patch";
constexpr std::string_view quantity_name = "io.k8s.apimachinery.pkg.api.resource.Quantity";
constexpr std::string_view int_or_string_name = "io.k8s.apimachinery.pkg.util.intstr.IntOrString";
constexpr std::string_view raw_name = "io.k8s.apimachinery.pkg.runtime.RawExtension";

std::string_view name_of_type(Type type) {
    switch (type) {
    case Type::Time: return time_name;
    case Type::MicroTime: return micro_time_name;
    case Type::Duration: return duration_name;
    case Type::Quantity: return quantity_name;
    case Type::IntOrString: return int_or_string_name;
    case Type::Any: return raw_name;
    case Type::FieldsV1: return fields_name;
    default: return {};
    }
}

// Tables made at run time have no `all`.
template <class F>
void each_field(const Message& message, F&& visit) {
    if (!message.all.empty()) {
        for (const Field* field : message.all) visit(*field);
        return;
    }
    for (const Field& field : message.fields) visit(field);
}

class Tree {
  public:
    explicit Tree(Arena& arena) : arena_{arena} {}
    Json& set(Json& object, std::string_view key, Json value) {
        return object.set_borrowed(arena_, key, value);
    }
    Json& text(Json& object, std::string_view key, std::string_view value) {
        return set(object, key, Json::borrowed(value));
    }
    Json one(std::string_view key, std::string_view value) {
        Json object = Json::object();
        text(object, key, value);
        return object;
    }
    Arena& arena() { return arena_; }

  private:
    Arena& arena_;
};

Json scalar(Tree& tree, Type type) {
    switch (type) {
    case Type::Bool: return tree.one("type", "boolean");
    case Type::Int32:
    case Type::Int64: {
        Json schema = tree.one("type", "integer");
        tree.text(schema, "format", type == Type::Int32 ? "int32" : "int64");
        return schema;
    }
    case Type::Double: {
        Json schema = tree.one("type", "number");
        tree.text(schema, "format", "double");
        return schema;
    }
    case Type::Bytes: {
        Json schema = tree.one("type", "string");
        tree.text(schema, "format", "byte");
        return schema;
    }
    case Type::StringList: {
        Json schema = tree.one("type", "array");
        tree.set(schema, "items", tree.one("type", "string"));
        return schema;
    }
    default: return tree.one("type", "string");
    }
}

// What one value of the field is; `with_siblings`: keywords will stand beside it, which version 3
// allows beside a reference only when it is wrapped.
Json value_schema(Dialect dialect, Tree& tree, const Field& field, bool with_siblings) {
    const auto name = field.type == Type::Message && field.message ? field.message->openapi_name
                                                                   : name_of_type(field.type);
    if (name.empty()) {
        if (field.type == Type::Message) return tree.one("type", "object");
        return scalar(tree, field.type);
    }
    Json ref = reference(dialect, name, tree.arena());
    if (dialect == Dialect::V2 || !with_siblings) return ref;
    Json wrapped = Json::object();
    tree.set(wrapped, "allOf", Json::array()).push(tree.arena(), ref);
    return wrapped;
}

std::string_view patch_strategy_text(PatchStrategy strategy) {
    switch (strategy) {
    case PatchStrategy::Merge: return "merge";
    case PatchStrategy::RetainKeys: return "retainKeys";
    case PatchStrategy::MergeRetainKeys: return "merge,retainKeys";
    case PatchStrategy::Replace: break;
    }
    return {};
}

void add_extensions(Tree& tree, Json& schema, const Field& field) {
    if (field.shape == Shape::List) {
        constexpr std::array<std::string_view, 3> names{"atomic", "set", "map"};
        tree.text(schema, "x-kubernetes-list-type", names[static_cast<size_t>(field.list_type)]);
        if (field.list_type == ListType::Map) {
            Json& keys = tree.set(schema, "x-kubernetes-list-map-keys", Json::array());
            for (const auto key : field.map_keys) keys.push(tree.arena(), Json::borrowed(key));
        }
    } else if (field.map_type == MapType::Atomic) {
        tree.text(schema, "x-kubernetes-map-type", "atomic");
    }
    if (!field.merge_key.empty())
        tree.text(schema, "x-kubernetes-patch-merge-key", field.merge_key);
    if (const auto strategy = patch_strategy_text(field.patch); !strategy.empty())
        tree.text(schema, "x-kubernetes-patch-strategy", strategy);
}

void add_limits(Tree& tree, Json& schema, const Field& field) {
    if (!field.default_json.empty()) {
        if (const auto value = codec::parse_json_into(tree.arena(), field.default_json))
            tree.set(schema, "default", *value);
    }
    if (!field.enum_values.empty() && field.shape == Shape::Single) {
        Json& values = tree.set(schema, "enum", Json::array());
        for (const auto value : field.enum_values) values.push(tree.arena(), Json::borrowed(value));
    }
}

Json property(Dialect dialect, Tree& tree, const Field& field) {
    Json schema = Json::object();
    if (field.shape == Shape::List) {
        tree.text(schema, "type", "array");
        tree.set(schema, "items", value_schema(dialect, tree, field, false));
    } else if (field.shape == Shape::Map) {
        tree.text(schema, "type", "object");
        tree.set(schema, "additionalProperties", value_schema(dialect, tree, field, false));
    } else {
        schema = value_schema(dialect, tree, field, true);
    }
    if (!field.doc.empty()) tree.text(schema, "description", field.doc);
    add_limits(tree, schema, field);
    add_extensions(tree, schema, field);
    return schema;
}

struct Builtin {
    std::string_view name;
    std::string_view type;
    std::string_view format;
    std::string_view doc;
};
constexpr std::array builtins{
    Builtin{time_name, "string", "date-time", "An instant in RFC 3339, in whole seconds."},
    Builtin{micro_time_name, "string", "date-time", "An instant in RFC 3339, in microseconds."},
    Builtin{duration_name, "string", "", "A span of time, such as 1m30s."},
    Builtin{fields_name, "object", "", "A set of fields, as paths in a tree."},
    Builtin{patch_name, "object", "", "A change to an object, in one of the patch formats."},
    Builtin{quantity_name, "string", "",
            "A number with a suffix: 500m, 2, 128Mi, 1G. Fractions of a thousandth and more are "
            "kept down to a billionth."},
    Builtin{int_or_string_name, "string", "int-or-string", "A number, or a text such as 25%."},
    Builtin{raw_name, "object", "", "Any object."},
};

Json builtin_definition(Dialect dialect, Tree& tree, std::string_view name) {
    const auto row = std::ranges::find(builtins, name, &Builtin::name);
    Json schema = Json::object();
    if (row == builtins.end()) return schema;
    tree.text(schema, "description", row->doc);
    const bool either = name == quantity_name || name == int_or_string_name;
    if (dialect == Dialect::V3 && either) {
        Json& choices = tree.set(schema, "oneOf", Json::array());
        const bool first_number = name == int_or_string_name;
        choices.push(tree.arena(), tree.one("type", first_number ? "integer" : "string"));
        choices.push(tree.arena(), tree.one("type", first_number ? "string" : "number"));
    } else {
        tree.text(schema, "type", row->type);
    }
    if (!row->format.empty()) tree.text(schema, "format", row->format);
    return schema;
}

}   // namespace

Json gvk_json(const GroupVersionKind& gvk, Arena& arena) {
    Json object = Json::object();
    object.set_borrowed(arena, "group", Json::borrowed(gvk.group));
    object.set_borrowed(arena, "kind", Json::borrowed(gvk.kind));
    object.set_borrowed(arena, "version", Json::borrowed(gvk.version));
    return object;
}

const Message* message_of(const Kind& kind, const Subresource& sub) {
    if (sub.kind == kind.kind && sub.group == kind.group && sub.version == kind.version)
        return kind.message;
    return builtin_message(
        concat(sub.group.empty() ? "core" : sub.group, ".", sub.version, ".", sub.kind));
}

Json reference(Dialect dialect, std::string_view name, Arena& arena) {
    Json object = Json::object();
    const auto prefix = dialect == Dialect::V2 ? "#/definitions/" : "#/components/schemas/";
    object.set_borrowed(arena, "$ref", Json::string(arena, concat(prefix, name)));
    return object;
}

Json definition(Dialect dialect, const Definitions::Entry& entry, Arena& arena) {
    Tree tree{arena};
    if (!entry.message) return builtin_definition(dialect, tree, entry.name);
    Json schema = Json::object();
    if (!entry.message->doc.empty()) tree.text(schema, "description", entry.message->doc);
    tree.text(schema, "type", "object");
    Json required = Json::array();
    Json properties = Json::object();
    each_field(*entry.message, [&](const Field& field) {
        if (field.name.empty() || field.inline_) return;
        tree.set(properties, field.name, property(dialect, tree, field));
        if (field.required) required.push(arena, Json::borrowed(field.name));
    });
    if (!required.empty()) tree.set(schema, "required", required);
    if (!properties.empty()) tree.set(schema, "properties", properties);
    if (!entry.kinds.empty()) {
        Json& kinds = tree.set(schema, "x-kubernetes-group-version-kind", Json::array());
        for (const auto& gvk : entry.kinds) kinds.push(arena, gvk_json(gvk, arena));
    }
    return schema;
}

Definitions::Definitions(std::span<const Kind* const> kinds) {
    note(patch_name, nullptr);
    for (const auto name : {"meta.v1.Status", "meta.v1.DeleteOptions", "meta.v1.WatchEvent"})
        if (const Message* message = builtin_message(name)) reach(*message);
    for (const Kind* kind : kinds) {
        if (kind->message) reach(*kind->message);
        if (kind->list_message) reach(*kind->list_message);
        for (const Subresource& sub : kind->subresources)
            if (const Message* spoken = message_of(*kind, sub)) reach(*spoken);
    }
    for (const Kind* kind : kinds) {
        const GroupVersionKind gvk{kind->group, kind->version, kind->kind};
        note_kind(kind->message, gvk);
        note_kind(kind->list_message, {kind->group, kind->version, kind->list_kind});
        note_kind(builtin_message("meta.v1.DeleteOptions"),
                  {kind->group, kind->version, "DeleteOptions"});
        note_kind(builtin_message("meta.v1.WatchEvent"),
                  {kind->group, kind->version, "WatchEvent"});
        for (const Subresource& sub : kind->subresources)
            note_kind(message_of(*kind, sub), {sub.group, sub.version, sub.kind});
    }
    note_kind(builtin_message("meta.v1.Status"), {"", "v1", "Status"});
}

void Definitions::note(std::string_view name, const Message* message) {
    const auto at = std::ranges::lower_bound(entries_, name, {}, &Entry::name);
    if (at == entries_.end() || at->name != name) entries_.insert(at, {name, message, {}});
}

void Definitions::reach(const Message& message) {
    const auto at = std::ranges::lower_bound(entries_, message.openapi_name, {}, &Entry::name);
    if (at != entries_.end() && at->name == message.openapi_name) return;
    entries_.insert(at, {message.openapi_name, &message, {}});
    each_field(message, [&](const Field& field) {
        if (field.type == Type::Message && field.message)
            reach(*field.message);
        else if (const auto name = name_of_type(field.type); !name.empty())
            note(name, nullptr);
    });
}

void Definitions::note_kind(const Message* message, const GroupVersionKind& gvk) {
    if (!message || gvk.kind.empty()) return;
    const auto at = std::ranges::lower_bound(entries_, message->openapi_name, {}, &Entry::name);
    if (at == entries_.end() || at->name != message->openapi_name) return;
    const bool known = std::ranges::any_of(at->kinds, [&](const GroupVersionKind& other) {
        return other.group == gvk.group && other.version == gvk.version && other.kind == gvk.kind;
    });
    if (!known) at->kinds.push_back(gvk);
}

}   // namespace skiff::api::openapi
