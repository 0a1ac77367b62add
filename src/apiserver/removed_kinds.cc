#include "apiserver/removed_kinds.h"

namespace skiff::apiserver {
namespace {

struct Removed {
    std::string_view group;
    std::string_view resource;
    std::string_view advice;
};

constexpr std::string_view no_more_psp =
    "PodSecurityPolicy is gone since v1.25; label the namespace with "
    "pod-security.kubernetes.io/enforce instead";
constexpr std::string_view no_more_third =
    "ThirdPartyResource is gone since v1.8; use a CustomResourceDefinition of "
    "apiextensions.k8s.io/v1 instead";

constexpr Removed removed[] = {
    {"extensions", "podsecuritypolicies", no_more_psp},
    {"policy", "podsecuritypolicies", no_more_psp},
    {"extensions", "thirdpartyresources", no_more_third},
    {"extensions", "jobs", "extensions/v1beta1 Job is gone since v1.6; use batch/v1 Job instead"},
    {"extensions", "horizontalpodautoscalers",
     "extensions/v1beta1 HorizontalPodAutoscaler is gone since v1.6; use autoscaling/v2 instead"},
    {"extensions", "replicationcontrollers",
     "extensions/v1beta1 ReplicationController was only a place for its scale; use "
     "v1 ReplicationController and its scale subresource instead"},
    {"extensions", "clusterdaemonsets", "use apps/v1 DaemonSet instead"},
    {"apps", "petsets", "PetSet is StatefulSet since v1.5; use apps/v1 StatefulSet instead"},
    {"batch", "scheduledjobs", "ScheduledJob is CronJob since v1.8; use batch/v1 CronJob instead"},
    {"batch", "jobtemplates",
     "JobTemplate was never more than a trial; use batch/v1 CronJob "
     "instead"},
    {"settings.k8s.io", "podpresets",
     "PodPreset is gone since v1.20; write what it injected into the pods' template, or use a "
     "MutatingWebhookConfiguration"},
    {"auditregistration.k8s.io", "auditsinks",
     "AuditSink is gone since v1.19; audit is configured on the server"},
    {"resource.k8s.io", "podschedulingcontexts",
     "PodSchedulingContext is gone since v1.32; nothing takes its place"},
    {"networking.k8s.io", "clustercidrs",
     "ClusterCIDR is gone since v1.29; nothing takes its "
     "place"},
    {"authentication.k8s.io", "selfsubjectreviews",
     "use authentication.k8s.io/v1 SelfSubjectReview instead"},
};

}   // namespace

std::string_view removed_kind_advice(std::string_view group, std::string_view resource) {
    for (const Removed& one : removed)
        if (one.group == group && one.resource == resource) return one.advice;
    return {};
}

}   // namespace skiff::apiserver
