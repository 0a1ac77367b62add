// RBAC's own guard: whoever writes a role must hold what it allows, whoever binds one must hold it
// or be allowed to `bind` it, and `escalate` is the word that sets this aside.
#include <algorithm>

#include "apiserver/admission_plugins.h"
#include "apiserver/rbac_authorizer.h"
#include "base/text.h"

namespace skiff::apiserver {
namespace {

constexpr std::string_view rbac_group = "rbac.authorization.k8s.io";

bool may(const Admission& admission, std::string_view verb, std::string_view resource,
         std::string_view name) {
    return admission.registry.parts().authorizer->allows(admission.call.user,
                                                         {.verb = verb,
                                                          .group = rbac_group,
                                                          .version = "v1",
                                                          .resource = resource,
                                                          .name_space = admission.name_space,
                                                          .name = name});
}

std::string groups_text(const std::vector<std::string>& groups) {
    std::string out = "[";
    for (const auto& group : groups) append(out, out.size() > 1 ? " " : "", '"', group, '"');
    return out + "]";
}

Result<> confirm_held(const Admission& admission, std::span<const PolicyRule> wanted) {
    const auto& user = admission.call.user;
    const auto held = admission.registry.parts().authorizer->held_by(user, admission.name_space);
    const auto missing = not_covered(held, wanted);
    if (missing.empty()) return {};
    auto why = concat("user \"", user.name, "\" (groups=", groups_text(user.groups),
                      ") is attempting to grant RBAC permissions not currently held:");
    for (const auto& rule : missing) append(why, "\n", text_of(rule));
    return std::unexpected{denied(admission, why)};
}

Result<> check_role(const Admission& admission, std::string_view plural) {
    const auto& role = admission.document->root;
    auto rules = policy_rules_of(role);
    const auto* aggregation = role.find("aggregationRule");
    if (admission.old) {
        const auto* before = admission.old->find("aggregationRule");
        const bool same = aggregation ? before && *before == *aggregation : !before;
        if (same && policy_rules_of(*admission.old) == rules) return {};   // grants nothing new
    }
    if (may(admission, "escalate", plural, admission.name)) return {};
    if (aggregation) {   // it will hold whatever is labelled so
        rules.push_back({.verbs = {"*"}, .api_groups = {"*"}, .resources = {"*"}});
        rules.push_back({.verbs = {"*"}, .non_resource_urls = {"*"}});
    }
    return confirm_held(admission, rules);
}

Result<> check_binding(const Admission& admission) {
    const auto& binding = admission.document->root;
    const auto same = [&](std::string_view key) {
        const auto* now = binding.find(key);
        const auto* before = admission.old->find(key);
        return now ? before && *before == *now : !before;
    };
    if (admission.old && same("subjects") && same("roleRef")) return {};
    const auto kind = binding.text_at({"roleRef", "kind"});
    const auto name = binding.text_at({"roleRef", "name"});
    if (may(admission, "bind", kind == "Role" ? "roles" : "clusterroles", name)) return {};
    const auto& authorizer = *admission.registry.parts().authorizer;
    const auto rules = authorizer.rules_of_role(kind, admission.name_space, name);
    if (rules.empty() && !authorizer.has_role(kind, admission.name_space, name)) {
        return std::unexpected{denied(
            admission, concat(kind == "Role" ? "role" : "clusterrole", ".", rbac_group, " \"", name,
                              "\" not found, and a role that is yet to come needs the right to "
                              "bind it"))};
    }
    return confirm_held(admission, rules);
}

}   // namespace

Result<> no_escalation(Admission& admission) {
    const auto& kind = *admission.resource.stored;
    if (kind.group != rbac_group || !admission.document || admission.operation == "DELETE")
        return {};
    if (!admission.registry.parts().authorizer) return {};
    if (kind.kind == "Role" || kind.kind == "ClusterRole")
        return check_role(admission, kind.plural);
    return check_binding(admission);
}

}   // namespace skiff::apiserver
