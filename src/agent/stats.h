// /stats/summary: what the node's containers use, in kubelet's form. Pure.
#pragma once

#include <string>
#include <vector>

#include "agent/cri_status.h"
#include "base/time.h"

namespace skiff::agent {

std::string stats_summary(const std::string& node,
                          const std::vector<cri::ContainerStats>& containers, WallTime now);

}   // namespace skiff::agent
