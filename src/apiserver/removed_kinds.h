// Kinds that Kubernetes once had and this server refuses, with what to use instead
// (docs/api-versions.md has them all).
#pragma once

#include <string_view>

namespace skiff::apiserver {

// "" when the resource never was, or is served.
std::string_view removed_kind_advice(std::string_view group, std::string_view resource);

}   // namespace skiff::apiserver
