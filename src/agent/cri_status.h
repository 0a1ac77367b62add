// What a container runtime answers: the other half of CRI's messages (see cri_config.h). Times are
// nanoseconds since 1970; a number that the runtime did not measure is absent.
#pragma once

#include "agent/cri_config.h"

namespace skiff::agent::cri {

struct VersionResponse {
    std::string version;
    std::string runtime_name;
    std::string runtime_version;
    std::string runtime_api_version;
};

struct PodIP {
    std::string ip;
};

struct PodSandboxNetworkStatus {
    std::string ip;
    std::vector<PodIP> additional_ips;
};

struct Namespace {
    NamespaceOption options;
};

struct LinuxPodSandboxStatus {
    Namespace namespaces;
};

struct PodSandboxStatus {
    std::string id;
    PodSandboxMetadata metadata;
    PodSandboxState state = PodSandboxState::Ready;
    int64_t created_at = 0;   // nanoseconds since 1970, as every time here
    PodSandboxNetworkStatus network;
    LinuxPodSandboxStatus linux;
    StringMap labels;
    StringMap annotations;
    std::string runtime_handler;
};

struct ContainerResources {
    std::optional<LinuxContainerResources> linux;
};

struct LinuxContainerUser {
    int64_t uid = 0;
    int64_t gid = 0;
    std::vector<int64_t> supplemental_groups;
};

struct ContainerUser {
    LinuxContainerUser linux;
};

struct ContainerStatus {
    std::string id;
    ContainerMetadata metadata;
    ContainerState state = ContainerState::Created;
    int64_t created_at = 0;
    int64_t started_at = 0;
    int64_t finished_at = 0;
    int32_t exit_code = 0;
    ImageSpec image;
    std::string image_ref;   // digest form where there is one
    std::string reason;      // "Completed", "Error", "OOMKilled", …
    std::string message;
    StringMap labels;
    StringMap annotations;
    std::vector<Mount> mounts;
    std::string log_path;
    ContainerResources resources;
    std::string image_id;
    ContainerUser user;
    int32_t stop_signal = 0;   // runtime.v1 Signal
};

struct PodSandboxStatusResponse {
    PodSandboxStatus status;
    StringMap info;
    std::vector<ContainerStatus> containers_statuses;
    int64_t timestamp = 0;
};

struct PodSandbox {
    std::string id;
    PodSandboxMetadata metadata;
    PodSandboxState state = PodSandboxState::Ready;
    int64_t created_at = 0;
    StringMap labels;
    StringMap annotations;
    std::string runtime_handler;
};

struct ListPodSandboxResponse {
    std::vector<PodSandbox> items;
};

struct Container {
    std::string id;
    std::string pod_sandbox_id;
    ContainerMetadata metadata;
    ImageSpec image;
    std::string image_ref;
    ContainerState state = ContainerState::Created;
    int64_t created_at = 0;
    StringMap labels;
    StringMap annotations;
    std::string image_id;
};

struct ListContainersResponse {
    std::vector<Container> containers;
};

struct ContainerStatusResponse {
    ContainerStatus status;
    StringMap info;
};

struct ExecSyncResponse {
    std::string stdout;
    std::string stderr;
    int32_t exit_code = 0;
};

struct ContainerAttributes {
    std::string id;
    ContainerMetadata metadata;
    StringMap labels;
    StringMap annotations;
};

struct CpuUsage {
    int64_t timestamp = 0;
    std::optional<uint64_t> usage_core_nano_seconds;
    std::optional<uint64_t> usage_nano_cores;
};

struct MemoryUsage {
    int64_t timestamp = 0;
    std::optional<uint64_t> working_set_bytes;
    std::optional<uint64_t> available_bytes;
    std::optional<uint64_t> usage_bytes;
    std::optional<uint64_t> rss_bytes;
    std::optional<uint64_t> page_faults;
    std::optional<uint64_t> major_page_faults;
};

struct FilesystemIdentifier {
    std::string mountpoint;
};

struct FilesystemUsage {
    int64_t timestamp = 0;
    FilesystemIdentifier fs_id;
    std::optional<uint64_t> used_bytes;
    std::optional<uint64_t> inodes_used;
};

struct SwapUsage {
    int64_t timestamp = 0;
    std::optional<uint64_t> swap_available_bytes;
    std::optional<uint64_t> swap_usage_bytes;
};

struct ContainerStats {
    ContainerAttributes attributes;
    std::optional<CpuUsage> cpu;
    std::optional<MemoryUsage> memory;
    std::optional<FilesystemUsage> writable_layer;
    std::optional<SwapUsage> swap;
};

struct ContainerStatsResponse {
    ContainerStats stats;
};

struct ListContainerStatsResponse {
    std::vector<ContainerStats> stats;
};

struct PodSandboxAttributes {
    std::string id;
    PodSandboxMetadata metadata;
    StringMap labels;
    StringMap annotations;
};

struct NetworkInterfaceUsage {
    std::string name;
    std::optional<uint64_t> rx_bytes;
    std::optional<uint64_t> rx_errors;
    std::optional<uint64_t> tx_bytes;
    std::optional<uint64_t> tx_errors;
};

struct NetworkUsage {
    int64_t timestamp = 0;
    std::optional<NetworkInterfaceUsage> default_interface;
    std::vector<NetworkInterfaceUsage> interfaces;
};

struct ProcessUsage {
    int64_t timestamp = 0;
    std::optional<uint64_t> process_count;
};

struct LinuxPodSandboxStats {
    std::optional<CpuUsage> cpu;
    std::optional<MemoryUsage> memory;
    std::optional<NetworkUsage> network;
    std::optional<ProcessUsage> process;
    std::vector<ContainerStats> containers;
};

struct PodSandboxStats {
    PodSandboxAttributes attributes;
    LinuxPodSandboxStats linux;
};

struct PodSandboxStatsResponse {
    PodSandboxStats stats;
};

struct ListPodSandboxStatsResponse {
    std::vector<PodSandboxStats> stats;
};

struct RuntimeCondition {
    std::string type;
    bool status = false;
    std::string reason;
    std::string message;
};

struct RuntimeStatus {
    std::vector<RuntimeCondition> conditions;
};

struct RuntimeHandlerFeatures {
    bool recursive_read_only_mounts = false;
    bool user_namespaces = false;
};

struct RuntimeHandler {
    std::string name;
    RuntimeHandlerFeatures features;
};

struct RuntimeFeatures {
    bool supplemental_groups_policy = false;
};

struct StatusResponse {
    RuntimeStatus status;
    StringMap info;
    std::vector<RuntimeHandler> runtime_handlers;
    RuntimeFeatures features;
};

struct ContainerEventResponse {
    std::string container_id;
    ContainerEventType container_event_type = ContainerEventType::Created;
    int64_t created_at = 0;
    PodSandboxStatus pod_sandbox_status;
    std::vector<ContainerStatus> containers_statuses;
};

struct LinuxRuntimeConfiguration {
    CgroupDriver cgroup_driver = CgroupDriver::Systemd;
};

struct RuntimeConfigResponse {
    LinuxRuntimeConfiguration linux;
};

struct Image {
    std::string id;
    std::vector<std::string> repo_tags;
    std::vector<std::string> repo_digests;
    uint64_t size = 0;
    std::optional<int64_t> uid;   // the image's user, when it is a number
    std::string username;
    ImageSpec spec;
    bool pinned = false;
};

struct ListImagesResponse {
    std::vector<Image> images;
};

struct ImageStatusResponse {
    std::optional<Image> image;
    StringMap info;
};

struct ImageFsInfoResponse {
    std::vector<FilesystemUsage> image_filesystems;
    std::vector<FilesystemUsage> container_filesystems;
};

}   // namespace skiff::agent::cri
