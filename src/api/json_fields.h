// Reading API objects as trees without asking at every step whether something is there: absent
// reads as null, null as empty, zero or false.
#pragma once

#include <algorithm>
#include <string_view>

#include "codec/json.h"

namespace skiff::api {

inline const codec::Json& field(const codec::Json& object, std::string_view name) {
    static const codec::Json absent;
    const codec::Json* found = object.is_object() ? object.find(name) : nullptr;
    return found ? *found : absent;
}
template <class... Names>
const codec::Json& field(const codec::Json& object, std::string_view name, Names... names) {
    return field(field(object, name), names...);
}

template <class... Names>
std::string_view text_of(const codec::Json& object, Names... names) {
    return field(object, names...).text();
}
inline int64_t int_or(const codec::Json& value, int64_t otherwise) {
    return value.is_integer() ? value.as_int() : otherwise;
}
inline bool truth(const codec::Json& value) { return value.is_bool() && value.as_bool(); }
inline bool present(const codec::Json& value) { return !value.is_null(); }

// Go's `len(x) == 0` for texts, lists and maps, nil for the rest.
inline bool blank(const codec::Json& value) {
    if (value.is_string()) return value.as_string().empty();
    if (value.is_array() || value.is_object()) return value.empty();
    return value.is_null();
}
inline bool contains(const codec::Json& list, std::string_view text) {
    return std::ranges::any_of(list.items(), [&](const auto& item) { return item.text() == text; });
}

}   // namespace skiff::api
