// What the baseline level forbids: known ways out of a container.
#include <algorithm>
#include <array>
#include <set>

#include "apiserver/pod_security_checks.h"
#include "base/text.h"

namespace skiff::apiserver {

using codec::Json;
using Broken = std::optional<PodSecurityProblem>;

std::string quoted(const std::vector<std::string>& names) {
    std::string out;
    for (const auto& name : names) append(out, out.empty() ? "\"" : ", \"", name, "\"");
    return out;
}

std::string counted(std::string_view one, std::string_view many, size_t count) {
    return std::string{count == 1 ? one : many};
}

std::string containers_text(const std::vector<std::string>& names) {
    return concat(counted("container", "containers", names.size()), " ", quoted(names));
}

std::string setters_text(bool pod, const std::vector<std::string>& names) {
    if (names.empty()) return pod ? "pod" : "";
    return concat(pod ? "pod and " : "", containers_text(names));
}

namespace {

bool is_true(const Json* value) { return value && value->is_bool() && value->as_bool(); }

std::vector<std::string> sorted(const std::set<std::string>& names) {
    return {names.begin(), names.end()};
}

Broken app_armor(const SecuredPod& pod, int) {
    constexpr std::string_view prefix = "container.apparmor.security.beta.kubernetes.io/";
    std::vector<std::string> told;
    const auto bad = [](const Json& holder) {
        const auto type = holder.text_at({"securityContext", "appArmorProfile", "type"});
        return !type.empty() && type != "RuntimeDefault" && type != "Localhost";
    };
    std::set<std::string> values;
    if (bad(pod.spec))
        values.emplace(pod.spec.text_at({"securityContext", "appArmorProfile", "type"}));
    const auto names = containers_that(pod.spec, [&](const Json& container) {
        if (!bad(container)) return false;
        values.emplace(container.text_at({"securityContext", "appArmorProfile", "type"}));
        return true;
    });
    if (const auto setters = setters_text(bad(pod.spec), names); !setters.empty())
        told.push_back(
            concat(setters, " must not set AppArmor profile type to ", quoted(sorted(values))));
    std::vector<std::string> annotations;
    if (pod.annotations)
        for (const auto& [key, value] : pod.annotations->members()) {
            const auto text = value.text();
            const bool allowed =
                text.empty() || text == "runtime/default" || text.starts_with("localhost/");
            if (key.starts_with(prefix) && !allowed)
                annotations.push_back(concat(key, "=\"", text, "\""));
        }
    std::ranges::sort(annotations);
    if (!annotations.empty())
        told.push_back(concat(counted("annotation", "annotations", annotations.size()), " ",
                              join(annotations, ", ")));
    if (told.empty()) return {};
    return PodSecurityProblem{counted("forbidden AppArmor profile", "forbidden AppArmor profiles",
                                      values.size() + annotations.size()),
                              join(told, "; ")};
}

Broken capabilities(const SecuredPod& pod, int) {
    constexpr std::array<std::string_view, 14> usual{
        "AUDIT_WRITE",      "CHOWN",   "DAC_OVERRIDE", "FOWNER",  "FSETID", "KILL",       "MKNOD",
        "NET_BIND_SERVICE", "SETFCAP", "SETGID",       "SETPCAP", "SETUID", "SYS_CHROOT", ""};
    std::set<std::string> added;
    const auto names = containers_that(pod.spec, [&](const Json& container) {
        const auto* list = container.at_path({"securityContext", "capabilities", "add"});
        bool bad = false;
        if (list)
            for (const auto& name : list->items())
                if (std::ranges::find(usual, name.text()) == usual.end()) {
                    added.emplace(name.text());
                    bad = true;
                }
        return bad;
    });
    if (names.empty()) return {};
    return PodSecurityProblem{
        "non-default capabilities",
        concat(containers_text(names), " must not include ", quoted(sorted(added)),
               " in securityContext.capabilities.add")};
}

Broken host_namespaces(const SecuredPod& pod, int) {
    std::vector<std::string> shared;
    for (const std::string_view name : {"hostNetwork", "hostPID", "hostIPC"})
        if (is_true(pod.spec.find(name))) shared.push_back(concat(name, "=true"));
    if (shared.empty()) return {};
    return PodSecurityProblem{"host namespaces", join(shared, ", ")};
}

Broken host_paths(const SecuredPod& pod, int) {
    std::vector<std::string> names;
    if (const auto* volumes = pod.spec.find("volumes"))
        for (const auto& volume : volumes->items())
            if (volume.find("hostPath")) names.emplace_back(volume.text_at({"name"}));
    if (names.empty()) return {};
    return PodSecurityProblem{
        "hostPath volumes", concat(counted("volume", "volumes", names.size()), " ", quoted(names))};
}

Broken host_ports(const SecuredPod& pod, int) {
    std::set<int64_t> ports;
    const auto names = containers_that(pod.spec, [&](const Json& container) {
        bool bad = false;
        if (const auto* list = container.find("ports"))
            for (const auto& port : list->items())
                if (const auto* number = port.find("hostPort");
                    number && number->is_integer() && number->as_int() != 0) {
                    ports.insert(number->as_int());
                    bad = true;
                }
        return bad;
    });
    if (names.empty()) return {};
    std::string numbers;
    for (const auto port : ports) append(numbers, numbers.empty() ? "" : ", ", port);
    return PodSecurityProblem{
        "hostPort", concat(containers_text(names), " ", counted("uses", "use", names.size()), " ",
                           counted("hostPort", "hostPorts", ports.size()), " ", numbers)};
}

Broken privileged(const SecuredPod& pod, int) {
    const auto names = containers_that(pod.spec, [](const Json& container) {
        return is_true(container.at_path({"securityContext", "privileged"}));
    });
    if (names.empty()) return {};
    return PodSecurityProblem{
        "privileged",
        concat(containers_text(names), " must not set securityContext.privileged=true")};
}

Broken proc_mount(const SecuredPod& pod, int) {
    std::set<std::string> types;
    const auto names = containers_that(pod.spec, [&](const Json& container) {
        const auto type = container.text_at({"securityContext", "procMount"});
        if (type.empty() || type == "Default") return false;
        types.emplace(type);
        return true;
    });
    if (names.empty()) return {};
    return PodSecurityProblem{
        "procMount", concat(containers_text(names), " must not set securityContext.procMount to ",
                            quoted(sorted(types)))};
}

Broken selinux(const SecuredPod& pod, int minor) {
    std::set<std::string> types;
    bool user = false, role = false;
    const auto bad = [&](const Json& holder) {
        const auto* options = holder.at_path({"securityContext", "seLinuxOptions"});
        if (!options) return false;
        const auto type = options->text_at({"type"});
        const bool known = type.empty() || type == "container_t" || type == "container_init_t" ||
                           type == "container_kvm_t" ||
                           (minor >= 31 && type == "container_engine_t");
        if (!known) types.emplace(type);
        const bool has_user = !options->text_at({"user"}).empty();
        const bool has_role = !options->text_at({"role"}).empty();
        user |= has_user;
        role |= has_role;
        return !known || has_user || has_role;
    };
    const bool of_pod = bad(pod.spec);
    const auto names = containers_that(pod.spec, bad);
    const auto setters = setters_text(of_pod, names);
    if (setters.empty()) return {};
    std::vector<std::string> told;
    if (!types.empty())
        told.push_back(concat(counted("type", "types", types.size()), " ", quoted(sorted(types))));
    if (user) told.emplace_back("user may not be set");
    if (role) told.emplace_back("role may not be set");
    return PodSecurityProblem{
        "seLinuxOptions",
        concat(setters, " set forbidden securityContext.seLinuxOptions: ", join(told, "; "))};
}

Broken seccomp(const SecuredPod& pod, int) {
    const auto bad = [](const Json& holder) {
        return holder.text_at({"securityContext", "seccompProfile", "type"}) == "Unconfined";
    };
    const auto setters = setters_text(bad(pod.spec), containers_that(pod.spec, bad));
    if (setters.empty()) return {};
    return PodSecurityProblem{
        "seccompProfile",
        concat(setters, " must not set securityContext.seccompProfile.type to \"Unconfined\"")};
}

Broken sysctls(const SecuredPod& pod, int minor) {
    struct Safe {
        std::string_view name;
        int since;
    };
    constexpr std::array safe{Safe{"kernel.shm_rmid_forced", 0},
                              Safe{"net.ipv4.ip_local_port_range", 0},
                              Safe{"net.ipv4.tcp_syncookies", 0},
                              Safe{"net.ipv4.ping_group_range", 0},
                              Safe{"net.ipv4.ip_unprivileged_port_start", 0},
                              Safe{"net.ipv4.ip_local_reserved_ports", 27},
                              Safe{"net.ipv4.tcp_keepalive_time", 29},
                              Safe{"net.ipv4.tcp_fin_timeout", 29},
                              Safe{"net.ipv4.tcp_keepalive_intvl", 29},
                              Safe{"net.ipv4.tcp_keepalive_probes", 29},
                              Safe{"net.ipv4.tcp_rmem", 32},
                              Safe{"net.ipv4.tcp_wmem", 32}};
    std::vector<std::string> names;
    if (const auto* list = pod.spec.at_path({"securityContext", "sysctls"}))
        for (const auto& sysctl : list->items()) {
            const auto name = sysctl.text_at({"name"});
            if (std::ranges::none_of(safe, [&](const Safe& known) {
                    return known.name == name && known.since <= minor;
                }))
                names.emplace_back(name);
        }
    if (names.empty()) return {};
    return PodSecurityProblem{"forbidden sysctls", join(names, ", ")};
}

Broken host_process(const SecuredPod& pod, int) {
    const auto bad = [](const Json& holder) {
        return is_true(holder.at_path({"securityContext", "windowsOptions", "hostProcess"}));
    };
    const auto setters = setters_text(bad(pod.spec), containers_that(pod.spec, bad));
    if (setters.empty()) return {};
    return PodSecurityProblem{
        "hostProcess",
        concat(setters, " must not set securityContext.windowsOptions.hostProcess=true")};
}

constexpr SecurityCheck checks[] = {
    {app_armor},    {capabilities, 0, 22}, {host_namespaces}, {host_paths, 0, 0}, {host_ports},
    {privileged},   {proc_mount},          {selinux},         {seccomp, 0, 19},   {sysctls},
    {host_process},
};

}   // namespace

std::span<const SecurityCheck> baseline_checks() { return checks; }

}   // namespace skiff::apiserver
