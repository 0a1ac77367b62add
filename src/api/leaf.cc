#include "api/leaf.h"

#include <limits>

#include "api/quantity.h"
#include "base/text.h"
#include "base/time.h"

namespace skiff::api {
namespace {

using codec::Arena;
using codec::Json;

LeafProblem wrong_type() { return {.wrong_type = true, .message = {}}; }
LeafProblem problem(std::string message) {
    return {.wrong_type = false, .message = std::move(message)};
}

void replace_text(Json& value, const std::string& text, Arena& arena) {
    if (value.as_string() != text) value = Json::string(arena, text);
}

// The unmarshalers of Time, Duration and IntOrString read a value of their own, outside any field.
LeafProblem wrong_inner(const Json& value, std::string_view wanted) {
    return problem(
        concat("json: cannot unmarshal ", go_kind(value), " into Go value of type ", wanted));
}

LeafProblem check_integer(Json& value, int64_t min, int64_t max) {
    if (!value.is_number()) return wrong_type();
    if (value.type() != Json::Type::Int || value.as_int() < min || value.as_int() > max)
        return {.wrong_type = true, .message = concat("number ", codec::to_json(value))};
    return {};
}

LeafProblem check_bytes(Json& value, Arena& arena) {
    if (!value.is_string()) return wrong_type();
    std::string text{value.as_string()};
    std::erase_if(text,
                  [](char c) { return c == '\n' || c == '\r'; });   // Go's decoder passes them
    const auto decoded = base64_decoded(text);
    if (!decoded) {
        size_t at = 0;
        const auto fits = [](char c) {
            return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                   c == '+' || c == '/';
        };
        while (at < text.size() && fits(text[at])) ++at;
        return problem(concat("illegal base64 data at input byte ", at));
    }
    replace_text(value, text, arena);
    return {};
}

LeafProblem check_time(Type type, Json& value, Arena& arena) {
    if (!value.is_string()) return wrong_inner(value, "string");
    const auto time = parse_rfc3339(value.as_string());
    if (!time) {
        const std::string_view layout =
            type == Type::Time ? "2006-01-02T15:04:05Z07:00" : "2006-01-02T15:04:05.000000Z07:00";
        return problem(concat("parsing time ", codec::to_json(value), " as \"", layout,
                              "\": cannot parse ", codec::to_json(value), " as \"2006\""));
    }
    replace_text(value, type == Type::Time ? rfc3339(*time) : rfc3339_micro(*time), arena);
    return {};
}

LeafProblem check_duration(Json& value, Arena& arena) {
    if (!value.is_string()) return wrong_inner(value, "string");
    const auto duration = parse_go_duration(value.as_string());
    if (!duration) return problem(concat("time: invalid duration ", codec::to_json(value)));
    replace_text(value, go_duration(*duration), arena);
    return {};
}

LeafProblem check_quantity(Json& value, Arena& arena) {
    const std::string text =
        value.is_string() ? std::string{value.as_string()} : codec::to_json(value);
    const auto quantity = Quantity::parse(text.empty() ? "0" : text);
    if (!quantity) return problem(quantity.error().message);
    const auto canonical = quantity->canonical();
    if (!value.is_string() || value.as_string() != canonical)
        value = Json::string(arena, canonical);
    return {};
}

}   // namespace

bool is_omitted_zero(const Field& field, const Json& value) {
    if (field.presence != Presence::Plain) return false;
    if (field.shape != Shape::Single || field.type == Type::StringList) return value.empty();
    switch (field.type) {
    case Type::Bool: return value.is_bool() && !value.as_bool();
    case Type::Int32:
    case Type::Int64: return value.is_integer() && value.as_int() == 0;
    case Type::Double: return value.is_number() && value.as_double() == 0;
    case Type::String:
    case Type::Bytes: return value.text().empty();
    default: return false;
    }
}

Json implied_value(const Field& field) {
    if (field.shape != Shape::Single || field.number == 0) return {};
    if (field.type == Type::Message)
        return field.presence == Presence::Optional ? Json{} : Json::object();
    if (field.presence != Presence::Always) return {};
    switch (field.type) {
    case Type::Bool: return Json::boolean(false);
    case Type::Int32:
    case Type::Int64:
    case Type::Double: return Json::integer(0);
    case Type::String: return Json::borrowed("");
    default: return {};
    }
}

LeafProblem check_leaf(Type type, Json& value, Arena& arena) {
    switch (type) {
    case Type::Bool: return value.is_bool() ? LeafProblem{} : wrong_type();
    case Type::Int32:
        return check_integer(value, std::numeric_limits<int32_t>::min(),
                             std::numeric_limits<int32_t>::max());
    case Type::Int64:
        return check_integer(value, std::numeric_limits<int64_t>::min(),
                             std::numeric_limits<int64_t>::max());
    case Type::Double: return value.is_number() ? LeafProblem{} : wrong_type();
    case Type::String: return value.is_string() ? LeafProblem{} : wrong_type();
    case Type::Bytes: return check_bytes(value, arena);
    case Type::Time:
    case Type::MicroTime: return check_time(type, value, arena);
    case Type::Duration: return check_duration(value, arena);
    case Type::Quantity: return check_quantity(value, arena);
    case Type::IntOrString: {
        if (value.is_string()) return {};
        if (!value.is_number()) return wrong_inner(value, "int32");
        Json number = value;
        if (!check_integer(number, std::numeric_limits<int32_t>::min(),
                           std::numeric_limits<int32_t>::max()))
            return {};
        return problem(concat("json: cannot unmarshal number ", codec::to_json(value),
                              " into Go value of type int32"));
    }
    case Type::StringList:
        if (!value.is_array()) return wrong_type();
        for (Json& item : value.items()) {
            if (item.is_null()) item = Json::borrowed("");
            if (!item.is_string()) return wrong_type();
        }
        return {};
    case Type::FieldsV1: return value.is_object() ? LeafProblem{} : wrong_type();
    case Type::Any:
    case Type::Message: return {};
    }
    return {};
}

std::string_view go_kind(const Json& value) {
    if (value.is_string()) return "string";
    if (value.is_number()) return "number";
    if (value.is_bool()) return "bool";
    return value.is_array() ? "array" : "object";
}

std::string go_type(const Field& field, bool element) {
    std::string text;
    if (!element && field.shape == Shape::List) text = "[]";
    if (!element && field.shape == Shape::Map) text = "map[string]";
    switch (field.type) {
    case Type::Bool: return text += "bool";
    case Type::Int32: return text += "int32";
    case Type::Int64: return text += "int64";
    case Type::Double: return text += "float64";
    case Type::String: return text += "string";
    case Type::Bytes: return text += "[]uint8";
    case Type::Time: return text += "v1.Time";
    case Type::MicroTime: return text += "v1.MicroTime";
    case Type::Duration: return text += "v1.Duration";
    case Type::Quantity: return text += "resource.Quantity";
    case Type::IntOrString: return text += "intstr.IntOrString";
    case Type::StringList: return text += "[]string";
    case Type::FieldsV1: return text += "v1.FieldsV1";
    case Type::Any: return text += "runtime.RawExtension";
    case Type::Message: return text += field.message->go_name();
    }
    return text;
}

}   // namespace skiff::api
