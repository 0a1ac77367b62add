// A pod and its containers as the runtime is asked to make them. Pure: everything they are made of
// is given.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "agent/cri_config.h"
#include "agent/environment.h"
#include "agent/hosts.h"
#include "agent/images.h"
#include "agent/pod_types.h"
#include "agent/security.h"
#include "base/result.h"

namespace skiff::agent {

// What is the same for every pod of the node.
struct NodeFacts {
    std::string cluster_id;
    std::string node_name;
    std::string log_root = "/var/log";
    std::string seccomp_folder;
    std::vector<std::string> addresses;
    DnsFacts dns;
    std::string host_hosts;   // /etc/hosts of the machine
    int64_t memory_bytes = 0;
    int64_t allocatable_cpu_milli = 0;
    int64_t allocatable_memory_bytes = 0;
};

cri::PodSandboxConfig sandbox_config(const Pod& pod, unsigned attempt, const NodeFacts& node);

struct MountSource {
    std::string host_path;
    bool readonly = false;   // whatever the mount says
};

struct ContainerFacts {
    const Pod& pod;
    const Container& container;
    unsigned restart_count = 0;
    ImageReady image{};
    std::vector<std::string> pod_addresses{};
    std::vector<MountSource> mounts{};   // one for each of container.volumeMounts
    std::string hosts_path{};            // "" : /etc/hosts stays the image's
    std::string message_path{};          // the file behind terminationMessagePath
    std::string target_container_id{};
};
Result<cri::ContainerConfig> container_config(const ContainerFacts& facts, const NodeFacts& node,
                                              const ConfigValues& values);

FieldSource field_source(const Pod& pod, std::vector<std::string> pod_addresses,
                         const NodeFacts& node);

// Where the container's own message about its end is written, as it sees it.
std::string message_path_of(const Container& container);

}   // namespace skiff::agent
