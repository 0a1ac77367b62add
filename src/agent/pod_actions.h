// The blocking halves of a pod worker: each does one thing with the runtime, the kernel and the
// API, and says what came of it. They hold no state; the worker calls them off its strand.
#pragma once

#include <functional>
#include <string>

#include "agent/cgroups.h"
#include "agent/config_source.h"
#include "agent/cri.h"
#include "agent/events.h"
#include "agent/hooks.h"
#include "agent/host_ports.h"
#include "agent/images.h"
#include "agent/network_hooks.h"
#include "agent/pod_api.h"
#include "agent/pod_config.h"
#include "agent/pod_plan.h"
#include "agent/volumes/volumes.h"

namespace skiff::agent {

// What every pod of the node shares. All of it outlives the workers.
struct PodParts {
    Executor& executor;
    Cri& cri;
    Images& images;
    ConfigSource& configs;
    PodApi& api;
    EventRecorder& events;
    HookRunner& hooks;
    const Cgroups& cgroups;
    HostPorts& host_ports;
    const NodeFacts& node;
    std::string root;
    const NetworkHooks& network;
};

// The runtime was away or is still starting: nobody's fault, worth another try soon.
bool runtime_was_away(const Error& error);

struct SandboxMade {
    SandboxRecord record;
    cri::PodSandboxConfig config;
};
Result<SandboxMade> make_sandbox(const PodParts& parts, const Pod& pod, unsigned attempt);

// The sandbox as the runtime has it now; `ended`: its end was told, wait until it shows.
Result<SandboxRecord> read_sandbox(const PodParts& parts, const std::string& id, bool ended);

// Volumes with the configuration and tokens they need. `refresh_at`: tokens grow old.
struct VolumesMade {
    std::map<std::string, std::string> paths;
    std::optional<WallTime> refresh_at;
};
Result<VolumesMade> make_volumes(const PodParts& parts, const Pod& pod,
                                 const std::vector<std::string>& pod_addresses);

// The pod's network lets through what it should, and no more. At once when it did before.
Result<> admit_pod(const PodParts& parts, const Pod& pod,
                   const std::vector<std::string>& addresses);

struct StartOrder {
    SharedPod pod;
    StartContainer what;
    SandboxRecord sandbox;
    cri::PodSandboxConfig sandbox_config;
    std::map<std::string, std::string> volume_paths;
    std::string target_container_id;    // of an ephemeral container
    std::function<bool()> may_create;   // asked once the image is there; false: forget it
    std::function<void(const std::string&)> created;   // told the id, before any event of it
    // Around postStart, which may hang: a container whose pod ends meanwhile is given up (false:
    // forget it) and is ended as any that runs.
    std::function<void(const ContainerRecord&)> hook_begins;
    std::function<bool()> hook_ends;
};
struct StartResult {
    std::optional<ContainerRecord> record;   // when it was created
    std::optional<StartFailure> failure;
    bool forgotten = false;
};
StartResult start_container(const PodParts& parts, const StartOrder& order);

struct KillOrder {
    SharedPod pod;
    KillContainer what;
    std::vector<std::string> pod_addresses;
    bool with_hook = true;
};
Result<> kill_container(const PodParts& parts, const KillOrder& order);

// The record as the runtime has it now; for one that has ended with its message. NotFound: gone.
Result<ContainerRecord> read_container(const PodParts& parts, const Pod& pod, const std::string& id,
                                       const std::string& sandbox_id);

// The same of one whose end was told: waits until the runtime shows it too.
Result<ContainerRecord> read_ended_container(const PodParts& parts, const Pod& pod,
                                             const std::string& id, const std::string& sandbox_id);

void remove_container(const PodParts& parts, const Pod& pod, const ContainerRecord& record);
// Everything that a pod leaves: containers, sandboxes, volumes, cgroup, logs.
Result<> remove_pod(const PodParts& parts, const Pod& pod, const PodRecord& record);

void tell(const PodParts& parts, const Pod& pod, const std::string& container, bool warning,
          std::string reason, std::string message);

}   // namespace skiff::agent
