// The field numbers of CRI's messages (kubernetes/cri-api, api.proto of runtime.v1): wire format,
// never to change. For the translation units that encode and decode them only.
#pragma once

#include "agent/cri_status.h"
#include "agent/message.h"

namespace skiff::agent {

using namespace cri;   // NOLINT: the tables below are about nothing else

template <>
struct Fields<PodSandboxMetadata> {
    static void visit(auto& m, auto&& field) {
        field(1, m.name);
        field(2, m.uid);
        field(3, m.namespace_);
        field(4, m.attempt);
    }
};
template <>
struct Fields<DNSConfig> {
    static void visit(auto& m, auto&& field) {
        field(1, m.servers);
        field(2, m.searches);
        field(3, m.options);
    }
};
template <>
struct Fields<PortMapping> {
    static void visit(auto& m, auto&& field) {
        field(1, m.protocol);
        field(2, m.container_port);
        field(3, m.host_port);
        field(4, m.host_ip);
    }
};
template <>
struct Fields<IDMapping> {
    static void visit(auto& m, auto&& field) {
        field(1, m.host_id);
        field(2, m.container_id);
        field(3, m.length);
    }
};
template <>
struct Fields<UserNamespace> {
    static void visit(auto& m, auto&& field) {
        field(1, m.mode);
        field(2, m.uids);
        field(3, m.gids);
    }
};
template <>
struct Fields<NamespaceOption> {
    static void visit(auto& m, auto&& field) {
        field(1, m.network);
        field(2, m.pid);
        field(3, m.ipc);
        field(4, m.target_id);
        field(5, m.userns_options);
    }
};
template <>
struct Fields<SELinuxOption> {
    static void visit(auto& m, auto&& field) {
        field(1, m.user);
        field(2, m.role);
        field(3, m.type);
        field(4, m.level);
    }
};
template <>
struct Fields<SecurityProfile> {
    static void visit(auto& m, auto&& field) {
        field(1, m.profile_type);
        field(2, m.localhost_ref);
    }
};
template <>
struct Fields<LinuxSandboxSecurityContext> {
    static void visit(auto& m, auto&& field) {
        field(1, m.namespace_options);
        field(2, m.selinux_options);
        field(3, m.run_as_user);
        field(8, m.run_as_group);
        field(4, m.readonly_rootfs);
        field(5, m.supplemental_groups);
        field(11, m.supplemental_groups_policy);
        field(6, m.privileged);
        field(9, m.seccomp);
        field(10, m.apparmor);
    }
};
template <>
struct Fields<HugepageLimit> {
    static void visit(auto& m, auto&& field) {
        field(1, m.page_size);
        field(2, m.limit);
    }
};
template <>
struct Fields<LinuxContainerResources> {
    static void visit(auto& m, auto&& field) {
        field(1, m.cpu_period);
        field(2, m.cpu_quota);
        field(3, m.cpu_shares);
        field(4, m.memory_limit_in_bytes);
        field(5, m.oom_score_adj);
        field(6, m.cpuset_cpus);
        field(7, m.cpuset_mems);
        field(8, m.hugepage_limits);
        field(9, m.unified);
        field(10, m.memory_swap_limit_in_bytes);
    }
};
template <>
struct Fields<LinuxPodSandboxConfig> {
    static void visit(auto& m, auto&& field) {
        field(1, m.cgroup_parent);
        field(2, m.security_context);
        field(3, m.sysctls);
        field(4, m.overhead);
        field(5, m.resources);
    }
};
template <>
struct Fields<PodSandboxConfig> {
    static void visit(auto& m, auto&& field) {
        field(1, m.metadata);
        field(2, m.hostname);
        field(3, m.log_directory);
        field(4, m.dns_config);
        field(5, m.port_mappings);
        field(6, m.labels);
        field(7, m.annotations);
        field(8, m.linux);
    }
};
template <>
struct Fields<ContainerMetadata> {
    static void visit(auto& m, auto&& field) {
        field(1, m.name);
        field(2, m.attempt);
    }
};
template <>
struct Fields<ImageSpec> {
    static void visit(auto& m, auto&& field) {
        field(1, m.image);
        field(2, m.annotations);
        field(18, m.user_specified_image);
        field(19, m.runtime_handler);
    }
};
template <>
struct Fields<Mount> {
    static void visit(auto& m, auto&& field) {
        field(1, m.container_path);
        field(2, m.host_path);
        field(3, m.readonly);
        field(4, m.selinux_relabel);
        field(5, m.propagation);
        field(6, m.uidMappings);
        field(7, m.gidMappings);
        field(8, m.recursive_read_only);
        field(9, m.image);
        field(10, m.image_sub_path);
    }
};
template <>
struct Fields<KeyValue> {
    static void visit(auto& m, auto&& field) {
        field(1, m.key);
        field(2, m.value);
    }
};
template <>
struct Fields<Device> {
    static void visit(auto& m, auto&& field) {
        field(1, m.container_path);
        field(2, m.host_path);
        field(3, m.permissions);
    }
};
template <>
struct Fields<Capability> {
    static void visit(auto& m, auto&& field) {
        field(1, m.add_capabilities);
        field(2, m.drop_capabilities);
        field(3, m.add_ambient_capabilities);
    }
};
template <>
struct Fields<LinuxContainerSecurityContext> {
    static void visit(auto& m, auto&& field) {
        field(1, m.capabilities);
        field(2, m.privileged);
        field(3, m.namespace_options);
        field(4, m.selinux_options);
        field(5, m.run_as_user);
        field(12, m.run_as_group);
        field(6, m.run_as_username);
        field(7, m.readonly_rootfs);
        field(8, m.supplemental_groups);
        field(17, m.supplemental_groups_policy);
        field(11, m.no_new_privs);
        field(13, m.masked_paths);
        field(14, m.readonly_paths);
        field(15, m.seccomp);
        field(16, m.apparmor);
    }
};
template <>
struct Fields<LinuxContainerConfig> {
    static void visit(auto& m, auto&& field) {
        field(1, m.resources);
        field(2, m.security_context);
    }
};
template <>
struct Fields<ContainerConfig> {
    static void visit(auto& m, auto&& field) {
        field(1, m.metadata);
        field(2, m.image);
        field(3, m.command);
        field(4, m.args);
        field(5, m.working_dir);
        field(6, m.envs);
        field(7, m.mounts);
        field(8, m.devices);
        field(9, m.labels);
        field(10, m.annotations);
        field(11, m.log_path);
        field(12, m.stdin);
        field(13, m.stdin_once);
        field(14, m.tty);
        field(15, m.linux);
        field(18, m.stop_signal);
    }
};
template <>
struct Fields<AuthConfig> {
    static void visit(auto& m, auto&& field) {
        field(1, m.username);
        field(2, m.password);
        field(3, m.auth);
        field(4, m.server_address);
        field(5, m.identity_token);
        field(6, m.registry_token);
    }
};
template <>
struct Fields<RunPodSandboxRequest> {
    static void visit(auto& m, auto&& field) {
        field(1, m.config);
        field(2, m.runtime_handler);
    }
};
template <>
struct Fields<PodSandboxStatusRequest> {
    static void visit(auto& m, auto&& field) {
        field(1, m.pod_sandbox_id);
        field(2, m.verbose);
    }
};
template <>
struct Fields<PodSandboxFilter> {
    static void visit(auto& m, auto&& field) {
        field(1, m.id);
        field(2, m.state);
        field(3, m.label_selector);
    }
};
template <>
struct Fields<ListPodSandboxRequest> {
    static void visit(auto& m, auto&& field) { field(1, m.filter); }
};
template <>
struct Fields<CreateContainerRequest> {
    static void visit(auto& m, auto&& field) {
        field(1, m.pod_sandbox_id);
        field(2, m.config);
        field(3, m.sandbox_config);
    }
};
template <>
struct Fields<StopContainerRequest> {
    static void visit(auto& m, auto&& field) {
        field(1, m.container_id);
        field(2, m.timeout);
    }
};
template <>
struct Fields<ContainerFilter> {
    static void visit(auto& m, auto&& field) {
        field(1, m.id);
        field(2, m.state);
        field(3, m.pod_sandbox_id);
        field(4, m.label_selector);
    }
};
template <>
struct Fields<ListContainersRequest> {
    static void visit(auto& m, auto&& field) { field(1, m.filter); }
};
template <>
struct Fields<ContainerStatusRequest> {
    static void visit(auto& m, auto&& field) {
        field(1, m.container_id);
        field(2, m.verbose);
    }
};
template <>
struct Fields<UpdateContainerResourcesRequest> {
    static void visit(auto& m, auto&& field) {
        field(1, m.container_id);
        field(2, m.linux);
        field(4, m.annotations);
    }
};
template <>
struct Fields<ExecSyncRequest> {
    static void visit(auto& m, auto&& field) {
        field(1, m.container_id);
        field(2, m.cmd);
        field(3, m.timeout);
    }
};
template <>
struct Fields<ExecRequest> {
    static void visit(auto& m, auto&& field) {
        field(1, m.container_id);
        field(2, m.cmd);
        field(3, m.tty);
        field(4, m.stdin);
        field(5, m.stdout);
        field(6, m.stderr);
    }
};
template <>
struct Fields<AttachRequest> {
    static void visit(auto& m, auto&& field) {
        field(1, m.container_id);
        field(2, m.stdin);
        field(3, m.tty);
        field(4, m.stdout);
        field(5, m.stderr);
    }
};
template <>
struct Fields<PortForwardRequest> {
    static void visit(auto& m, auto&& field) {
        field(1, m.pod_sandbox_id);
        field(2, m.port);
    }
};
template <>
struct Fields<ContainerStatsFilter> {
    static void visit(auto& m, auto&& field) {
        field(1, m.id);
        field(2, m.pod_sandbox_id);
        field(3, m.label_selector);
    }
};
template <>
struct Fields<ListContainerStatsRequest> {
    static void visit(auto& m, auto&& field) { field(1, m.filter); }
};
template <>
struct Fields<PodSandboxStatsFilter> {
    static void visit(auto& m, auto&& field) {
        field(1, m.id);
        field(2, m.label_selector);
    }
};
template <>
struct Fields<ListPodSandboxStatsRequest> {
    static void visit(auto& m, auto&& field) { field(1, m.filter); }
};
template <>
struct Fields<NetworkConfig> {
    static void visit(auto& m, auto&& field) { field(1, m.pod_cidr); }
};
template <>
struct Fields<RuntimeConfig> {
    static void visit(auto& m, auto&& field) { field(1, m.network_config); }
};
template <>
struct Fields<UpdateRuntimeConfigRequest> {
    static void visit(auto& m, auto&& field) { field(1, m.runtime_config); }
};
template <>
struct Fields<ImageFilter> {
    static void visit(auto& m, auto&& field) { field(1, m.image); }
};
template <>
struct Fields<ListImagesRequest> {
    static void visit(auto& m, auto&& field) { field(1, m.filter); }
};
template <>
struct Fields<ImageStatusRequest> {
    static void visit(auto& m, auto&& field) {
        field(1, m.image);
        field(2, m.verbose);
    }
};
template <>
struct Fields<PullImageRequest> {
    static void visit(auto& m, auto&& field) {
        field(1, m.image);
        field(2, m.auth);
        field(3, m.sandbox_config);
    }
};
template <>
struct Fields<RemoveImageRequest> {
    static void visit(auto& m, auto&& field) { field(1, m.image); }
};
template <>
struct Fields<VersionResponse> {
    static void visit(auto& m, auto&& field) {
        field(1, m.version);
        field(2, m.runtime_name);
        field(3, m.runtime_version);
        field(4, m.runtime_api_version);
    }
};
template <>
struct Fields<PodIP> {
    static void visit(auto& m, auto&& field) { field(1, m.ip); }
};
template <>
struct Fields<PodSandboxNetworkStatus> {
    static void visit(auto& m, auto&& field) {
        field(1, m.ip);
        field(2, m.additional_ips);
    }
};
template <>
struct Fields<Namespace> {
    static void visit(auto& m, auto&& field) { field(2, m.options); }
};
template <>
struct Fields<LinuxPodSandboxStatus> {
    static void visit(auto& m, auto&& field) { field(1, m.namespaces); }
};
template <>
struct Fields<PodSandboxStatus> {
    static void visit(auto& m, auto&& field) {
        field(1, m.id);
        field(2, m.metadata);
        field(3, m.state);
        field(4, m.created_at);
        field(5, m.network);
        field(6, m.linux);
        field(7, m.labels);
        field(8, m.annotations);
        field(9, m.runtime_handler);
    }
};
template <>
struct Fields<ContainerResources> {
    static void visit(auto& m, auto&& field) { field(1, m.linux); }
};
template <>
struct Fields<LinuxContainerUser> {
    static void visit(auto& m, auto&& field) {
        field(1, m.uid);
        field(2, m.gid);
        field(3, m.supplemental_groups);
    }
};
template <>
struct Fields<ContainerUser> {
    static void visit(auto& m, auto&& field) { field(1, m.linux); }
};
template <>
struct Fields<ContainerStatus> {
    static void visit(auto& m, auto&& field) {
        field(1, m.id);
        field(2, m.metadata);
        field(3, m.state);
        field(4, m.created_at);
        field(5, m.started_at);
        field(6, m.finished_at);
        field(7, m.exit_code);
        field(8, m.image);
        field(9, m.image_ref);
        field(10, m.reason);
        field(11, m.message);
        field(12, m.labels);
        field(13, m.annotations);
        field(14, m.mounts);
        field(15, m.log_path);
        field(16, m.resources);
        field(17, m.image_id);
        field(18, m.user);
        field(19, m.stop_signal);
    }
};
template <>
struct Fields<PodSandboxStatusResponse> {
    static void visit(auto& m, auto&& field) {
        field(1, m.status);
        field(2, m.info);
        field(3, m.containers_statuses);
        field(4, m.timestamp);
    }
};
template <>
struct Fields<PodSandbox> {
    static void visit(auto& m, auto&& field) {
        field(1, m.id);
        field(2, m.metadata);
        field(3, m.state);
        field(4, m.created_at);
        field(5, m.labels);
        field(6, m.annotations);
        field(7, m.runtime_handler);
    }
};
template <>
struct Fields<ListPodSandboxResponse> {
    static void visit(auto& m, auto&& field) { field(1, m.items); }
};
template <>
struct Fields<Container> {
    static void visit(auto& m, auto&& field) {
        field(1, m.id);
        field(2, m.pod_sandbox_id);
        field(3, m.metadata);
        field(4, m.image);
        field(5, m.image_ref);
        field(6, m.state);
        field(7, m.created_at);
        field(8, m.labels);
        field(9, m.annotations);
        field(10, m.image_id);
    }
};
template <>
struct Fields<ListContainersResponse> {
    static void visit(auto& m, auto&& field) { field(1, m.containers); }
};
template <>
struct Fields<ContainerStatusResponse> {
    static void visit(auto& m, auto&& field) {
        field(1, m.status);
        field(2, m.info);
    }
};
template <>
struct Fields<ExecSyncResponse> {
    static void visit(auto& m, auto&& field) {
        field(1, m.stdout);
        field(2, m.stderr);
        field(3, m.exit_code);
    }
};
template <>
struct Fields<ContainerAttributes> {
    static void visit(auto& m, auto&& field) {
        field(1, m.id);
        field(2, m.metadata);
        field(3, m.labels);
        field(4, m.annotations);
    }
};
template <>
struct Fields<CpuUsage> {
    static void visit(auto& m, auto&& field) {
        field(1, m.timestamp);
        field(2, m.usage_core_nano_seconds);
        field(3, m.usage_nano_cores);
    }
};
template <>
struct Fields<MemoryUsage> {
    static void visit(auto& m, auto&& field) {
        field(1, m.timestamp);
        field(2, m.working_set_bytes);
        field(3, m.available_bytes);
        field(4, m.usage_bytes);
        field(5, m.rss_bytes);
        field(6, m.page_faults);
        field(7, m.major_page_faults);
    }
};
template <>
struct Fields<FilesystemIdentifier> {
    static void visit(auto& m, auto&& field) { field(1, m.mountpoint); }
};
template <>
struct Fields<FilesystemUsage> {
    static void visit(auto& m, auto&& field) {
        field(1, m.timestamp);
        field(2, m.fs_id);
        field(3, m.used_bytes);
        field(4, m.inodes_used);
    }
};
template <>
struct Fields<SwapUsage> {
    static void visit(auto& m, auto&& field) {
        field(1, m.timestamp);
        field(2, m.swap_available_bytes);
        field(3, m.swap_usage_bytes);
    }
};
template <>
struct Fields<ContainerStats> {
    static void visit(auto& m, auto&& field) {
        field(1, m.attributes);
        field(2, m.cpu);
        field(3, m.memory);
        field(4, m.writable_layer);
        field(5, m.swap);
    }
};
template <>
struct Fields<ContainerStatsResponse> {
    static void visit(auto& m, auto&& field) { field(1, m.stats); }
};
template <>
struct Fields<ListContainerStatsResponse> {
    static void visit(auto& m, auto&& field) { field(1, m.stats); }
};
template <>
struct Fields<PodSandboxAttributes> {
    static void visit(auto& m, auto&& field) {
        field(1, m.id);
        field(2, m.metadata);
        field(3, m.labels);
        field(4, m.annotations);
    }
};
template <>
struct Fields<NetworkInterfaceUsage> {
    static void visit(auto& m, auto&& field) {
        field(1, m.name);
        field(2, m.rx_bytes);
        field(3, m.rx_errors);
        field(4, m.tx_bytes);
        field(5, m.tx_errors);
    }
};
template <>
struct Fields<NetworkUsage> {
    static void visit(auto& m, auto&& field) {
        field(1, m.timestamp);
        field(2, m.default_interface);
        field(3, m.interfaces);
    }
};
template <>
struct Fields<ProcessUsage> {
    static void visit(auto& m, auto&& field) {
        field(1, m.timestamp);
        field(2, m.process_count);
    }
};
template <>
struct Fields<LinuxPodSandboxStats> {
    static void visit(auto& m, auto&& field) {
        field(1, m.cpu);
        field(2, m.memory);
        field(3, m.network);
        field(4, m.process);
        field(5, m.containers);
    }
};
template <>
struct Fields<PodSandboxStats> {
    static void visit(auto& m, auto&& field) {
        field(1, m.attributes);
        field(2, m.linux);
    }
};
template <>
struct Fields<PodSandboxStatsResponse> {
    static void visit(auto& m, auto&& field) { field(1, m.stats); }
};
template <>
struct Fields<ListPodSandboxStatsResponse> {
    static void visit(auto& m, auto&& field) { field(1, m.stats); }
};
template <>
struct Fields<RuntimeCondition> {
    static void visit(auto& m, auto&& field) {
        field(1, m.type);
        field(2, m.status);
        field(3, m.reason);
        field(4, m.message);
    }
};
template <>
struct Fields<RuntimeStatus> {
    static void visit(auto& m, auto&& field) { field(1, m.conditions); }
};
template <>
struct Fields<RuntimeHandlerFeatures> {
    static void visit(auto& m, auto&& field) {
        field(1, m.recursive_read_only_mounts);
        field(2, m.user_namespaces);
    }
};
template <>
struct Fields<RuntimeHandler> {
    static void visit(auto& m, auto&& field) {
        field(1, m.name);
        field(2, m.features);
    }
};
template <>
struct Fields<RuntimeFeatures> {
    static void visit(auto& m, auto&& field) { field(1, m.supplemental_groups_policy); }
};
template <>
struct Fields<StatusResponse> {
    static void visit(auto& m, auto&& field) {
        field(1, m.status);
        field(2, m.info);
        field(3, m.runtime_handlers);
        field(4, m.features);
    }
};
template <>
struct Fields<ContainerEventResponse> {
    static void visit(auto& m, auto&& field) {
        field(1, m.container_id);
        field(2, m.container_event_type);
        field(3, m.created_at);
        field(4, m.pod_sandbox_status);
        field(5, m.containers_statuses);
    }
};
template <>
struct Fields<LinuxRuntimeConfiguration> {
    static void visit(auto& m, auto&& field) { field(1, m.cgroup_driver); }
};
template <>
struct Fields<RuntimeConfigResponse> {
    static void visit(auto& m, auto&& field) { field(1, m.linux); }
};
template <>
struct Fields<Image> {
    static void visit(auto& m, auto&& field) {
        field(1, m.id);
        field(2, m.repo_tags);
        field(3, m.repo_digests);
        field(4, m.size);
        field(5, m.uid);
        field(6, m.username);
        field(7, m.spec);
        field(8, m.pinned);
    }
};
template <>
struct Fields<ListImagesResponse> {
    static void visit(auto& m, auto&& field) { field(1, m.images); }
};
template <>
struct Fields<ImageStatusResponse> {
    static void visit(auto& m, auto&& field) {
        field(1, m.image);
        field(2, m.info);
    }
};
template <>
struct Fields<ImageFsInfoResponse> {
    static void visit(auto& m, auto&& field) {
        field(1, m.image_filesystems);
        field(2, m.container_filesystems);
    }
};

}   // namespace skiff::agent
