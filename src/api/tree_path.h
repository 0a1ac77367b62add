// Dotted paths through nested objects ("spec.rollbackTo"), as the schema's differences name them.
#pragma once

#include <string_view>

#include "codec/json.h"

namespace skiff::api {

codec::Json* find_path(codec::Json& object, std::string_view path);   // null: not there
const codec::Json* find_path(const codec::Json& object, std::string_view path);
// Makes the objects on the way; nothing happens where something else stands in it.
void set_path(codec::Json& object, std::string_view path, codec::Json value, codec::Arena& arena);
codec::Json take_path(codec::Json& object, std::string_view path);   // removes it; null: not there

// The value of a default's JSON text, which lives as long as the schema.
codec::Json default_value(std::string_view json, codec::Arena& arena);

}   // namespace skiff::api
