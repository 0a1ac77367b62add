// The tree into Kubernetes' protobuf: ascending numbers, map keys sorted, plain messages always.
#include <algorithm>
#include <vector>

#include "api/normalize.h"
#include "base/text.h"
#include "base/time.h"
#include "codec/protobuf.h"

namespace skiff::api {
namespace {

using codec::ProtoWriter;

std::unexpected<Error> misfit(const Field& field) {
    return fail(Reason::InternalError,
                concat("the field '", field.name, "' does not have the type of its schema"));
}

class Encoder {
  public:
    explicit Encoder(std::string& out) : writer_{out} {}

    Result<> message(const Message& message, const Json& object) {
        for (const Field& field : message.fields)
            if (field.number != 0) TRY_OK(this->field(field, object));
        return {};
    }

  private:
    Result<> field(const Field& field, const Json& object) {
        if (field.inline_) {
            const size_t mark = writer_.begin(field.number);
            TRY_OK(message(*field.message, object));
            writer_.end(mark);
            return {};
        }
        const Json* value = object.find(field.name);
        if (!value || value->is_null()) {
            const bool plain = field.type == Type::Message && field.shape == Shape::Single &&
                               field.presence != Presence::Optional;
            return plain ? nested(field.number, *field.message, Json::object()) : Result<>{};
        }
        switch (field.shape) {
        case Shape::Single: return single(field, field.number, *value);
        case Shape::List:
            if (!value->is_array()) return misfit(field);
            for (const Json& item : value->items()) TRY_OK(single(field, field.number, item));
            return {};
        case Shape::Map: return map(field, *value);
        }
        return {};
    }

    Result<> nested(uint32_t number, const Message& below, const Json& object) {
        const size_t mark = writer_.begin(number);
        TRY_OK(message(below, object));
        writer_.end(mark);
        return {};
    }

    Result<> map(const Field& field, const Json& value) {
        if (!value.is_object()) return misfit(field);
        std::vector<const Json::Member*> members;
        for (const auto& member : value.members()) members.push_back(&member);
        std::ranges::sort(members, {}, &Json::Member::key);
        for (const auto* member : members) {
            const size_t mark = writer_.begin(field.number);
            writer_.text(1, member->key);
            TRY_OK(single(field, 2, member->value));
            writer_.end(mark);
        }
        return {};
    }

    Result<> single(const Field& field, uint32_t number, const Json& value) {
        switch (field.type) {
        case Type::Bool:
            if (!value.is_bool()) return misfit(field);
            writer_.boolean(number, value.as_bool());
            return {};
        case Type::Int32:
        case Type::Int64:
            if (!value.is_integer()) return misfit(field);
            writer_.int64(number, value.as_int());
            return {};
        case Type::Double:
            if (!value.is_number()) return misfit(field);
            writer_.float64(number, value.as_double());
            return {};
        case Type::Message:
            if (!value.is_object()) return misfit(field);
            return nested(number, *field.message, value);
        case Type::Any:
        case Type::FieldsV1: return wrapped(number, codec::to_json(value));
        case Type::IntOrString: return int_or_string(field, number, value);
        case Type::StringList: {
            const size_t mark = writer_.begin(number);
            for (const Json& item : value.items()) writer_.text(1, item.text());
            writer_.end(mark);
            return {};
        }
        case Type::Time:
        case Type::MicroTime:
            if (!value.is_null()) break;
            writer_.message(number, [] {});   // Go's zero time, as an element
            return {};
        default: break;
        }
        if (!value.is_string()) return misfit(field);
        return text(field, number, value.as_string());
    }

    Result<> text(const Field& field, uint32_t number, std::string_view text) {
        switch (field.type) {
        case Type::Bytes: {
            const auto decoded = base64_decoded(text);
            if (!decoded) return misfit(field);
            writer_.bytes(number, *decoded);
            return {};
        }
        case Type::Quantity: return wrapped(number, text);
        case Type::Time:
        case Type::MicroTime: {
            TRY(const auto time, parse_rfc3339(text));
            const auto seconds = std::chrono::floor<std::chrono::seconds>(time);
            const auto nanos = (time - seconds).count();
            writer_.message(number, [&] {
                writer_.int64(1, seconds.time_since_epoch().count());
                writer_.int32(2, static_cast<int32_t>(nanos));
            });
            return {};
        }
        case Type::Duration: {
            TRY(const auto duration, parse_go_duration(text));
            writer_.message(number, [&] { writer_.int64(1, duration.count()); });
            return {};
        }
        default: writer_.text(number, text); return {};
        }
    }

    Result<> wrapped(uint32_t number, std::string_view bytes) {
        writer_.message(number, [&] { writer_.bytes(1, bytes); });
        return {};
    }

    Result<> int_or_string(const Field& field, uint32_t number, const Json& value) {
        if (!value.is_string() && !value.is_integer()) return misfit(field);
        writer_.message(number, [&] {
            writer_.int64(1, value.is_string() ? 1 : 0);
            writer_.int64(2, value.is_string() ? 0 : value.as_int());
            writer_.text(3, value.text());
        });
        return {};
    }

    ProtoWriter writer_;
};

}   // namespace

Result<> encode_protobuf(const Message& message, const Json& value, std::string& out) {
    if (!value.is_object())
        return fail(Reason::InternalError, "only an object is a protobuf message");
    Encoder encoder{out};
    return encoder.message(message, value);
}

}   // namespace skiff::api
