#include "api/selectable.h"

#include "api/json_fields.h"
#include "base/text.h"

namespace skiff::api {

std::string text_at_path(const codec::Json& object, std::string_view path) {
    const codec::Json* value = &object;
    for (const auto part : split(path, '.')) value = &field(*value, part);
    if (value->is_string()) return std::string{value->as_string()};
    return value->is_null() ? "" : to_json(*value);
}

std::string selectable_with_flags(const codec::Json& object, std::string_view name) {
    std::string text = text_at_path(object, name);
    const bool flag = name == "spec.hostNetwork" || name == "spec.unschedulable";
    return text.empty() && flag ? "false" : text;
}

}   // namespace skiff::api
