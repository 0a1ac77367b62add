// Kubernetes' protobuf into the tree (apimachinery's generated.proto; the hand-made forms of Time,
// Quantity, IntOrString, RawExtension and FieldsV1 are in `special`).
#include <algorithm>

#include "api/normalize.h"
#include "base/text.h"
#include "base/time.h"
#include "codec/protobuf.h"
#include "codec/utf8.h"

namespace skiff::api {
namespace {

using codec::ProtoReader;

constexpr unsigned depth_max = 256;
constexpr int64_t seconds_min = -9'000'000'000;   // what WallTime can say: the years 1684 to 2255
constexpr int64_t seconds_max = 9'000'000'000;

bool is_utf8(std::string_view text) {
    while (!text.empty()) {
        const size_t length = codec::utf8_length(text);
        if (length == 0) return false;
        text.remove_prefix(length);
    }
    return true;
}

class Decoder {
  public:
    explicit Decoder(Arena& arena) : arena_{arena} {}

    Result<> message(const Message& message, std::string_view bytes, Json& object) {
        if (++depth_ > depth_max)
            return fail(Reason::BadRequest, "the protobuf message is nested too deep");
        ProtoReader reader{bytes};
        while (reader.next()) {
            const Field* field = field_of(message, reader.number());
            if (field) TRY_OK(this->field(*field, reader, object));
        }
        --depth_;
        return reader.finish();
    }

  private:
    Result<> field(const Field& field, ProtoReader& reader, Json& object) {
        if (field.inline_) return message(*field.message, reader.bytes(), object);
        if (field.shape == Shape::Map) return map_entry(field, reader.bytes(), object);
        if (field.shape == Shape::List) {
            Json& list = object.make_array(arena_, field.name);
            if (is_varint(field.type)) {
                reader.each_varint(
                    [&](uint64_t value) { list.push(arena_, varint(field.type, value)); });
                return {};
            }
            Json item;
            TRY_OK(single(field, reader, item));
            list.push(arena_, item);
            return {};
        }
        if (field.type == Type::Message) {   // sent in parts, they are merged
            return message(*field.message, reader.bytes(), object.make_object(arena_, field.name));
        }
        Json value;
        TRY_OK(single(field, reader, value));
        if (!value.is_null()) object.set_borrowed(arena_, field.name, value);
        return {};
    }

    Result<> map_entry(const Field& field, std::string_view bytes, Json& object) {
        Json& map = object.make_object(arena_, field.name);
        ProtoReader entry{bytes};
        std::string_view key;
        Json value;
        while (entry.next()) {
            if (entry.number() == 1) key = entry.text();
            if (entry.number() == 2) TRY_OK(single(field, entry, value));
        }
        TRY_OK(entry.finish());
        if (!is_utf8(key)) return not_utf8(field);
        map.set(arena_, key, value.is_null() ? empty(field.type) : value);
        return {};
    }

    static Json empty(Type type) {
        if (type == Type::Message) return Json::object();
        if (type == Type::StringList) return Json::array();
        if (is_varint(type)) return varint(type, 0);
        if (type == Type::Time || type == Type::MicroTime) return {};
        return Json::borrowed(type == Type::Quantity ? "0" : "");
    }

    Result<> single(const Field& field, ProtoReader& reader, Json& out) {
        switch (field.type) {
        case Type::Bool:
        case Type::Int32:
        case Type::Int64: out = varint(field.type, reader.uint64()); return {};
        case Type::Double: {
            const double value = reader.float64();
            if (!(value - value == 0))
                return fail(Reason::BadRequest, concat(field.name, ": no finite number"));
            out = Json::number(value);
            return {};
        }
        case Type::String: return text(field, reader.text(), out);
        case Type::Bytes: out = Json::string(arena_, base64(reader.bytes())); return {};
        case Type::Message:
            out = Json::object();
            return message(*field.message, reader.bytes(), out);
        default: return special(field, reader.message(), out);
        }
    }

    // Messages that JSON knows as one value.
    Result<> special(const Field& field, ProtoReader reader, Json& out) {
        int64_t numbers[4] = {};
        std::string_view texts[4];
        if (field.type == Type::StringList) out = Json::array();
        while (reader.next()) {
            const uint32_t number = reader.number();
            if (number > 3) continue;
            if (reader.type() == codec::WireType::Varint) numbers[number] = reader.int64();
            if (reader.type() != codec::WireType::Bytes) continue;
            texts[number] = reader.bytes();
            if (field.type != Type::StringList || number != 1) continue;
            Json item;
            TRY_OK(text(field, texts[1], item));
            out.push(arena_, item);
        }
        TRY_OK(reader.finish());
        switch (field.type) {
        case Type::Time:
        case Type::MicroTime: return time(field, numbers[1], numbers[2], out);
        case Type::Duration:
            out = Json::string(arena_, go_duration(Duration{numbers[1]}));
            return {};
        case Type::Quantity: return text(field, texts[1].empty() ? "0" : texts[1], out);
        case Type::IntOrString:
            if (numbers[1] == 1) return text(field, texts[3], out);
            out = Json::integer(static_cast<int32_t>(numbers[2]));
            return {};
        case Type::Any:
        case Type::FieldsV1: return raw(field, texts[1], out);
        default: return {};
        }
    }

    Result<> time(const Field& field, int64_t seconds, int64_t nanos, Json& out) {
        if (seconds == 0 && nanos == 0) return {};   // Go's zero time
        if (seconds < seconds_min || seconds > seconds_max || nanos < 0 || nanos > 999'999'999)
            return fail(Reason::BadRequest, concat(field.name, ": a time out of range"));
        const WallTime at{std::chrono::seconds{seconds} + Duration{nanos}};
        out = Json::string(arena_, field.type == Type::Time ? rfc3339(at) : rfc3339_micro(at));
        return {};
    }

    Result<> text(const Field& field, std::string_view bytes, Json& out) {
        if (!is_utf8(bytes)) return not_utf8(field);
        out = Json::string(arena_, bytes);
        return {};
    }

    Result<> raw(const Field& field, std::string_view bytes, Json& out) {
        if (bytes.empty()) return {};
        auto parsed = codec::parse_json_into(arena_, bytes);
        if (!parsed) return std::unexpected{std::move(parsed).error().in(field.name)};
        out = *parsed;
        return {};
    }

    static std::unexpected<Error> not_utf8(const Field& field) {
        return fail(Reason::BadRequest, concat(field.name, ": the text is not valid UTF-8"));
    }

    static bool is_varint(Type type) {
        return type == Type::Bool || type == Type::Int32 || type == Type::Int64;
    }
    static Json varint(Type type, uint64_t value) {
        if (type == Type::Bool) return Json::boolean(value != 0);
        if (type == Type::Int32)
            return Json::integer(static_cast<int32_t>(static_cast<uint32_t>(value)));
        return Json::integer(static_cast<int64_t>(value));
    }

    Arena& arena_;
    unsigned depth_ = 0;
};

}   // namespace

Result<Json> decode_protobuf(const Message& message, std::string_view bytes, Arena& arena) {
    Json object = Json::object();
    Decoder decoder{arena};
    TRY_OK(decoder.message(message, bytes, object));
    return object;
}

}   // namespace skiff::api
