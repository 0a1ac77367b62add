// What the generated tables and schema.cc share; nobody else includes it.
#pragma once

#include "api/schema.h"

namespace skiff::api::tables {

std::span<const Kind* const> all_kinds();
std::span<const Message* const> all_messages();   // by name

}   // namespace skiff::api::tables
