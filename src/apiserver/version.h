// Which Kubernetes this is, and which Skiff.
#pragma once

#include <string>
#include <string_view>

namespace skiff::apiserver {

inline constexpr std::string_view kubernetes_version = "v1.33.0";
inline constexpr std::string_view skiff_version = "0.1.0";
std::string version_json();   // what /version answers

}   // namespace skiff::apiserver
