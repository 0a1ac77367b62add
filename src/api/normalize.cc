#include "api/normalize.h"

#include <bitset>

#include "api/leaf.h"
#include "base/text.h"

namespace skiff::api {
namespace {

constexpr size_t unknown_fields_max = 100;   // reported
constexpr size_t fields_max = 256;           // of one built-in message; schemagen refuses more

// Where the walk is, as a chain on the stack; only a path that is told becomes a text.
struct Place {
    const Place* parent = nullptr;
    const Message* message = nullptr;   // the object in which `field` stands
    std::string_view field;
    int64_t index = -1;          // in a list
    std::string_view key = {};   // in a map

    // spec.containers[0].imagee, as strict decoding names unknown fields
    void append_strict(std::string& out) const {
        if (parent) parent->append_strict(out);
        if (field.empty()) return;
        if (!out.empty()) out += '.';
        out += field;
        if (index >= 0) append(out, "[", index, "]");
        if (!key.empty()) append(out, ".", key);
    }
    // spec.containers.image, as Go's type errors name fields
    void append_go(std::string& out) const {
        if (parent) parent->append_go(out);
        if (field.empty()) return;
        if (!out.empty()) out += '.';
        out += field;
    }
};

class Normalizer {
  public:
    Normalizer(Arena& arena, NormalizeReport& report) : arena_{arena}, report_{report} {}

    bool object(const Message& message, Json& value, const Place* parent) {
        std::bitset<fields_max> seen;
        value.remove_members_if([&](Json::Member& member) {
            if (failed()) return false;
            const Place place{parent, &message, member.key};
            const Field* field = field_of(message, member.key);
            if (!field) {
                report_unknown(place);
                return true;
            }
            if (member.value.is_null() || !shaped(*field, member.value, place)) return true;
            if (is_omitted_zero(*field, member.value)) return true;
            if (field->presence != Presence::Optional) seen.set(index_of(message, field));
            return false;
        });
        if (failed()) return false;
        for (size_t i = 0; i < message.all.size(); ++i) {
            const Field& field = *message.all[i];
            if (field.presence == Presence::Optional || seen.test(i)) continue;
            Json implied = implied_value(field);
            if (implied.is_null()) continue;
            const Place place{parent, &message, field.name};
            if (implied.is_object()) object(*field.message, implied, &place);
            value.set_borrowed(arena_, field.name, implied);
        }
        return true;
    }

    bool failed() const { return !problem_.empty(); }
    std::string take_problem() { return std::move(problem_); }

  private:
    static size_t index_of(const Message& message, const Field* field) {
        // `all` holds the message's own fields in order, and between them those of inline ones.
        const auto own = (reinterpret_cast<uintptr_t>(field) -
                          reinterpret_cast<uintptr_t>(message.fields.data())) /
                         sizeof(Field);
        if (own < message.all.size() && message.all[own] == field) return own;
        for (size_t i = 0; i < message.all.size(); ++i)
            if (message.all[i] == field) return i;
        return fields_max - 1;   // a table made at run time, which implies nothing
    }

    // False: it comes to nothing, or failed.
    bool shaped(const Field& field, Json& value, const Place& place) {
        if (field.shape == Shape::Single) return single(field, value, place, false);
        const bool list = field.shape == Shape::List;
        if (list ? !value.is_array() : !value.is_object())
            return type_error(field, value, place, false);
        Place inner = place;
        if (list) {
            for (Json& item : value.items()) {
                ++inner.index;
                if (!element(field, item, inner)) return false;
            }
            return true;
        }
        for (auto& [key, item] : value.members()) {
            inner.key = key;
            if (!element(field, item, inner)) return false;
        }
        return true;
    }

    // A null element is a zero one, as in Go, where the zero time is null again.
    bool element(const Field& field, Json& value, const Place& place) {
        const bool time = field.type == Type::Time || field.type == Type::MicroTime;
        if (value.is_null() && time) return true;
        if (value.is_null()) value = zero_of(field);
        single(field, value, place, true);
        return !failed();
    }

    bool single(const Field& field, Json& value, const Place& place, bool element) {
        if (field.type == Type::Message) {
            if (!value.is_object()) return type_error(field, value, place, element);
            return object(*field.message, value, &place);
        }
        const LeafProblem wrong = check_leaf(field.type, value, arena_);
        if (!wrong) return true;
        if (wrong.wrong_type) return type_error(field, value, place, element, wrong.message);
        problem_ = wrong.message;
        return false;
    }

    static Json zero_of(const Field& field) {
        switch (field.type) {
        case Type::Message: return Json::object();
        case Type::StringList: return Json::array();
        case Type::Bool: return Json::boolean(false);
        case Type::Int32:
        case Type::Int64:
        case Type::Double:
        case Type::IntOrString: return Json::integer(0);
        case Type::Quantity: return Json::borrowed("0");
        case Type::Duration: return Json::borrowed("0s");
        case Type::Any: return {};
        case Type::FieldsV1: return Json::object();
        default: return Json::borrowed("");
        }
    }

    bool type_error(const Field& field, const Json& value, const Place& place, bool element,
                    const std::string& what = {}) {
        if (failed()) return false;
        std::string path;
        place.append_go(path);
        problem_ =
            concat("json: cannot unmarshal ",
                   what.empty() ? go_kind(value) : std::string_view{what}, " into Go struct field ",
                   place.message->short_name(), ".", path, " of type ", go_type(field, element));
        return false;
    }

    void report_unknown(const Place& place) {
        if (report_.unknown_fields.size() >= unknown_fields_max) return;
        place.append_strict(report_.unknown_fields.emplace_back());
    }

    Arena& arena_;
    NormalizeReport& report_;
    std::string problem_;
};

}   // namespace

Result<> normalize(const Message& message, Json& value, Arena& arena, NormalizeReport& report) {
    if (!value.is_object())
        return fail(Reason::BadRequest, concat("json: cannot unmarshal ", go_kind(value),
                                               " into Go value of type ", message.go_name()));
    Normalizer walker{arena, report};
    if (!walker.object(message, value, nullptr))
        return fail(Reason::BadRequest, walker.take_problem());
    return {};
}

}   // namespace skiff::api
