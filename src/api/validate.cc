// What the tables say about values. Order and words are apimachinery's.
#include <algorithm>
#include <set>

#include "api/field_errors.h"
#include "api/names.h"
#include "api/normalize.h"
#include "api/rules.h"
#include "api/validate_metadata.h"
#include "base/text.h"

namespace skiff::api {
namespace {

class Validator {
  public:
    explicit Validator(Causes& causes) : causes_{causes} {}

    void object(const Message& message, const Json& value, const Json* old, const FieldPath& path) {
        for (const Field& one : message.fields) field(one, value, old, path);
    }

    void field(const Field& field, const Json& parent, const Json* old_parent,
               const FieldPath& path) {
        if (field.inline_) return object(*field.message, parent, old_parent, path);
        const Json* value = parent.find(field.name);
        if (value && value->is_null()) value = nullptr;
        const Json* old = old_parent ? old_parent->find(field.name) : nullptr;
        const FieldPath here = path.child(field.name);
        if (field.immutable && old_parent) check_immutable(value, old, here);
        if (is_missing(field, value)) {
            if (field.required) add_required(causes_, here);
            return;
        }
        if (!value) return check_range(field, 0, here);
        switch (field.shape) {
        case Shape::Single: return single(field, *value, old, here);
        case Shape::List: return list(field, *value, here);
        case Shape::Map: return map(field, *value, here);
        }
    }

  private:
    // What is absent and has no zero that could be checked.
    static bool is_missing(const Field& field, const Json* value) {
        const bool number = field.type == Type::Int32 || field.type == Type::Int64;
        if (field.shape != Shape::Single) return !value || value->empty();
        if (number && field.presence != Presence::Optional) {
            const bool zero = !value || (value->is_integer() && value->as_int() == 0);
            return zero && (field.format == Format::PortNumber || !field.required);
        }
        if (field.type == Type::String || field.type == Type::Bytes)
            return !value || (value->text().empty() && field.presence != Presence::Optional);
        return !value;
    }

    void single(const Field& field, const Json& value, const Json* old, const FieldPath& path) {
        if (field.type == Type::Message) return object(*field.message, value, old, path);
        if (value.is_integer()) {
            check_range(field, value.as_int(), path);
            if (field.format == Format::PortNumber)
                check_port_number(causes_, path, value.as_int());
        } else if (value.is_string()) {
            check_text(field, value.as_string(), path);
        }
    }

    void check_text(const Field& field, std::string_view text, const FieldPath& path) {
        if (!field.enum_values.empty() &&
            std::ranges::find(field.enum_values, text) == field.enum_values.end())
            add_not_supported(causes_, path, text, field.enum_values);
        if (field.format != Format::None)
            add_unless_ok(causes_, path, text, check_format(field.format, text));
    }

    void check_range(const Field& field, int64_t value, const FieldPath& path) {
        const bool low = field.has_min && value < field.min;
        const bool high = field.has_max && value > field.max;
        if (!low && !high) return;
        if (field.has_min && field.has_max)
            add_invalid(causes_, path, value, range_message(field.min, field.max));
        else if (low)
            add_invalid(causes_, path, value,
                        concat("must be greater than or equal to ", field.min));
        else
            add_invalid(causes_, path, value, concat("must be less than or equal to ", field.max));
    }

    void check_immutable(const Json* value, const Json* old, const FieldPath& path) {
        const Json absent;
        if (!((value ? *value : absent) == (old ? *old : absent)))
            add_invalid(causes_, path, value ? *value : absent, immutable_message);
    }

    void list(const Field& field, const Json& value, const FieldPath& path) {
        const auto items = value.items();
        std::set<std::string> seen;
        for (size_t i = 0; i < items.size(); ++i) {
            const FieldPath element = path.index(i);
            if (field.unique) check_unique(field, items[i], element, seen);
            if (field.type == Type::Message)
                object(*field.message, items[i], nullptr, element);
            else if (items[i].is_string())
                check_text(field, items[i].as_string(), element);
        }
    }

    void check_unique(const Field& field, const Json& item, const FieldPath& path,
                      std::set<std::string>& seen) {
        std::string key;
        for (const auto name : field.map_keys) {
            const Json* part = item.find(name);
            append(key, part ? codec::to_json(*part) : "null", ",");
        }
        if (field.map_keys.empty()) key = codec::to_json(item);
        if (seen.insert(key).second) return;
        const Json* only = field.map_keys.size() == 1 ? item.find(field.map_keys[0]) : nullptr;
        if (only)
            add_duplicate(causes_, path.child(field.map_keys[0]), *only);
        else
            add_duplicate(causes_, path, item);
    }

    void map(const Field& field, const Json& value, const FieldPath& path) {
        for (const auto& [key, item] : value.members()) {
            const FieldPath element = path.key(key);
            if (field.format != Format::None)
                add_unless_ok(causes_, element, key, check_format(field.format, key));
            if (field.type == Type::Message) object(*field.message, item, nullptr, element);
        }
    }

    Causes& causes_;
};

void keep_first_of_each(Causes& causes) {
    Causes kept;
    for (Cause& cause : causes)
        if (std::ranges::find(kept, cause) == kept.end()) kept.push_back(std::move(cause));
    causes = std::move(kept);
}

}   // namespace

std::vector<Cause> validate(const Kind& kind, const Json& object, const Json* old,
                            std::string_view subresource) {
    Causes causes;
    // What is stored nowhere needs no name.
    if (!stored_kind(kind).storage_prefix.empty()) validate_metadata(kind, object, old, causes);
    const Rules& rules = rules_of(kind.rules);
    if (subresource == "status") {
        if (rules.validate_status) rules.validate_status(object, old, causes);
        return causes;
    }
    const FieldPath root;
    Validator validator{causes};
    for (const Field& field : kind.message->fields) {
        if (field.number == 0 || field.name == "metadata" || field.name == "status") continue;
        validator.field(field, object, old, root);
    }
    if (!subresource.empty() && old && rules.validate_subresource)
        rules.validate_subresource(subresource, object, *old, causes);
    else if (rules.validate)
        rules.validate(object, old, causes);
    if (causes.size() > 1) keep_first_of_each(causes);
    return causes;
}

Error invalid_error(const Kind& kind, std::string_view name, std::vector<Cause> causes) {
    std::string what{kind.kind};
    if (!kind.group.empty()) append(what, ".", kind.group);
    append(what, " ");
    codec::write_json_string(name, what);
    append(what, " is invalid: ", causes.size() > 1 ? "[" : "");
    for (size_t i = 0; i < causes.size(); ++i)
        append(what, i ? ", " : "", causes[i].field, ": ", causes[i].message);
    if (causes.size() > 1) what += ']';
    Error error{.reason = Reason::Invalid, .message = std::move(what), .causes = std::move(causes)};
    error.subject = ErrorSubject{.group = std::string{kind.group},
                                 .kind = std::string{kind.kind},
                                 .name = std::string{name},
                                 .uid = {}};
    return error;
}

}   // namespace skiff::api
