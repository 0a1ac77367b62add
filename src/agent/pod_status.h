// Makes the status that the API shows of a pod. Pure: from the spec, what the runtime shows, the
// plan's reasons and what was reported before (for times of transition).
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "agent/pod_plan.h"

namespace skiff::agent {

struct PodCondition {
    std::string type;
    bool status = false;
    std::string reason;
    std::string message;
    WallTime since{};
};

// What was reported last; made from the API's pod when a worker begins, kept from then on.
struct StatusMemory {
    std::string phase;
    std::string reason;
    std::string message;
    std::optional<WallTime> start_time;
    std::map<std::string, PodCondition> conditions;
    std::map<std::string, unsigned> restart_counts;   // by container name
};
StatusMemory memory_of(const Pod& pod);

struct StatusFacts {
    const PodFacts& pod;
    const PodPlan& plan;
    std::vector<std::string> host_addresses;   // of the node; the first is hostIP
};

// The strategic-merge patch for pods/NAME/status; conditions of others stay.
std::string make_status_patch(const StatusFacts& facts, StatusMemory& memory);

// The phase alone, and whether every init container has done its part.
std::string pod_phase(const StatusFacts& facts, const StatusMemory& memory);
bool is_initialized(const StatusFacts& facts);

}   // namespace skiff::agent
