// Values of selectable fields.
#pragma once

#include <string>
#include <string_view>

#include "codec/json.h"

namespace skiff::api {

// The text at a path ("spec.nodeName"), "" when absent; numbers and booleans as written.
std::string text_at_path(const codec::Json& object, std::string_view path);
// The same; an absent boolean (spec.hostNetwork, spec.unschedulable) is "false".
std::string selectable_with_flags(const codec::Json& object, std::string_view field);

}   // namespace skiff::api
