#include "agent/pod_config.h"

#include <algorithm>

#include "agent/log_files.h"
#include "agent/pod_plan.h"
#include "agent/pod_record.h"
#include "agent/resources.h"
#include "base/text.h"

namespace skiff::agent {

namespace {

cri::StringMap pod_labels(const Pod& pod, const NodeFacts& node) {
    return {{label_cluster, node.cluster_id},
            {label_pod_name, pod.metadata.name},
            {label_pod_namespace, pod.metadata.namespace_.str()},
            {label_pod_uid, pod.metadata.uid}};
}

cri::MountPropagation propagation_of(std::string_view text) {
    if (text == "HostToContainer") return cri::MountPropagation::HostToContainer;
    if (text == "Bidirectional") return cri::MountPropagation::Bidirectional;
    return cri::MountPropagation::Private;
}

std::vector<cri::Mount> mounts_of(const ContainerFacts& facts) {
    std::vector<cri::Mount> out;
    bool own_hosts = false;
    for (size_t i = 0; i < facts.container.volumeMounts.size() && i < facts.mounts.size(); ++i) {
        const auto& wanted = facts.container.volumeMounts[i];
        std::string path = wanted.mountPath;
        if (!path.starts_with('/')) path = "/" + path;
        own_hosts |= path == "/etc/hosts";
        out.push_back({.container_path = path,
                       .host_path = facts.mounts[i].host_path,
                       .readonly = wanted.readOnly || facts.mounts[i].readonly,
                       .propagation = propagation_of(wanted.mountPropagation)});
    }
    if (!own_hosts && !facts.hosts_path.empty()) {
        out.push_back({.container_path = "/etc/hosts", .host_path = facts.hosts_path});
    }
    if (!facts.message_path.empty()) {
        out.push_back(
            {.container_path = message_path_of(facts.container), .host_path = facts.message_path});
    }
    return out;
}

}   // namespace

std::string message_path_of(const Container& container) {
    return container.terminationMessagePath.empty() ? "/dev/termination-log"
                                                    : container.terminationMessagePath.str();
}

FieldSource field_source(const Pod& pod, std::vector<std::string> pod_addresses,
                         const NodeFacts& node) {
    return {.pod = pod,
            .pod_addresses = pod.spec.hostNetwork ? node.addresses : std::move(pod_addresses),
            .host_addresses = node.addresses,
            .allocatable_cpu_milli = node.allocatable_cpu_milli,
            .allocatable_memory_bytes = node.allocatable_memory_bytes};
}

cri::PodSandboxConfig sandbox_config(const Pod& pod, unsigned attempt, const NodeFacts& node) {
    const auto& metadata = pod.metadata;
    cri::PodSandboxConfig out{
        .metadata = {.name = metadata.name,
                     .uid = metadata.uid,
                     .namespace_ = metadata.namespace_.str(),
                     .attempt = attempt},
        .hostname = pod_hostname(pod, node.dns.cluster_domain),
        .log_directory =
            pod_log_folder(node.log_root, metadata.namespace_, metadata.name, metadata.uid),
        .dns_config = pod_dns(pod, node.dns),
        .labels = pod_labels(pod, node),
    };
    for (const auto& [key, value] : metadata.labels) out.labels.emplace(key.str(), value.str());
    out.linux.cgroup_parent = pod_cgroup(node.cluster_id, pod);
    out.linux.security_context = sandbox_security(pod);
    if (pod.spec.securityContext) {
        for (const auto& sysctl : pod.spec.securityContext->sysctls)
            out.linux.sysctls[sysctl.name] = sysctl.value;
    }
    return out;
}

Result<cri::ContainerConfig> container_config(const ContainerFacts& facts, const NodeFacts& node,
                                              const ConfigValues& values) {
    const auto& container = facts.container;
    const auto source = field_source(facts.pod, facts.pod_addresses, node);
    TRY(auto environment, make_environment(container, source, values));
    TRY(auto security, container_security(facts.pod, container,
                                          {.image_user = facts.image.user,
                                           .target_container_id = facts.target_container_id,
                                           .seccomp_folder = node.seccomp_folder}));
    cri::ContainerConfig out{
        .metadata = {.name = container.name, .attempt = facts.restart_count},
        .image = {.image = facts.image.reference, .user_specified_image = container.image},
        .command = expand(container.command, environment),
        .args = expand(container.args, environment),
        .working_dir = container.workingDir,
        .mounts = mounts_of(facts),
        .labels = pod_labels(facts.pod, node),
        .log_path = container_log_path(container.name, facts.restart_count),
        .stdin = container.stdin,
        .stdin_once = container.stdinOnce,
        .tty = container.tty,
    };
    out.envs = std::move(environment);
    out.labels[label_container_name] = container.name;
    out.annotations[annotation_hash] = container_hash(container);
    out.annotations[annotation_restart_count] = concat(facts.restart_count);
    out.annotations[annotation_message_path] = message_path_of(container);
    out.annotations[annotation_message_policy] = container.terminationMessagePolicy.str();
    out.linux.resources = container_resources(facts.pod.spec, container, node.memory_bytes);
    out.linux.security_context = std::move(security);
    return out;
}

}   // namespace skiff::agent
