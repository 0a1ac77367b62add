// Views back into trees.
#include "api/view.h"
#include "base/text.h"

namespace skiff::api {
namespace {

using codec::Arena;
using codec::Json;

Json object_of(const ViewTable& table, const void* view, Arena& arena);

Json value_of(const ViewField& field, const void* value, Arena& arena) {
    switch (field.type) {
    case ViewType::Bool: return Json::boolean(*static_cast<const bool*>(value));
    case ViewType::Int32: return Json::integer(*static_cast<const int32_t*>(value));
    case ViewType::Int64: return Json::integer(*static_cast<const int64_t*>(value));
    case ViewType::Double: return Json::number(*static_cast<const double*>(value));
    case ViewType::String: return Json::string(arena, *static_cast<const std::string*>(value));
    case ViewType::Interned:
        return Json::string(arena, static_cast<const Interned*>(value)->view());
    case ViewType::Bytes:
        return Json::string(arena, base64(*static_cast<const std::string*>(value)));
    case ViewType::Time: return Json::string(arena, rfc3339(*static_cast<const WallTime*>(value)));
    case ViewType::MicroTime:
        return Json::string(arena, rfc3339_micro(*static_cast<const WallTime*>(value)));
    case ViewType::Duration:
        return Json::string(arena, go_duration(*static_cast<const Duration*>(value)));
    case ViewType::Quantity:
        return Json::string(arena, static_cast<const Quantity*>(value)->canonical());
    case ViewType::IntOrString: {
        const auto& either = *static_cast<const IntOrString*>(value);
        return either.is_string ? Json::string(arena, either.text) : Json::integer(either.number);
    }
    case ViewType::Message: return object_of(*field.table, value, arena);
    case ViewType::Raw: {
        auto parsed = codec::parse_json_into(arena, *static_cast<const std::string*>(value));
        return parsed ? *parsed : Json{};
    }
    case ViewType::StringList: {
        Json list = Json::array();
        for (const std::string& item : *static_cast<const std::vector<std::string>*>(value))
            list.push(arena, Json::string(arena, item));
        return list;
    }
    }
    return {};
}

// Whether a value that is itself the member is left out, as Go's omitempty does; an empty message
// too: the server makes it again.
bool is_empty(const Json& value) {
    switch (value.type()) {
    case Json::Type::Null: return true;
    case Json::Type::Bool: return !value.as_bool();
    case Json::Type::Int: return value.as_int() == 0;
    case Json::Type::Double: return value.as_double() == 0;
    case Json::Type::String: return value.as_string().empty();
    default: return value.empty();
    }
}

struct Collector {
    const ViewField& field;
    Arena& arena;
    Json out;
};

void collect(void* context, std::string_view key, const void* value) {
    auto& collector = *static_cast<Collector*>(context);
    const Json one = value_of(collector.field, value, collector.arena);
    switch (collector.field.shape) {
    case ViewShape::Single: collector.out = one; break;
    case ViewShape::List: collector.out.push(collector.arena, one); break;
    case ViewShape::Map: collector.out.set(collector.arena, key, one); break;
    }
}

Json object_of(const ViewTable& table, const void* view, Arena& arena) {
    Json object = Json::object();
    if (!table.kind.empty()) {
        object.set_borrowed(arena, "apiVersion", Json::borrowed(table.api_version));
        object.set_borrowed(arena, "kind", Json::borrowed(table.kind));
    }
    for (const ViewField& field : table.fields) {
        Collector collector{field, arena, {}};
        if (field.shape == ViewShape::List) collector.out = Json::array();
        if (field.shape == ViewShape::Map) collector.out = Json::object();
        field.holder->each(static_cast<const char*>(view) + field.offset, &collector, collect);
        const bool maybe = field.shape == ViewShape::Single && !field.holder->plain;
        if (maybe ? collector.out.is_null() : is_empty(collector.out) && !field.always) continue;
        object.set_borrowed(arena, field.name, collector.out);
    }
    return object;
}

}   // namespace

Json encode_view(const ViewTable& table, const void* view, Arena& arena) {
    return object_of(table, view, arena);
}

}   // namespace skiff::api
