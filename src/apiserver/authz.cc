#include "apiserver/authz.h"

#include <array>

#include "apiserver/authn.h"
#include "base/text.h"

namespace skiff::apiserver {
namespace {

using Rule = FixedRule;

constexpr std::string_view controllers = "group:system:serviceaccounts:kube-system";

constexpr std::array rules{
    Rule{"group:system:masters", "*", "*", "*", "*"},
    Rule{"group:system:authenticated", "create", "authorization.k8s.io",
         "selfsubjectaccessreviews,selfsubjectrulesreviews", ""},
    Rule{"group:system:authenticated", "create", "authentication.k8s.io", "selfsubjectreviews", ""},
    Rule{"group:system:authenticated", "get", "", "",
         "/api,/api/*,/apis,/apis/*,/openapi,/openapi/*,/version,/version/,/healthz,/livez,/livez/"
         "*,/readyz,/readyz/*"},
    Rule{"group:system:unauthenticated", "get", "", "",
         "/version,/version/,/healthz,/livez,/readyz"},
    Rule{"group:system:bootstrappers", "create,get,list,watch", "certificates.k8s.io",
         "certificatesigningrequests", ""},
    // A bootstrap token whose certificate was signed may read it, and ask for no other.
    Rule{"group:system:bootstrappers:used", "get,list,watch", "certificates.k8s.io",
         "certificatesigningrequests", ""},
    // A node agent. Secrets, config maps, tokens, claims and volumes are the Node authorizer's.
    Rule{"group:system:nodes", "get,list,watch", "core",
         "pods,nodes,services,endpoints,serviceaccounts,namespaces", ""},
    Rule{"group:system:nodes", "get,list,watch", "discovery.k8s.io", "endpointslices", ""},
    Rule{"group:system:nodes", "get,list,watch", "networking.k8s.io", "networkpolicies", ""},
    Rule{"group:system:nodes", "create,delete", "core", "pods", ""},
    Rule{"group:system:nodes", "update,patch", "core", "pods/status", ""},
    Rule{"group:system:nodes", "create", "core", "pods/eviction", ""},
    Rule{"group:system:nodes", "create", "core", "nodes", ""},
    Rule{"group:system:nodes", "update,patch,delete", "core", "nodes,nodes/status", "", true},
    Rule{"group:system:nodes", "create,patch,update", "core,events.k8s.io", "events", ""},
    Rule{"group:system:nodes", "create", "coordination.k8s.io", "leases", ""},
    Rule{"group:system:nodes", "get,update,patch,delete", "coordination.k8s.io", "leases", "",
         true},
    Rule{"group:system:nodes", "create,get,list,watch", "certificates.k8s.io",
         "certificatesigningrequests", ""},
    Rule{"group:system:nodes", "create", "authentication.k8s.io", "tokenreviews", ""},
    Rule{"group:system:nodes", "create", "authorization.k8s.io", "subjectaccessreviews", ""},
    // The scheduler and the controllers, each under its own name.
    Rule{"user:system:kube-scheduler", "get,list,watch", "core", "pods,nodes,namespaces", ""},
    Rule{"user:system:kube-scheduler", "create", "core", "pods/binding,bindings", ""},
    Rule{"user:system:kube-scheduler", "get,list,watch,patch,update", "core",
         "persistentvolumeclaims,persistentvolumes", ""},
    Rule{"user:system:kube-scheduler", "get,list,watch", "storage.k8s.io", "storageclasses", ""},
    Rule{"user:system:kube-scheduler", "patch,update", "core", "pods/status", ""},
    Rule{"user:system:kube-scheduler", "create,patch,update", "core,events.k8s.io", "events", ""},
    Rule{"user:system:kube-scheduler", "create,get,update,patch", "coordination.k8s.io", "leases",
         ""},
    Rule{"user:system:serviceaccount:kube-system:namespace-controller",
         "get,list,watch,delete,deletecollection", "*", "*", ""},
    Rule{"user:system:serviceaccount:kube-system:namespace-controller", "create,update,patch",
         "core", "namespaces,namespaces/finalize,namespaces/status", ""},
    Rule{"user:system:serviceaccount:kube-system:service-account-controller",
         "create,get,list,watch", "core", "serviceaccounts,namespaces", ""},
    Rule{"user:system:serviceaccount:kube-system:serviceaccount-token-controller",
         "create,get,list,watch,update,patch,delete", "core", "secrets", ""},
    Rule{"user:system:serviceaccount:kube-system:serviceaccount-token-controller",
         "get,list,watch,update,patch", "core", "serviceaccounts", ""},
    Rule{"user:system:serviceaccount:kube-system:certificate-controller",
         "get,list,watch,delete,update,patch", "certificates.k8s.io",
         "certificatesigningrequests,certificatesigningrequests/"
         "approval,certificatesigningrequests/status",
         ""},
    Rule{"user:system:serviceaccount:kube-system:certificate-controller", "get,list,watch", "core",
         "nodes", ""},
    Rule{"user:system:serviceaccount:kube-system:root-ca-controller",
         "create,get,list,watch,update,patch", "core", "configmaps,namespaces", ""},
    Rule{"user:system:serviceaccount:kube-system:node-controller",
         "get,list,watch,update,patch,delete", "core", "nodes,nodes/status,pods,pods/status", ""},
    Rule{"user:system:serviceaccount:kube-system:node-controller", "get,list,watch",
         "coordination.k8s.io", "leases", ""},
    Rule{"user:system:serviceaccount:kube-system:endpoint-controller",
         "create,get,list,watch,update,patch,delete", "core", "endpoints", ""},
    Rule{"user:system:serviceaccount:kube-system:endpoint-controller", "get,list,watch", "core",
         "pods,services", ""},
    Rule{"user:system:serviceaccount:kube-system:endpointslice-controller",
         "create,get,list,watch,update,patch,delete", "discovery.k8s.io", "endpointslices", ""},
    Rule{"user:system:serviceaccount:kube-system:endpointslice-controller", "get,list,watch",
         "core", "pods,services,nodes", ""},
    Rule{"user:system:serviceaccount:kube-system:endpointslicemirroring-controller",
         "create,get,list,watch,update,patch,delete", "discovery.k8s.io", "endpointslices", ""},
    Rule{"user:system:serviceaccount:kube-system:endpointslicemirroring-controller",
         "get,list,watch", "core", "endpoints,services", ""},
    Rule{"user:system:serviceaccount:kube-system:service-controller", "get,list,watch", "core",
         "services,nodes", ""},
    Rule{"user:system:serviceaccount:kube-system:service-controller", "patch,update", "core",
         "services/status", ""},
    Rule{"user:system:serviceaccount:kube-system:pod-garbage-collector", "get,list,watch,delete",
         "core", "pods,nodes", ""},
    Rule{"user:system:serviceaccount:kube-system:pod-garbage-collector", "patch,update", "core",
         "pods/status", ""},
    Rule{"user:system:serviceaccount:kube-system:clusterrole-aggregation-controller",
         "escalate,get,list,watch,patch,update", "rbac.authorization.k8s.io", "clusterroles", ""},
    Rule{"user:system:serviceaccount:kube-system:replicaset-controller",
         "create,delete,get,list,patch,watch", "core", "pods", ""},
    Rule{"user:system:serviceaccount:kube-system:replicaset-controller",
         "get,list,watch,update,patch", "apps", "replicasets,replicasets/status", ""},
    Rule{"user:system:serviceaccount:kube-system:replication-controller",
         "create,delete,get,list,patch,watch", "core", "pods", ""},
    Rule{"user:system:serviceaccount:kube-system:replication-controller",
         "get,list,watch,update,patch", "core",
         "replicationcontrollers,replicationcontrollers/status", ""},
    Rule{"user:system:serviceaccount:kube-system:deployment-controller",
         "get,list,watch,update,patch", "apps", "deployments,deployments/status", ""},
    Rule{"user:system:serviceaccount:kube-system:deployment-controller",
         "create,delete,get,list,patch,update,watch", "apps", "replicasets", ""},
    Rule{"user:system:serviceaccount:kube-system:deployment-controller", "get,list,watch", "core",
         "pods", ""},
    Rule{"user:system:serviceaccount:kube-system:generic-garbage-collector",
         "delete,get,list,patch,update,watch", "*", "*", ""},
    Rule{"user:system:serviceaccount:kube-system:persistent-volume-binder",
         "get,list,watch,create,update,patch,delete", "core",
         "persistentvolumes,persistentvolumes/status,persistentvolumeclaims,"
         "persistentvolumeclaims/status",
         ""},
    Rule{"user:system:serviceaccount:kube-system:persistent-volume-binder", "get,list,watch,create",
         "storage.k8s.io", "storageclasses", ""},
    Rule{"user:system:serviceaccount:kube-system:persistent-volume-binder", "get,list,watch",
         "core", "nodes,pods", ""},
    Rule{"user:system:serviceaccount:kube-system:pvc-protection-controller",
         "get,list,watch,update,patch", "core", "persistentvolumeclaims", ""},
    Rule{"user:system:serviceaccount:kube-system:pvc-protection-controller", "get,list,watch",
         "core", "pods", ""},
    Rule{"user:system:serviceaccount:kube-system:pv-protection-controller",
         "get,list,watch,update,patch", "core", "persistentvolumes", ""},
    Rule{"user:system:serviceaccount:kube-system:ephemeral-volume-controller",
         "get,list,watch,create", "core", "persistentvolumeclaims", ""},
    Rule{"user:system:serviceaccount:kube-system:ephemeral-volume-controller", "get,list,watch",
         "core", "pods", ""},
    Rule{"user:system:serviceaccount:kube-system:ingress-controller", "get,list,watch", "core",
         "services,endpoints,secrets,pods", ""},
    Rule{"user:system:serviceaccount:kube-system:ingress-controller", "get,list,watch",
         "discovery.k8s.io", "endpointslices", ""},
    Rule{"user:system:serviceaccount:kube-system:ingress-controller", "get,list,watch",
         "networking.k8s.io", "ingresses,ingressclasses", ""},
    Rule{"user:system:serviceaccount:kube-system:ingress-controller", "update,patch",
         "networking.k8s.io", "ingresses/status", ""},
    Rule{"user:system:serviceaccount:kube-system:ingress-controller", "create", "networking.k8s.io",
         "ingressclasses", ""},
    Rule{"user:system:serviceaccount:kube-system:local-path-provisioner", "get,list,watch", "core",
         "persistentvolumeclaims", ""},
    Rule{"user:system:serviceaccount:kube-system:local-path-provisioner",
         "get,list,watch,create,delete", "core", "persistentvolumes", ""},
    Rule{"user:system:serviceaccount:kube-system:local-path-provisioner", "get,list,watch,create",
         "storage.k8s.io", "storageclasses", ""},
    Rule{controllers, "create,patch,update", "core,events.k8s.io", "events", ""},
    Rule{controllers, "create,get,update,patch", "coordination.k8s.io", "leases", ""},
};

bool listed(std::string_view list, std::string_view word) {
    while (!list.empty()) {
        const auto comma = list.find(',');
        const auto entry = list.substr(0, comma);
        if (entry == "*" || entry == word) return true;
        if (comma == std::string_view::npos) break;
        list.remove_prefix(comma + 1);
    }
    return false;
}

bool path_listed(std::string_view list, std::string_view path) {
    for (const auto entry : split(list, ',')) {
        if (entry == "*" || entry == path) return true;
        if (entry.ends_with('*') && path.starts_with(entry.substr(0, entry.size() - 1)))
            return true;
    }
    return false;
}

bool is_subject(const Rule& rule, const User& user) {
    if (rule.subject == "group:system:nodes")
        return user.in_group("system:nodes") && names_node(user);   // NodeIdentifier
    if (rule.subject.starts_with("group:")) return user.in_group(rule.subject.substr(6));
    return rule.subject.substr(5) == user.name;
}

bool covers(const Rule& rule, const User& user, const Question& question) {
    if (!listed(rule.verbs, question.verb)) return false;
    if (!question.is_resource) return !rule.paths.empty() && path_listed(rule.paths, question.path);
    if (rule.groups.empty()) return false;
    if (!listed(rule.groups, question.group.empty() ? "core" : question.group)) return false;
    const auto resource = question.subresource.empty()
                              ? std::string{question.resource}
                              : concat(question.resource, '/', question.subresource);
    if (!listed(rule.resources, resource)) return false;
    constexpr std::string_view node_prefix = "system:node:";
    if (!rule.own_name) return true;
    return user.name.starts_with(node_prefix) &&
           user.name.substr(node_prefix.size()) == question.name;
}

std::string json_list(std::string_view list) {
    std::string out = "[";
    for (const auto entry : split(list, ',')) {
        if (out.size() > 1) out += ',';
        append(out, '"', entry == "core" ? std::string_view{} : entry, '"');
    }
    return out + "]";
}

class FixedAuthorizer final : public Authorizer {
  public:
    bool allows(const User& user, const Question& question) const override {
        return std::ranges::any_of(rules, [&](const Rule& rule) {
            return is_subject(rule, user) && covers(rule, user, question);
        });
    }
    Rules rules_for(const User& user, std::string_view) const override {
        Rules found;
        for (const auto& rule : rules) {
            if (!is_subject(rule, user)) continue;
            if (!rule.groups.empty()) {
                found.resource_rules.push_back(concat(
                    R"({"verbs":)", json_list(rule.verbs), R"(,"apiGroups":)",
                    json_list(rule.groups), R"(,"resources":)", json_list(rule.resources), "}"));
            }
            if (!rule.paths.empty()) {
                found.non_resource_rules.push_back(concat(R"({"verbs":)", json_list(rule.verbs),
                                                          R"(,"nonResourceURLs":)",
                                                          json_list(rule.paths), "}"));
            }
        }
        return found;
    }
};

}   // namespace

Question question_of(const RequestInfo& info) {
    return {.verb = info.verb,
            .is_resource = info.is_resource,
            .group = info.group,
            .version = info.version,
            .resource = info.resource,
            .subresource = info.subresource,
            .name_space = info.name_space,
            .name = info.name,
            .path = info.path};
}

std::span<const FixedRule> fixed_rules() { return rules; }

const Authorizer& fixed_authorizer() {
    static const FixedAuthorizer authorizer;
    return authorizer;
}

std::string_view selected_name(std::string_view field_selector) {
    for (const auto term : split(field_selector, ',')) {
        const auto [key, value] = cut(term, '=');
        if (trim(key) != "metadata.name" || !value) continue;
        return trim(value->starts_with('=') ? value->substr(1) : *value);
    }
    return {};
}

Error forbidden(const User& user, const Question& question) {
    if (!question.is_resource) {
        return {.reason = Reason::Forbidden,
                .message = concat("forbidden: User \"", user.name, "\" cannot ", question.verb,
                                  " path \"", question.path, "\"")};
    }
    std::string resource{question.resource};
    if (!question.subresource.empty()) append(resource, '/', question.subresource);
    std::string object{question.resource};
    if (!question.group.empty()) append(object, '.', question.group);
    std::string text =
        concat(object, question.name.empty() ? "" : concat(" \"", question.name, "\""),
               " is forbidden: User \"", user.name, "\" cannot ", question.verb, " resource \"",
               resource, "\" in API group \"", question.group, "\"");
    if (question.name_space.empty())
        text += " at the cluster scope";
    else
        append(text, " in the namespace \"", question.name_space, "\"");
    Error error{.reason = Reason::Forbidden, .message = std::move(text)};
    error.subject = ErrorSubject{.group = std::string{question.group},
                                 .kind = std::string{question.resource},
                                 .name = std::string{question.name}};
    return error;
}

}   // namespace skiff::apiserver
