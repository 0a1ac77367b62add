// `skiff down`: stops the cluster; its state stays, and `up` goes on from it.
#pragma once

#include <string>
#include <vector>

#include "cmd/cluster.h"

namespace skiff::cmd {

int run_down(const std::vector<std::string>& arguments);

enum class Pods { Keep, End };
// Stops supervisor, server, agent, and containerd last. False: nothing was running.
Result<bool> stop_cluster(const Cluster& cluster, Pods pods);

}   // namespace skiff::cmd
