// What the node's parts need on disk before they start: containerd's and CNI's configuration, the
// forwarding switch and the masquerading table. And its undoing.
#pragma once

#include "agent/containerd_config.h"
#include "cmd/cluster.h"

namespace skiff::cmd {

agent::NetworkOptions network_options(const Cluster& cluster);
Result<> write_node_files(const Cluster& cluster);

}   // namespace skiff::cmd
