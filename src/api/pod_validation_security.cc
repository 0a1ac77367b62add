// Security contexts of pods and containers.
#include <algorithm>
#include <set>
#include <string>

#include "api/json_fields.h"
#include "api/pod_validation.h"
#include "base/text.h"

namespace skiff::api {
namespace {

using codec::Json;

void validate_seccomp(const Json& profile, const FieldPath& path, Causes& causes) {
    if (!present(profile)) return;
    const auto type = text_of(profile, "type");
    const Json& local = field(profile, "localhostProfile");
    const FieldPath local_path = path.child("localhostProfile");
    if (type == "Localhost" && blank(local))
        add_required(causes, local_path, "must be set when seccomp type is Localhost");
    else if (type != "Localhost" && present(local))
        add_invalid(causes, local_path, local, "can only be set when seccomp type is Localhost");
    else if (local.text().starts_with('/'))
        add_invalid(causes, local_path, local, "must be a relative path");
    else if (local.text() == ".." || local.text().starts_with("../") ||
             local.text().find("/../") != std::string_view::npos || local.text().ends_with("/.."))
        add_invalid(causes, local_path, local, "must not contain '..'");
}

void validate_app_armor(const Json& profile, const FieldPath& path, Causes& causes) {
    if (!present(profile)) return;
    const auto type = text_of(profile, "type");
    const Json& local = field(profile, "localhostProfile");
    const FieldPath local_path = path.child("localhostProfile");
    if (type == "Localhost" && blank(local))
        add_required(causes, local_path, "must be set when AppArmor type is Localhost");
    else if (type != "Localhost" && present(local))
        add_invalid(causes, local_path, local, "can only be set when AppArmor type is Localhost");
}

// "kernel.shm_rmid_forced", with dots or slashes.
bool is_sysctl_name(std::string_view name) {
    if (name.empty() || name.size() > 253) return false;
    const auto part_fits = [](std::string_view part) {
        const auto edge = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
        if (part.empty() || !edge(part.front()) || !edge(part.back())) return false;
        return std::ranges::all_of(part, [&](char c) { return edge(c) || c == '-' || c == '_'; });
    };
    size_t start = 0;
    for (size_t at = 0; at <= name.size(); ++at) {
        if (at < name.size() && name[at] != '.' && name[at] != '/') continue;
        if (!part_fits(name.substr(start, at - start))) return false;
        start = at + 1;
    }
    return true;
}

void validate_sysctls(const Json& context, const FieldPath& path, Causes& causes) {
    const auto sysctls = field(context, "sysctls").items();
    std::set<std::string_view> names;
    for (size_t i = 0; i < sysctls.size(); ++i) {
        const FieldPath entry = path.child("sysctls", i);
        const auto name = text_of(sysctls[i], "name");
        if (name.empty()) continue;
        if (!is_sysctl_name(name))
            add_invalid(causes, entry.child("name"), name,
                        "must have at most 253 characters and match regex "
                        "^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$");
        if (!names.insert(name).second) add_duplicate(causes, entry.child("name"), name);
    }
}

}   // namespace

void validate_container_security(const Json& context, const FieldPath& path, Causes& causes) {
    if (!present(context)) return;
    const Json& escalation = field(context, "allowPrivilegeEscalation");
    if (present(escalation) && !truth(escalation)) {
        if (truth(field(context, "privileged")))
            add_invalid(causes, path, context,
                        "cannot set `allowPrivilegeEscalation` to false and `privileged` to true");
        if (contains(field(context, "capabilities", "add"), "CAP_SYS_ADMIN"))
            add_invalid(causes, path, context,
                        "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` "
                        "CAP_SYS_ADMIN");
    }
    const FieldPath seccomp = path.child("seccompProfile");
    validate_seccomp(field(context, "seccompProfile"), seccomp, causes);
    const FieldPath app_armor = path.child("appArmorProfile");
    validate_app_armor(field(context, "appArmorProfile"), app_armor, causes);
}

void validate_pod_security(const Json& spec, const FieldPath& path, Causes& causes) {
    const Json& context = field(spec, "securityContext");
    const FieldPath context_path = path.child("securityContext");
    const FieldPath seccomp = context_path.child("seccompProfile");
    validate_seccomp(field(context, "seccompProfile"), seccomp, causes);
    const FieldPath app_armor = context_path.child("appArmorProfile");
    validate_app_armor(field(context, "appArmorProfile"), app_armor, causes);
    const auto groups = field(context, "supplementalGroups").items();
    for (size_t i = 0; i < groups.size(); ++i)
        if (const int64_t group = int_or(groups[i], 0); group < 0 || group > 2147483647)
            add_invalid(causes, context_path.child("supplementalGroups", i), group,
                        range_message(0, 2147483647));
    validate_sysctls(context, context_path, causes);
    if (truth(field(spec, "hostPID")) && truth(field(spec, "shareProcessNamespace")))
        add_invalid(causes, context_path.child("shareProcessNamespace"),
                    field(spec, "shareProcessNamespace"),
                    "ShareProcessNamespace and HostPID cannot both be enabled");
    const Json& host_users = field(spec, "hostUsers");
    if (!present(host_users) || truth(host_users)) return;
    constexpr std::pair<std::string_view, std::string_view> shared[] = {
        {"hostNetwork", "hostNetwork"}, {"hostPID", "HostPID"}, {"hostIPC", "HostIPC"}};
    for (const auto& [name, shown] : shared)
        if (truth(field(spec, name)))
            add_forbidden(causes, path.child(shown), "when `pod.Spec.HostUsers` is false");
}

}   // namespace skiff::api
