#include "api/rules.h"

#include <algorithm>
#include <array>
#include <utility>

#include "api/kind_rules.h"

namespace skiff::api {
namespace {

constexpr Rules no_rules{};

constexpr std::array<std::pair<std::string_view, const Rules*>, 57> named{{
    {"admissionpolicy", &admissionpolicy_rules},
    {"admissionpolicybinding", &admissionpolicybinding_rules},
    {"binding", &binding_rules},
    {"clusterrole", &clusterrole_rules},
    {"clusterrolebinding", &clusterrolebinding_rules},
    {"clustertrustbundle", &clustertrustbundle_rules},
    {"configmap", &configmap_rules},
    {"controllerrevision", &controllerrevision_rules},
    {"cronjob", &cronjob_rules},
    {"csidriver", &csidriver_rules},
    {"csinode", &csinode_rules},
    {"csistoragecapacity", &csistoragecapacity_rules},
    {"csr", &csr_rules},
    {"daemonset", &daemonset_rules},
    {"deployment", &deployment_rules},
    {"endpoints", &endpoints_rules},
    {"endpointslice", &endpointslice_rules},
    {"event", &event_rules},
    {"flowschema", &flowschema_rules},
    {"horizontalpodautoscaler", &horizontalpodautoscaler_rules},
    {"ingress", &ingress_rules},
    {"ingressclass", &ingressclass_rules},
    {"ipaddress", &ipaddress_rules},
    {"job", &job_rules},
    {"lease", &lease_rules},
    {"leasecandidate", &leasecandidate_rules},
    {"limitrange", &limitrange_rules},
    {"localsubjectaccessreview", &localsubjectaccessreview_rules},
    {"mutatingpolicy", &mutatingpolicy_rules},
    {"namespace", &namespace_rules},
    {"networkpolicy", &networkpolicy_rules},
    {"node", &node_rules},
    {"persistentvolume", &persistentvolume_rules},
    {"persistentvolumeclaim", &persistentvolumeclaim_rules},
    {"pod", &pod_rules},
    {"poddisruptionbudget", &poddisruptionbudget_rules},
    {"podtemplate", &podtemplate_rules},
    {"priorityclass", &priorityclass_rules},
    {"prioritylevel", &prioritylevel_rules},
    {"replicaset", &replicaset_rules},
    {"replicationcontroller", &replicationcontroller_rules},
    {"resourcequota", &resourcequota_rules},
    {"role", &role_rules},
    {"rolebinding", &rolebinding_rules},
    {"runtimeclass", &runtimeclass_rules},
    {"secret", &secret_rules},
    {"selfsubjectaccessreview", &selfsubjectaccessreview_rules},
    {"service", &service_rules},
    {"serviceaccount", &serviceaccount_rules},
    {"servicecidr", &servicecidr_rules},
    {"statefulset", &statefulset_rules},
    {"storageclass", &storageclass_rules},
    {"subjectaccessreview", &subjectaccessreview_rules},
    {"tokenrequest", &tokenrequest_rules},
    {"volumeattachment", &volumeattachment_rules},
    {"volumeattributesclass", &volumeattributesclass_rules},
    {"webhookconfiguration", &webhookconfiguration_rules},
}};

}   // namespace

const Rules& rules_of(std::string_view name) {
    using Named = std::pair<std::string_view, const Rules*>;
    const auto found = std::ranges::find(named, name, &Named::first);
    return found == named.end() ? no_rules : *found->second;
}

}   // namespace skiff::api
