#include "apiserver/default_roles.h"

#include <array>

// What these verbs come to, as upstream's own tables have it.
#define READ "get,list,watch"
#define WRITE "create,delete,deletecollection,patch,update"
#define READ_WRITE READ "," WRITE

namespace skiff::apiserver {
namespace {

using Rule = DefaultRule;

constexpr std::array cluster_admin{Rule{"*", "*", "*"}, Rule{"*", "", "", "*"}};

constexpr std::array discovery{
    Rule{"get", "", "",
         "/api,/api/*,/apis,/apis/*,/healthz,/livez,/openapi,/openapi/*,/readyz,/version,"
         "/version/"}};

constexpr std::array public_info{Rule{"get", "", "", "/healthz,/livez,/readyz,/version,/version/"}};

constexpr std::array basic_user{
    Rule{"create", "authorization.k8s.io", "selfsubjectaccessreviews,selfsubjectrulesreviews"},
    Rule{"create", "authentication.k8s.io", "selfsubjectreviews"}};

constexpr std::array monitoring{Rule{
    "get", "", "", "/healthz,/healthz/*,/livez,/livez/*,/metrics,/metrics/slis,/readyz,/readyz/*"}};

constexpr std::array issuer_discovery{
    Rule{"get", "", "",
         "/.well-known/openid-configuration,/.well-known/openid-configuration/,/openid/v1/jwks,"
         "/openid/v1/jwks/"}};

constexpr std::array aggregate_to_admin{
    Rule{"create", "authorization.k8s.io", "localsubjectaccessreviews"},
    Rule{READ_WRITE, "rbac.authorization.k8s.io", "rolebindings,roles"}};

constexpr std::array aggregate_to_edit{
    Rule{READ, "core", "pods/attach,pods/exec,pods/portforward,pods/proxy,secrets,services/proxy"},
    Rule{"impersonate", "core", "serviceaccounts"},
    Rule{WRITE, "core", "pods,pods/attach,pods/exec,pods/portforward,pods/proxy"},
    Rule{"create", "core", "pods/eviction"},
    Rule{WRITE, "core",
         "configmaps,events,persistentvolumeclaims,replicationcontrollers,"
         "replicationcontrollers/scale,secrets,serviceaccounts,services,services/proxy"},
    Rule{"create", "core", "serviceaccounts/token"},
    Rule{WRITE, "apps",
         "daemonsets,deployments,deployments/rollback,deployments/scale,replicasets,"
         "replicasets/scale,statefulsets,statefulsets/scale"},
    Rule{WRITE, "autoscaling", "horizontalpodautoscalers"},
    Rule{WRITE, "batch", "cronjobs,jobs"},
    Rule{WRITE, "extensions",
         "daemonsets,deployments,deployments/rollback,deployments/scale,ingresses,"
         "networkpolicies,replicasets,replicasets/scale,replicationcontrollers/scale"},
    Rule{WRITE, "policy", "poddisruptionbudgets"},
    Rule{WRITE, "networking.k8s.io", "ingresses,networkpolicies"},
    Rule{READ_WRITE, "coordination.k8s.io", "leases"}};

constexpr std::array aggregate_to_view{
    Rule{READ, "core",
         "configmaps,endpoints,persistentvolumeclaims,persistentvolumeclaims/status,pods,"
         "replicationcontrollers,replicationcontrollers/scale,serviceaccounts,services,"
         "services/status"},
    Rule{READ, "core",
         "bindings,events,limitranges,namespaces/status,pods/log,pods/status,"
         "replicationcontrollers/status,resourcequotas,resourcequotas/status"},
    Rule{READ, "core", "namespaces"},
    Rule{READ, "discovery.k8s.io", "endpointslices"},
    Rule{READ, "apps",
         "controllerrevisions,daemonsets,daemonsets/status,deployments,deployments/scale,"
         "deployments/status,replicasets,replicasets/scale,replicasets/status,statefulsets,"
         "statefulsets/scale,statefulsets/status"},
    Rule{READ, "autoscaling", "horizontalpodautoscalers,horizontalpodautoscalers/status"},
    Rule{READ, "batch", "cronjobs,cronjobs/status,jobs,jobs/status"},
    Rule{READ, "extensions",
         "daemonsets,daemonsets/status,deployments,deployments/scale,deployments/status,"
         "ingresses,ingresses/status,networkpolicies,replicasets,replicasets/scale,"
         "replicasets/status,replicationcontrollers/scale"},
    Rule{READ, "policy", "poddisruptionbudgets,poddisruptionbudgets/status"},
    Rule{READ, "networking.k8s.io", "ingresses,ingresses/status,networkpolicies"}};

constexpr std::array metrics_reader{Rule{READ, "metrics.k8s.io", "nodes,pods"}};

constexpr std::array auth_delegator{Rule{"create", "authentication.k8s.io", "tokenreviews"},
                                    Rule{"create", "authorization.k8s.io", "subjectaccessreviews"}};

constexpr std::array node_bootstrapper{
    Rule{"create,get,list,watch", "certificates.k8s.io", "certificatesigningrequests"}};

constexpr std::array kubelet_api_admin{
    Rule{READ ",proxy", "core", "nodes"},
    Rule{"*", "core", "nodes/log,nodes/metrics,nodes/proxy,nodes/stats"}};

constexpr std::array node_proxier{Rule{"list,watch", "core", "endpoints,services"},
                                  Rule{"get,list,watch", "core", "nodes"},
                                  Rule{"list,watch", "discovery.k8s.io", "endpointslices"},
                                  Rule{"create,patch,update", "core,events.k8s.io", "events"}};

constexpr std::array volume_provisioner{
    Rule{"create,delete,get,list,watch", "core", "persistentvolumes"},
    Rule{"get,list,update,watch", "core", "persistentvolumeclaims"},
    Rule{READ, "storage.k8s.io", "storageclasses"}, Rule{"watch", "core", "events"},
    Rule{"create,patch,update", "core,events.k8s.io", "events"}};

constexpr std::array scheduler{
    Rule{"create,patch,update", "core,events.k8s.io", "events"},
    Rule{"create", "coordination.k8s.io", "leases"},
    Rule{"get,list,update,watch", "coordination.k8s.io", "leases"},
    Rule{READ, "core", "nodes,namespaces,replicationcontrollers,services"},
    Rule{"delete,get,list,watch", "core", "pods"},
    Rule{"create", "core", "bindings,pods/binding"},
    Rule{"patch,update", "core", "pods/status"},
    Rule{READ, "apps,extensions", "replicasets"},
    Rule{READ, "apps", "statefulsets"},
    Rule{READ, "policy", "poddisruptionbudgets"},
    Rule{"get,list,patch,update,watch", "core", "persistentvolumeclaims,persistentvolumes"},
    Rule{"create", "authentication.k8s.io", "tokenreviews"},
    Rule{"create", "authorization.k8s.io", "subjectaccessreviews"},
    Rule{READ, "storage.k8s.io", "csinodes,csidrivers,csistoragecapacities,storageclasses"}};

constexpr std::array controller_manager{
    Rule{"create,patch,update", "core,events.k8s.io", "events"},
    Rule{"create", "coordination.k8s.io", "leases"},
    Rule{"get,list,update,watch", "coordination.k8s.io", "leases"},
    Rule{"create", "core", "secrets,serviceaccounts"},
    Rule{"delete", "core", "secrets"},
    Rule{"get", "core", "configmaps,namespaces,secrets,serviceaccounts"},
    Rule{"update", "core", "secrets,serviceaccounts"},
    Rule{"create", "authentication.k8s.io", "tokenreviews"},
    Rule{"create", "authorization.k8s.io", "subjectaccessreviews"},
    Rule{"list,watch", "*", "*"},
    Rule{"create", "core", "serviceaccounts/token"}};

constexpr std::array compat_2017{
    Rule{READ, "core", "configmaps,endpoints,namespaces,nodes,pods,services"},
    Rule{READ, "discovery.k8s.io", "endpointslices"},
    Rule{READ, "extensions,networking.k8s.io", "ingresses"},
    Rule{READ, "networking.k8s.io", "ingressclasses"},
    Rule{"patch,update", "extensions,networking.k8s.io", "ingresses/status"},
    Rule{"create,patch,update", "core,events.k8s.io", "events"},
    // Leader election of that time, by config maps and endpoints of the controllers' own names.
    Rule{"update,patch", "core", "configmaps", "", "ingress-controller-leader-nginx"}};

constexpr DefaultRole roles[] = {
    {"cluster-admin", cluster_admin, "", "", "group:system:masters"},
    {"system:discovery", discovery, "", "", "group:system:authenticated"},
    {"system:public-info-viewer", public_info, "", "",
     "group:system:authenticated,group:system:unauthenticated"},
    {"system:basic-user", basic_user, "", "", "group:system:authenticated"},
    {"system:monitoring", monitoring, "", "", "group:system:monitoring"},
    {"system:service-account-issuer-discovery", issuer_discovery, "", "",
     "group:system:serviceaccounts"},
    {"admin", {}, "", "admin"},
    {"edit", {}, "admin", "edit"},
    {"view", {}, "edit", "view"},
    {"system:aggregate-to-admin", aggregate_to_admin, "admin"},
    {"system:aggregate-to-edit", aggregate_to_edit, "edit"},
    {"system:aggregate-to-view", aggregate_to_view, "view"},
    {"system:aggregated-metrics-reader", metrics_reader, "view"},
    {"system:auth-delegator", auth_delegator},
    {"system:node-bootstrapper", node_bootstrapper},
    {"system:kubelet-api-admin", kubelet_api_admin},
    {"system:node-proxier", node_proxier, "", "", "user:system:kube-proxy"},
    {"system:persistent-volume-provisioner", volume_provisioner},
    {"system:kube-scheduler", scheduler, "", "", "user:system:kube-scheduler"},
    {"system:kube-controller-manager", controller_manager, "", "",
     "user:system:kube-controller-manager"},
};

constexpr std::string_view events = "create,patch,update";
constexpr std::string_view authentication_map = "extension-apiserver-authentication";

constexpr std::array authentication_reader{
    Rule{READ, "core", "configmaps", "", authentication_map}};
constexpr std::array read_secrets{Rule{READ, "core", "secrets"}};
constexpr std::array cloud_provider{Rule{"create," READ, "core", "configmaps"}};
constexpr std::array token_cleaner{Rule{READ ",delete", "core", "secrets"},
                                   Rule{events, "core,events.k8s.io", "events"}};
constexpr std::array manager_lock{
    Rule{"watch", "core", "configmaps"},
    Rule{"get,update", "core", "configmaps", "", "kube-controller-manager"},
    Rule{"create,get,list,update,watch", "coordination.k8s.io", "leases"}};
constexpr std::array scheduler_lock{Rule{"watch", "core", "configmaps"},
                                    Rule{"get,update", "core", "configmaps", "", "kube-scheduler"}};
constexpr std::array cluster_info_signer{Rule{READ, "core", "configmaps"},
                                         Rule{"update", "core", "configmaps", "", "cluster-info"},
                                         Rule{events, "core,events.k8s.io", "events"}};

#define ACCOUNT "user:system:serviceaccount:kube-system:"

constexpr DefaultRole namespaced_roles[] = {
    {"extension-apiserver-authentication-reader", authentication_reader, "", "",
     "user:system:kube-controller-manager,user:system:kube-scheduler", "kube-system",
     "system::extension-apiserver-authentication-reader"},
    {"system:controller:bootstrap-signer", read_secrets, "", "", ACCOUNT "bootstrap-signer",
     "kube-system"},
    {"system:controller:cloud-provider", cloud_provider, "", "", ACCOUNT "cloud-provider",
     "kube-system"},
    {"system:controller:token-cleaner", token_cleaner, "", "", ACCOUNT "token-cleaner",
     "kube-system"},
    {"system::leader-locking-kube-controller-manager", manager_lock, "", "",
     "user:system:kube-controller-manager," ACCOUNT "kube-controller-manager," ACCOUNT
     "leader-election-controller",
     "kube-system"},
    {"system::leader-locking-kube-scheduler", scheduler_lock, "", "",
     "user:system:kube-scheduler," ACCOUNT "kube-scheduler", "kube-system"},
    {"system:controller:bootstrap-signer", cluster_info_signer, "", "", ACCOUNT "bootstrap-signer",
     "kube-public"},
};

constexpr DefaultRole compat_role{
    "skiff:compat-2017", compat_2017, "", "",
    "group:system:serviceaccounts:default,group:system:serviceaccounts:kube-system"};

}   // namespace

std::span<const DefaultRole> default_roles() { return roles; }
std::span<const DefaultRole> default_namespaced_roles() { return namespaced_roles; }
const DefaultRole& compat_2017_role() { return compat_role; }

}   // namespace skiff::apiserver
