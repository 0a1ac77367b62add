#include "api/tree_path.h"

#include "base/text.h"

namespace skiff::api {

using codec::Arena;
using codec::Json;

Json* find_path(Json& object, std::string_view path) {
    Json* at = &object;
    for (const auto part : split(path, '.')) {
        at = at->find(part);
        if (!at) return nullptr;
    }
    return at;
}

const Json* find_path(const Json& object, std::string_view path) {
    return find_path(const_cast<Json&>(object), path);
}

void set_path(Json& object, std::string_view path, Json value, Arena& arena) {
    Json* at = &object;
    const auto parts = split(path, '.');
    for (size_t i = 0; i + 1 < parts.size(); ++i) {
        if (!at->is_object()) return;
        at = &at->make_object(arena, parts[i]);
    }
    if (at->is_object()) at->set(arena, parts.back(), value);
}

Json take_path(Json& object, std::string_view path) {
    const size_t last = path.rfind('.');
    Json* parent = last == path.npos ? &object : find_path(object, path.substr(0, last));
    const auto name = last == path.npos ? path : path.substr(last + 1);
    Json* found = parent ? parent->find(name) : nullptr;
    if (!found) return {};
    const Json value = *found;
    parent->remove(name);
    return value;
}

}   // namespace skiff::api
