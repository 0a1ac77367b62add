// Defaults from the tables.
#include "api/leaf.h"
#include "api/normalize.h"
#include "api/rules.h"
#include "api/tree_path.h"

namespace skiff::api {
namespace {

bool is_unsaid(const Field& field, const Json* value) {
    if (!value || value->is_null()) return true;
    if (field.presence == Presence::Optional) return false;
    Field plain = field;
    plain.presence = Presence::Plain;   // Go cannot tell an `always` field's zero from its absence
    return is_omitted_zero(plain, *value);
}

void fill(const Message& message, Json& object, Arena& arena);

void fill_below(const Field& field, Json& value, Arena& arena) {
    switch (field.shape) {
    case Shape::Single:
        if (value.is_object()) fill(*field.message, value, arena);
        break;
    case Shape::List:
        for (Json& item : value.items())
            if (item.is_object()) fill(*field.message, item, arena);
        break;
    case Shape::Map:
        for (auto& [key, item] : value.members())
            if (item.is_object()) fill(*field.message, item, arena);
        break;
    }
}

void fill_field(const Field& field, Json& object, Arena& arena) {
    if (field.inline_) return fill(*field.message, object, arena);
    const bool has_default = !field.default_json.empty();
    if (!has_default && field.type != Type::Message) return;
    Json* value = object.find(field.name);
    if (has_default && is_unsaid(field, value))
        value = &object.set_borrowed(arena, field.name, default_value(field.default_json, arena));
    if (value && field.type == Type::Message) fill_below(field, *value, arena);
}

void fill(const Message& message, Json& object, Arena& arena) {
    for (const Field& field : message.fields) fill_field(field, object, arena);
}

}   // namespace

// Most defaults are short literals: no parser for those.
Json default_value(std::string_view json, Arena& arena) {
    if (json == "{}") return Json::object();
    if (json == "[]") return Json::array();
    if (json == "true" || json == "false") return Json::boolean(json == "true");
    if (json.size() >= 2 && json.front() == '"' && json.find('\\') == json.npos)
        return Json::borrowed(json.substr(1, json.size() - 2));
    auto parsed = codec::parse_json_into(arena, json);
    ASSERT(parsed.has_value());
    return *parsed;
}

void apply_defaults(const Kind& kind, Json& object, Arena& arena) {
    for (const Difference& difference : kind.differences) {
        if (difference.kind != Difference::Kind::Default) continue;
        if (!find_path(object, difference.path))
            set_path(object, difference.path, default_value(difference.value, arena), arena);
    }
    fill(*kind.message, object, arena);
    const Rules& rules = rules_of(kind.rules);
    if (!kind.stored && rules.defaults) rules.defaults(object, arena);
}

}   // namespace skiff::api
