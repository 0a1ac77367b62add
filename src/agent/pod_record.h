// What the container runtime shows of one pod: the observed half of plan_pod's and the status'
// arguments. Made from CRI's answers, newest first.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "agent/cri_status.h"
#include "base/time.h"

namespace skiff::agent {

using cri::ContainerState;

struct ContainerRecord {
    std::string id;
    std::string name;
    std::string sandbox_id;
    std::string image;       // as the pod asked for it
    std::string image_ref;   // what it was resolved to
    ContainerState state = ContainerState::Unknown;
    WallTime created_at{};   // the epoch where the runtime says nothing
    WallTime started_at{};
    WallTime finished_at{};
    int32_t exit_code = 0;
    std::string reason;
    std::string message;   // with the termination message, once it has ended
    unsigned restart_count = 0;
    std::string spec_hash;
    std::string log_path;   // absolute

    bool running() const { return state == ContainerState::Running; }
    bool ended() const {
        return state == ContainerState::Exited || state == ContainerState::Unknown;
    }
};

struct SandboxRecord {
    std::string id;
    unsigned attempt = 0;
    bool ready = false;
    bool stopped = false;   // StopPodSandbox was done: its network is given back
    WallTime created_at{};
    std::vector<std::string> addresses;
};

struct PodRecord {
    std::vector<SandboxRecord> sandboxes;      // newest first
    std::vector<ContainerRecord> containers;   // newest first

    const SandboxRecord* sandbox() const {
        return sandboxes.empty() ? nullptr : &sandboxes.front();
    }
    const ContainerRecord* newest(std::string_view name) const;
    const ContainerRecord* before(
        const ContainerRecord& record) const;   // the same name's previous
    ContainerRecord* by_id(std::string_view id);
    SandboxRecord* sandbox_by_id(std::string_view id);
    void put(ContainerRecord record);   // replaces the one of its id; keeps the order
    void put(SandboxRecord record);
    void remove(std::string_view id);   // container or sandbox
};

// The names under which everyone finds a container's pod (kubelet's own, so that other software
// on the node can tell too).
inline constexpr const char* label_pod_name = "io.kubernetes.pod.name";
inline constexpr const char* label_pod_namespace = "io.kubernetes.pod.namespace";
inline constexpr const char* label_pod_uid = "io.kubernetes.pod.uid";
inline constexpr const char* label_container_name = "io.kubernetes.container.name";
inline constexpr const char* label_cluster = "skiff.cluster";   // a runtime may serve others too
inline constexpr const char* annotation_hash = "io.kubernetes.container.hash";
inline constexpr const char* annotation_restart_count = "io.kubernetes.container.restartCount";
inline constexpr const char* annotation_message_path =
    "io.kubernetes.container.terminationMessagePath";
inline constexpr const char* annotation_message_policy =
    "io.kubernetes.container.terminationMessagePolicy";

ContainerRecord record_of(const cri::ContainerStatus& status, std::string sandbox_id);
SandboxRecord record_of(const cri::PodSandboxStatus& status);

}   // namespace skiff::agent
