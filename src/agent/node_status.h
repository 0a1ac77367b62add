// The node as the API shows it: what machine this is, how much of it pods may have, and how it is.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "agent/cri.h"
#include "base/result.h"
#include "base/time.h"

namespace skiff::agent {

struct MachineFacts {
    int64_t cpus = 1;
    int64_t memory_bytes = 0;
    int64_t memory_available_bytes = 0;
    int64_t storage_bytes = 0;   // of the file system that holds --root
    int64_t storage_available_bytes = 0;
    int64_t inodes = 0;
    int64_t inodes_available = 0;
    int64_t pids_max = 0;
    int64_t pids_used = 0;
    std::string machine_id;
    std::string system_uuid;
    std::string boot_id;
    std::string kernel;
    std::string os_image;
    std::string architecture;
    std::string runtime;   // "containerd://1.6.20"
};
MachineFacts read_machine(const std::string& root);

inline constexpr int64_t pods_max = 110;

struct NodeIdentity {
    std::string name;
    std::vector<std::string> addresses;
    std::string pod_cidr;
    std::map<std::string, std::string> labels;   // beside the usual ones
    uint16_t agent_port = 10250;
    std::string version;   // "v1.33.0-skiff…"
};

struct NodeHealth {
    bool runtime_ready = true;
    std::string problem;   // why not
};

// What is remembered between reports: when each condition last changed.
struct NodeMemory {
    struct Condition {
        bool status = false;
        WallTime since{};
    };
    std::map<std::string, Condition> conditions;
};

// The object to create, and the strategic-merge patch of its status from then on.
std::string node_object(const NodeIdentity& identity);
std::string node_status_patch(const NodeIdentity& identity, const MachineFacts& machine,
                              const NodeHealth& health, const std::vector<cri::Image>& images,
                              NodeMemory& memory, WallTime now);

}   // namespace skiff::agent
