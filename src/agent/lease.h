// The node's heartbeat: a Lease in kube-node-lease, renewed every 10 s. Pure texts.
#pragma once

#include <string>
#include <string_view>

#include "base/time.h"

namespace skiff::agent {

inline constexpr std::string_view lease_namespace = "kube-node-lease";
inline constexpr Duration lease_renewal = std::chrono::seconds{10};
inline constexpr int lease_duration_seconds = 40;

std::string lease_object(std::string_view node, std::string_view node_uid, WallTime now);
std::string lease_renewal_patch(WallTime now);   // merge patch

}   // namespace skiff::agent
