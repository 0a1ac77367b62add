#include "api/field_errors.h"

#include "base/text.h"
#include "codec/json_text.h"

namespace skiff::api {
namespace {

using codec::quoted;

void add(Causes& causes, std::string_view type, std::string message, const FieldPath& path) {
    causes.push_back({std::string{type}, std::move(message), path.text()});
}

void add_value(Causes& causes, std::string_view type, std::string_view words, const FieldPath& path,
               std::string_view value, std::string_view detail) {
    std::string message = concat(words, ": ", value);
    if (!detail.empty()) append(message, ": ", detail);
    add(causes, type, std::move(message), path);
}

}   // namespace

void FieldPath::append_to(std::string& out) const {
    if (parent_) parent_->append_to(out);
    if (!name_.empty()) {
        if (!out.empty()) out += '.';
        out += name_;
    }
    if (index_ == keyed)
        append(out, "[", key_, "]");
    else if (index_ != none)
        append(out, "[", index_, "]");
}

std::string FieldPath::text() const {
    std::string out;
    append_to(out);
    return out.empty() ? "[]" : out;   // the object itself, as upstream writes it
}

void add_required(Causes& causes, const FieldPath& path, std::string_view detail) {
    std::string message = "Required value";
    if (!detail.empty()) append(message, ": ", detail);
    add(causes, "FieldValueRequired", std::move(message), path);
}

void add_invalid(Causes& causes, const FieldPath& path, std::string_view value,
                 std::string_view detail) {
    add_value(causes, "FieldValueInvalid", "Invalid value", path, quoted(value), detail);
}

void add_invalid(Causes& causes, const FieldPath& path, const char* value,
                 std::string_view detail) {
    add_invalid(causes, path, std::string_view{value}, detail);
}

void add_invalid(Causes& causes, const FieldPath& path, const codec::Json& value,
                 std::string_view detail) {
    add_value(causes, "FieldValueInvalid", "Invalid value", path, to_json(value), detail);
}

void add_invalid(Causes& causes, const FieldPath& path, int64_t value, std::string_view detail) {
    add_value(causes, "FieldValueInvalid", "Invalid value", path, concat(value), detail);
}

void add_not_supported(Causes& causes, const FieldPath& path, std::string_view value,
                       std::span<const std::string_view> supported) {
    std::string detail = "supported values: ";
    for (size_t i = 0; i < supported.size(); ++i)
        append(detail, i ? ", " : "", quoted(supported[i]));
    add_value(causes, "FieldValueNotSupported", "Unsupported value", path, quoted(value), detail);
}

void add_not_supported(Causes& causes, const FieldPath& path, std::string_view value,
                       std::initializer_list<std::string_view> supported) {
    add_not_supported(causes, path, value, std::span{supported.begin(), supported.size()});
}

void add_duplicate(Causes& causes, const FieldPath& path, std::string_view value) {
    add_value(causes, "FieldValueDuplicate", "Duplicate value", path, quoted(value), {});
}

void add_duplicate(Causes& causes, const FieldPath& path, const codec::Json& value) {
    add_value(causes, "FieldValueDuplicate", "Duplicate value", path, to_json(value), {});
}

void add_not_found(Causes& causes, const FieldPath& path, std::string_view value) {
    add_value(causes, "FieldValueNotFound", "Not found", path, quoted(value), {});
}

void add_forbidden(Causes& causes, const FieldPath& path, std::string_view detail) {
    add(causes, "FieldValueForbidden", concat("Forbidden: ", detail), path);
}

void add_too_long(Causes& causes, const FieldPath& path, size_t bytes_max) {
    add(causes, "FieldValueTooLong", concat("Too long: may not be more than ", bytes_max, " bytes"),
        path);
}

void add_too_many(Causes& causes, const FieldPath& path, size_t items, size_t items_max) {
    add(causes, "FieldValueTooMany",
        concat("Too many: ", items, ": must have at most ", items_max, " items"), path);
}

std::string range_message(int64_t min, int64_t max) {
    return concat("must be between ", min, " and ", max, ", inclusive");
}

void add_unless_ok(Causes& causes, const FieldPath& path, std::string_view value,
                   const std::string& problem) {
    if (!problem.empty()) add_invalid(causes, path, value, problem);
}

void check_port_number(Causes& causes, const FieldPath& path, int64_t port) {
    if (port < 1 || port > 65535) add_invalid(causes, path, port, range_message(1, 65535));
}

}   // namespace skiff::api
