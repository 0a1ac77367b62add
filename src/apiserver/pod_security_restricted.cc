// What the restricted level asks for beyond baseline: hardening that a pod must say itself.
#include <algorithm>
#include <array>
#include <set>

#include "apiserver/pod_security_checks.h"
#include "base/text.h"

namespace skiff::apiserver {
namespace {

using codec::Json;
using Broken = std::optional<PodSecurityProblem>;

constexpr int windows_skipped_since = 25;

bool for_windows(const SecuredPod& pod, int minor) {
    return minor >= windows_skipped_since && pod.spec.text_at({"os", "name"}) == "windows";
}

std::optional<bool> switch_at(const Json& holder, std::string_view key) {
    const auto* value = holder.at_path({"securityContext", key});
    if (!value || !value->is_bool()) return std::nullopt;
    return value->as_bool();
}

Broken privilege_escalation(const SecuredPod& pod, int minor) {
    if (for_windows(pod, minor)) return {};
    const auto names = containers_that(pod.spec, [](const Json& container) {
        return switch_at(container, "allowPrivilegeEscalation").value_or(true);
    });
    if (names.empty()) return {};
    return PodSecurityProblem{
        "allowPrivilegeEscalation != false",
        concat(containers_text(names), " must set securityContext.allowPrivilegeEscalation=false")};
}

Broken capabilities(const SecuredPod& pod, int minor) {
    if (for_windows(pod, minor)) return {};
    const auto keeps = containers_that(pod.spec, [](const Json& container) {
        const auto* drop = container.at_path({"securityContext", "capabilities", "drop"});
        return !drop || std::ranges::none_of(drop->items(),
                                             [](const Json& name) { return name.text() == "ALL"; });
    });
    std::set<std::string> added;
    const auto adds = containers_that(pod.spec, [&](const Json& container) {
        const auto* add = container.at_path({"securityContext", "capabilities", "add"});
        bool bad = false;
        if (add)
            for (const auto& name : add->items())
                if (name.text() != "NET_BIND_SERVICE") {
                    added.emplace(name.text());
                    bad = true;
                }
        return bad;
    });
    std::vector<std::string> told;
    if (!keeps.empty())
        told.push_back(concat(containers_text(keeps),
                              R"( must set securityContext.capabilities.drop=["ALL"])"));
    if (!adds.empty())
        told.push_back(concat(containers_text(adds), " must not include ",
                              quoted({added.begin(), added.end()}),
                              " in securityContext.capabilities.add"));
    if (told.empty()) return {};
    return PodSecurityProblem{"unrestricted capabilities", join(told, "; ")};
}

Broken volumes(const SecuredPod& pod, int) {
    constexpr std::array<std::string_view, 9> allowed{"name",
                                                      "configMap",
                                                      "csi",
                                                      "downwardAPI",
                                                      "emptyDir",
                                                      "ephemeral",
                                                      "persistentVolumeClaim",
                                                      "projected",
                                                      "secret"};
    std::vector<std::string> names;
    std::set<std::string> types;
    if (const auto* list = pod.spec.find("volumes"))
        for (const auto& volume : list->items())
            for (const auto& [type, source] : volume.members()) {
                if (source.is_null() || std::ranges::find(allowed, type) != allowed.end()) continue;
                names.emplace_back(volume.text_at({"name"}));
                types.emplace(type);
            }
    if (names.empty()) return {};
    return PodSecurityProblem{
        "restricted volume types",
        concat(counted("volume", "volumes", names.size()), " ", quoted(names), " ",
               counted("uses", "use", names.size()), " ",
               counted("restricted volume type", "restricted volume types", types.size()), " ",
               quoted({types.begin(), types.end()}))};
}

Broken non_root(const SecuredPod& pod, int) {
    const auto of_pod = switch_at(pod.spec, "runAsNonRoot");
    const auto refuses = containers_that(pod.spec, [](const Json& container) {
        return switch_at(container, "runAsNonRoot") == false;
    });
    if (const auto setters = setters_text(of_pod == false, refuses); !setters.empty())
        return PodSecurityProblem{
            "runAsNonRoot != true",
            concat(setters, " must not set securityContext.runAsNonRoot=false")};
    if (of_pod == true) return {};
    const auto silent = containers_that(
        pod.spec, [](const Json& container) { return !switch_at(container, "runAsNonRoot"); });
    if (silent.empty()) return {};
    return PodSecurityProblem{
        "runAsNonRoot != true",
        concat("pod or ", containers_text(silent), " must set securityContext.runAsNonRoot=true")};
}

Broken root_user(const SecuredPod& pod, int) {
    const auto is_root = [](const Json& holder) {
        const auto* user = holder.at_path({"securityContext", "runAsUser"});
        return user && user->is_integer() && user->as_int() == 0;
    };
    const auto setters = setters_text(is_root(pod.spec), containers_that(pod.spec, is_root));
    if (setters.empty()) return {};
    return PodSecurityProblem{"runAsUser=0", concat(setters, " must not set runAsUser=0")};
}

Broken seccomp(const SecuredPod& pod, int minor) {
    if (for_windows(pod, minor)) return {};
    const auto type_of = [](const Json& holder) {
        return holder.text_at({"securityContext", "seccompProfile", "type"});
    };
    const auto good = [](std::string_view type) {
        return type == "RuntimeDefault" || type == "Localhost";
    };
    std::set<std::string> types;
    const auto bad = [&](const Json& holder) {
        const auto type = type_of(holder);
        if (type.empty() || good(type)) return false;
        types.emplace(type);
        return true;
    };
    const bool of_pod = bad(pod.spec);
    const auto names = containers_that(pod.spec, bad);
    if (const auto setters = setters_text(of_pod, names); !setters.empty())
        return PodSecurityProblem{
            "seccompProfile",
            concat(setters, " must not set securityContext.seccompProfile.type to ",
                   quoted({types.begin(), types.end()}))};
    if (good(type_of(pod.spec))) return {};
    const auto silent = containers_that(
        pod.spec, [&](const Json& container) { return type_of(container).empty(); });
    if (silent.empty()) return {};
    return PodSecurityProblem{
        "seccompProfile",
        concat(
            "pod or ", containers_text(silent),
            R"( must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")")};
}

constexpr SecurityCheck checks[] = {
    {privilege_escalation, 8}, {capabilities, 22}, {volumes}, {non_root},
    {root_user, 23},           {seccomp, 19},
};

}   // namespace

std::span<const SecurityCheck> restricted_checks() { return checks; }

}   // namespace skiff::apiserver
