// What the agent asks of a container runtime: the messages of CRI (kubernetes/cri-api, package
// runtime.v1) with their own names, less Windows and what upstream deprecated. Field numbers are
// in cri_fields.h. An optional message is sent when it is there, empty or not; a plain one when it
// says anything.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace skiff::agent::cri {

using StringMap = std::map<std::string, std::string>;

enum class Protocol : int32_t { Tcp, Udp, Sctp };
enum class MountPropagation : int32_t { Private, HostToContainer, Bidirectional };
enum class NamespaceMode : int32_t { Pod, Container, Node, Target };
enum class SupplementalGroupsPolicy : int32_t { Merge, Strict };
enum class ProfileType : int32_t { RuntimeDefault, Unconfined, Localhost };
enum class PodSandboxState : int32_t { Ready, NotReady };
enum class ContainerState : int32_t { Created, Running, Exited, Unknown };
enum class ContainerEventType : int32_t { Created, Started, Stopped, Deleted };
enum class CgroupDriver : int32_t { Systemd, Cgroupfs };

struct PodSandboxMetadata {
    std::string name;
    std::string uid;
    std::string namespace_;
    uint32_t attempt = 0;
};

struct DNSConfig {
    std::vector<std::string> servers;
    std::vector<std::string> searches;
    std::vector<std::string> options;
};

struct PortMapping {
    Protocol protocol = Protocol::Tcp;
    int32_t container_port = 0;
    int32_t host_port = 0;
    std::string host_ip;
};

struct IDMapping {
    uint32_t host_id = 0;
    uint32_t container_id = 0;
    uint32_t length = 0;
};

struct UserNamespace {
    NamespaceMode mode = NamespaceMode::Pod;
    std::vector<IDMapping> uids;
    std::vector<IDMapping> gids;
};

struct NamespaceOption {
    NamespaceMode network = NamespaceMode::Pod;
    NamespaceMode pid = NamespaceMode::Pod;   // a pod's default is Container: say so
    NamespaceMode ipc = NamespaceMode::Pod;
    std::string target_id;   // the container of NamespaceMode::Target
    std::optional<UserNamespace> userns_options;
};

struct SELinuxOption {
    std::string user;
    std::string role;
    std::string type;
    std::string level;
};

struct SecurityProfile {
    ProfileType profile_type = ProfileType::RuntimeDefault;
    std::string localhost_ref;   // for Localhost: a file on the host, or an AppArmor profile
};

struct LinuxSandboxSecurityContext {
    NamespaceOption namespace_options;
    std::optional<SELinuxOption> selinux_options;
    std::optional<int64_t> run_as_user;
    std::optional<int64_t> run_as_group;
    bool readonly_rootfs = false;
    std::vector<int64_t> supplemental_groups;
    SupplementalGroupsPolicy supplemental_groups_policy = SupplementalGroupsPolicy::Merge;
    bool privileged = false;
    std::optional<SecurityProfile> seccomp;
    std::optional<SecurityProfile> apparmor;
};

struct HugepageLimit {
    std::string page_size;
    uint64_t limit = 0;
};

struct LinuxContainerResources {
    int64_t cpu_period = 0;   // microseconds, as cpu_quota
    int64_t cpu_quota = 0;
    int64_t cpu_shares = 0;
    int64_t memory_limit_in_bytes = 0;
    int64_t oom_score_adj = 0;
    std::string cpuset_cpus;
    std::string cpuset_mems;
    std::vector<HugepageLimit> hugepage_limits;
    StringMap unified;                        // cgroup v2 files by name
    int64_t memory_swap_limit_in_bytes = 0;   // memory and swap together
};

struct LinuxPodSandboxConfig {
    std::string cgroup_parent;
    LinuxSandboxSecurityContext security_context;
    StringMap sysctls;
    std::optional<LinuxContainerResources> overhead;
    std::optional<LinuxContainerResources> resources;
};

struct PodSandboxConfig {
    PodSandboxMetadata metadata;
    std::string hostname;
    std::string log_directory;   // on the host
    DNSConfig dns_config;
    std::vector<PortMapping> port_mappings;
    StringMap labels;
    StringMap annotations;
    LinuxPodSandboxConfig linux;
};

struct ContainerMetadata {
    std::string name;
    uint32_t attempt = 0;
};

struct ImageSpec {
    std::string image;
    StringMap annotations;
    std::string user_specified_image;   // as the pod has it, before a digest was put in
    std::string runtime_handler;
};

struct Mount {
    std::string container_path;
    std::string host_path;
    bool readonly = false;
    bool selinux_relabel = false;
    MountPropagation propagation = MountPropagation::Private;
    std::vector<IDMapping> uidMappings;
    std::vector<IDMapping> gidMappings;
    bool recursive_read_only = false;   // with readonly and Private only
    ImageSpec image;                    // an image volume, instead of host_path
    std::string image_sub_path;
};

struct KeyValue {
    std::string key;
    std::string value;
};

struct Device {
    std::string container_path;
    std::string host_path;
    std::string permissions;
};

struct Capability {
    std::vector<std::string> add_capabilities;
    std::vector<std::string> drop_capabilities;
    std::vector<std::string> add_ambient_capabilities;
};

struct LinuxContainerSecurityContext {
    std::optional<Capability> capabilities;
    bool privileged = false;
    NamespaceOption namespace_options;
    std::optional<SELinuxOption> selinux_options;
    std::optional<int64_t> run_as_user;
    std::optional<int64_t> run_as_group;
    std::string run_as_username;   // without run_as_user only
    bool readonly_rootfs = false;
    std::vector<int64_t> supplemental_groups;
    SupplementalGroupsPolicy supplemental_groups_policy = SupplementalGroupsPolicy::Merge;
    bool no_new_privs = false;
    std::vector<std::string> masked_paths;
    std::vector<std::string> readonly_paths;
    std::optional<SecurityProfile> seccomp;
    std::optional<SecurityProfile> apparmor;
};

struct LinuxContainerConfig {
    std::optional<LinuxContainerResources> resources;
    LinuxContainerSecurityContext security_context;
};

struct ContainerConfig {
    ContainerMetadata metadata;
    ImageSpec image;
    std::vector<std::string> command;
    std::vector<std::string> args;
    std::string working_dir;
    std::vector<KeyValue> envs;
    std::vector<Mount> mounts;
    std::vector<Device> devices;
    StringMap labels;
    StringMap annotations;
    std::string log_path;   // relative to the sandbox's log_directory
    bool stdin = false;
    bool stdin_once = false;
    bool tty = false;
    LinuxContainerConfig linux;
    int32_t stop_signal = 0;   // runtime.v1 Signal; 0: the image's own
};

struct AuthConfig {
    std::string username;
    std::string password;
    std::string auth;   // base64 of username:password
    std::string server_address;
    std::string identity_token;
    std::string registry_token;
};

struct RunPodSandboxRequest {
    PodSandboxConfig config;
    std::string runtime_handler;
};

struct PodSandboxStatusRequest {
    std::string pod_sandbox_id;
    bool verbose = false;
};

struct PodSandboxFilter {
    std::string id;
    std::optional<PodSandboxState> state;
    StringMap label_selector;
};

struct ListPodSandboxRequest {
    PodSandboxFilter filter;
};

struct CreateContainerRequest {
    std::string pod_sandbox_id;
    ContainerConfig config;
    PodSandboxConfig sandbox_config;
};

struct StopContainerRequest {
    std::string container_id;
    int64_t timeout = 0;   // seconds until SIGKILL
};

struct ContainerFilter {
    std::string id;
    std::optional<ContainerState> state;
    std::string pod_sandbox_id;
    StringMap label_selector;
};

struct ListContainersRequest {
    ContainerFilter filter;
};

struct ContainerStatusRequest {
    std::string container_id;
    bool verbose = false;
};

struct UpdateContainerResourcesRequest {
    std::string container_id;
    std::optional<LinuxContainerResources> linux;
    StringMap annotations;
};

struct ExecSyncRequest {
    std::string container_id;
    std::vector<std::string> cmd;
    int64_t timeout = 0;   // seconds, 0: none
};

struct ExecRequest {
    std::string container_id;
    std::vector<std::string> cmd;
    bool tty = false;
    bool stdin = false;
    bool stdout = false;
    bool stderr = false;
};

struct AttachRequest {
    std::string container_id;
    bool stdin = false;
    bool tty = false;
    bool stdout = false;
    bool stderr = false;
};

struct PortForwardRequest {
    std::string pod_sandbox_id;
    std::vector<int32_t> port;
};

struct ContainerStatsFilter {
    std::string id;
    std::string pod_sandbox_id;
    StringMap label_selector;
};

struct ListContainerStatsRequest {
    ContainerStatsFilter filter;
};

struct PodSandboxStatsFilter {
    std::string id;
    StringMap label_selector;
};

struct ListPodSandboxStatsRequest {
    PodSandboxStatsFilter filter;
};

struct NetworkConfig {
    std::string pod_cidr;
};

struct RuntimeConfig {
    NetworkConfig network_config;
};

struct UpdateRuntimeConfigRequest {
    RuntimeConfig runtime_config;
};

struct ImageFilter {
    ImageSpec image;
};

struct ListImagesRequest {
    ImageFilter filter;
};

struct ImageStatusRequest {
    ImageSpec image;
    bool verbose = false;
};

struct PullImageRequest {
    ImageSpec image;
    std::optional<AuthConfig> auth;
    PodSandboxConfig sandbox_config;
};

struct RemoveImageRequest {
    ImageSpec image;
};

}   // namespace skiff::agent::cri
