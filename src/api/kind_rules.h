// The rules of the built-in kinds, one set each; rules.cc gives them their names.
#pragma once

#include "api/rules.h"

namespace skiff::api {

extern const Rules admissionpolicy_rules;
extern const Rules admissionpolicybinding_rules;
extern const Rules binding_rules;
extern const Rules clusterrole_rules;
extern const Rules clusterrolebinding_rules;
extern const Rules clustertrustbundle_rules;
extern const Rules configmap_rules;
extern const Rules controllerrevision_rules;
extern const Rules cronjob_rules;
extern const Rules csidriver_rules;
extern const Rules csinode_rules;
extern const Rules csistoragecapacity_rules;
extern const Rules csr_rules;
extern const Rules daemonset_rules;
extern const Rules deployment_rules;
extern const Rules endpoints_rules;
extern const Rules endpointslice_rules;
extern const Rules event_rules;
extern const Rules flowschema_rules;
extern const Rules horizontalpodautoscaler_rules;
extern const Rules ingress_rules;
extern const Rules ingressclass_rules;
extern const Rules ipaddress_rules;
extern const Rules job_rules;
extern const Rules lease_rules;
extern const Rules leasecandidate_rules;
extern const Rules limitrange_rules;
extern const Rules localsubjectaccessreview_rules;
extern const Rules mutatingpolicy_rules;
extern const Rules namespace_rules;
extern const Rules networkpolicy_rules;
extern const Rules node_rules;
extern const Rules persistentvolume_rules;
extern const Rules persistentvolumeclaim_rules;
extern const Rules pod_rules;
extern const Rules poddisruptionbudget_rules;
extern const Rules podtemplate_rules;
extern const Rules priorityclass_rules;
extern const Rules prioritylevel_rules;
extern const Rules replicaset_rules;
extern const Rules replicationcontroller_rules;
extern const Rules resourcequota_rules;
extern const Rules role_rules;
extern const Rules rolebinding_rules;
extern const Rules runtimeclass_rules;
extern const Rules secret_rules;
extern const Rules selfsubjectaccessreview_rules;
extern const Rules service_rules;
extern const Rules serviceaccount_rules;
extern const Rules servicecidr_rules;
extern const Rules statefulset_rules;
extern const Rules storageclass_rules;
extern const Rules subjectaccessreview_rules;
extern const Rules tokenrequest_rules;   // of a message: serviceaccounts/token
extern const Rules volumeattachment_rules;
extern const Rules volumeattributesclass_rules;
extern const Rules webhookconfiguration_rules;

}   // namespace skiff::api
