#include "agent/security.h"

#include <algorithm>

#include "base/text.h"

namespace skiff::agent {

namespace {

// What a container may not see of /proc and /sys unless it is privileged or asks for it: the
// field's list (containerd's and Docker's default).
const std::vector<std::string> masked_paths = {
    "/proc/asound",      "/proc/acpi",          "/proc/interrupts", "/proc/kcore",
    "/proc/keys",        "/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats",
    "/proc/sched_debug", "/proc/scsi",          "/sys/firmware",    "/sys/devices/virtual/powercap",
};
const std::vector<std::string> readonly_paths = {
    "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger",
};

cri::NamespaceOption namespaces_of(const Pod& pod) {
    const auto& spec = pod.spec;
    using cri::NamespaceMode;
    cri::NamespaceOption out;
    out.network = spec.hostNetwork ? NamespaceMode::Node : NamespaceMode::Pod;
    out.ipc = spec.hostIPC ? NamespaceMode::Node : NamespaceMode::Pod;
    out.pid = NamespaceMode::Container;
    if (spec.hostPID)
        out.pid = NamespaceMode::Node;
    else if (spec.shareProcessNamespace.value_or(false))
        out.pid = NamespaceMode::Pod;
    return out;
}

template <class Profile>
cri::SecurityProfile profile_of(const Profile& profile, const std::string& folder) {
    if (profile.type == "Unconfined") return {.profile_type = cri::ProfileType::Unconfined};
    if (profile.type == "Localhost") {
        return {.profile_type = cri::ProfileType::Localhost,
                .localhost_ref = folder.empty()
                                     ? profile.localhostProfile.value_or("")
                                     : concat(folder, "/", profile.localhostProfile.value_or(""))};
    }
    return {.profile_type = cri::ProfileType::RuntimeDefault};
}

cri::SELinuxOption selinux_of(const Pod::SELinuxOptions& options) {
    return {.user = options.user,
            .role = options.role,
            .type = options.type.str(),
            .level = options.level};
}

// The user decided by pod and container must not be root when runAsNonRoot says so.
Result<> check_non_root(const Pod& pod, const Container& container,
                        const std::optional<int64_t>& user, const ImageUser& image) {
    const auto* of_pod = pod.spec.securityContext ? &*pod.spec.securityContext : nullptr;
    const auto* own = container.securityContext ? &*container.securityContext : nullptr;
    const auto wanted = own && own->runAsNonRoot ? own->runAsNonRoot
                                                 : (of_pod ? of_pod->runAsNonRoot : std::nullopt);
    if (!wanted.value_or(false)) return {};
    const std::string where =
        concat("(pod: \"", pod.metadata.name, "_", pod.metadata.namespace_, "(", pod.metadata.uid,
               ")\", container: ", container.name, ")");
    if (user) {
        if (*user != 0) return {};
        return fail(Reason::Invalid,
                    concat("container's runAsUser breaks non-root policy ", where));
    }
    if (!image.name.empty()) {
        return fail(Reason::Invalid,
                    concat("container has runAsNonRoot and image has non-numeric user (",
                           image.name, "), cannot verify user is non-root ", where));
    }
    if (image.uid.value_or(0) == 0) {
        return fail(Reason::Invalid,
                    concat("container has runAsNonRoot and image will run as root ", where));
    }
    return {};
}

}   // namespace

cri::LinuxSandboxSecurityContext sandbox_security(const Pod& pod) {
    cri::LinuxSandboxSecurityContext out;
    out.namespace_options = namespaces_of(pod);
    for (const auto* list : {&pod.spec.containers, &pod.spec.initContainers}) {
        for (const auto& container : *list) {
            out.privileged |=
                container.securityContext && container.securityContext->privileged.value_or(false);
        }
    }
    out.seccomp = cri::SecurityProfile{};   // pause needs nothing special
    if (!pod.spec.securityContext) return out;
    const auto& context = *pod.spec.securityContext;
    out.run_as_user = context.runAsUser;
    out.run_as_group = context.runAsUser ? context.runAsGroup : std::nullopt;
    out.supplemental_groups = context.supplementalGroups;
    if (context.fsGroup) out.supplemental_groups.push_back(*context.fsGroup);
    if (context.seLinuxOptions) out.selinux_options = selinux_of(*context.seLinuxOptions);
    return out;
}

Result<cri::LinuxContainerSecurityContext> container_security(const Pod& pod,
                                                              const Container& container,
                                                              const ContainerSecurityFacts& facts) {
    cri::LinuxContainerSecurityContext out;
    out.namespace_options = namespaces_of(pod);
    if (!facts.target_container_id.empty()) {
        out.namespace_options.pid = cri::NamespaceMode::Target;
        out.namespace_options.target_id = facts.target_container_id;
    }
    const auto* of_pod = pod.spec.securityContext ? &*pod.spec.securityContext : nullptr;
    const auto* own = container.securityContext ? &*container.securityContext : nullptr;
    const auto either = [&](auto member_of_own, auto member_of_pod) {
        return own && own->*member_of_own ? own->*member_of_own
                                          : (of_pod ? of_pod->*member_of_pod : std::nullopt);
    };
    using Own = Pod::SecurityContext;
    using OfPod = Pod::PodSecurityContext;
    out.run_as_user = either(&Own::runAsUser, &OfPod::runAsUser);
    const auto group = either(&Own::runAsGroup, &OfPod::runAsGroup);
    TRY_OK(check_non_root(pod, container, out.run_as_user, facts.image_user));
    if (!out.run_as_user) {
        if (facts.image_user.uid)
            out.run_as_user = facts.image_user.uid;
        else
            out.run_as_username = facts.image_user.name;
    }
    out.run_as_group = out.run_as_user || !out.run_as_username.empty() ? group : std::nullopt;
    if (group && !out.run_as_group) {   // CRI takes a group only with a user
        out.run_as_user = 0;
        out.run_as_group = group;
    }
    if (of_pod) {
        out.supplemental_groups = of_pod->supplementalGroups;
        if (of_pod->fsGroup) out.supplemental_groups.push_back(*of_pod->fsGroup);
        if (of_pod->supplementalGroupsPolicy == "Strict") {
            out.supplemental_groups_policy = cri::SupplementalGroupsPolicy::Strict;
        }
        if (of_pod->seLinuxOptions) out.selinux_options = selinux_of(*of_pod->seLinuxOptions);
        if (of_pod->seccompProfile)
            out.seccomp = profile_of(*of_pod->seccompProfile, facts.seccomp_folder);
        if (of_pod->appArmorProfile) out.apparmor = profile_of(*of_pod->appArmorProfile, {});
    }
    if (!out.seccomp)
        out.seccomp = cri::SecurityProfile{.profile_type = cri::ProfileType::Unconfined};
    if (own) {
        out.privileged = own->privileged.value_or(false);
        out.readonly_rootfs = own->readOnlyRootFilesystem.value_or(false);
        const bool escalation = own->allowPrivilegeEscalation.value_or(true);
        out.no_new_privs = !escalation && !out.privileged;
        if (own->capabilities) {
            out.capabilities = cri::Capability{.add_capabilities = own->capabilities->add,
                                               .drop_capabilities = own->capabilities->drop};
        }
        if (own->seLinuxOptions) out.selinux_options = selinux_of(*own->seLinuxOptions);
        if (own->seccompProfile)
            out.seccomp = profile_of(*own->seccompProfile, facts.seccomp_folder);
        if (own->appArmorProfile) out.apparmor = profile_of(*own->appArmorProfile, {});
    }
    if (!out.privileged && !(own && own->procMount == "Unmasked")) {
        out.masked_paths = masked_paths;
        out.readonly_paths = readonly_paths;
    }
    return out;
}

}   // namespace skiff::agent
