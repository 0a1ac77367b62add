// What the node and its containers use, in kubelet's two forms. Pure.
#pragma once

#include <string>
#include <vector>

#include "agent/cri_status.h"
#include "agent/node_usage.h"

namespace skiff::agent {

// /stats/summary
std::string stats_summary(const std::string& node,
                          const std::vector<cri::ContainerStats>& containers,
                          const NodeUsage& usage);
// /metrics/resource: what metrics are made of, with the millisecond of each measurement.
std::string resource_metrics(const std::vector<cri::ContainerStats>& containers,
                             const NodeUsage& usage);

}   // namespace skiff::agent
