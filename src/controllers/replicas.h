// Keeping up a number of equal pods: what ReplicaSet and ReplicationController have in common.
// Pure; replica_controller.h is the shell.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "api/selectors.h"
#include "client/plan.h"
#include "controllers/pod_facts.h"
#include "controllers/workloads.h"

namespace skiff::controllers {

using ReplicaStatus = view::ReplicaSet::ReplicaSetStatus;
using ReplicaCondition = view::ReplicaSet::ReplicaSetCondition;

// Either kind, as the plans see it. Borrows the template from the view it was made of.
struct ReplicaOwner {
    client::ObjectReference about;
    client::ResourceName resource;
    int64_t generation = 0;
    bool deleting = false;
    int32_t replicas = 0;
    int32_t min_ready_seconds = 0;
    api::LabelSelector selector;
    std::string_view pod_template;
    ReplicaStatus status;

    client::ObjectKey key() const { return {about.name_space, about.name}; }
};
Result<ReplicaOwner> replica_owner(const view::ReplicaSet& object);
Result<ReplicaOwner> replica_owner(const view::ReplicationController& object);

// The pods that are missing or too many, at most 500 at a time. `pods`: its active ones.
client::Plan plan_replicas(const ReplicaOwner& owner, const Pods& pods, const Pods& related,
                           WallTime now);

// Why the plan before could not be carried out.
struct ReplicaFailure {
    std::string reason;   // FailedCreate, FailedDelete
    std::string message;
};
client::Plan plan_replica_status(const ReplicaOwner& owner, const Pods& pods,
                                 const std::optional<ReplicaFailure>& failure, WallTime now);

// A pod of a template, as JSON without a name; its labels are the template's.
Result<std::string> pod_from_template(std::string_view pod_template, std::string_view name_prefix,
                                      const client::ObjectReference& owner);

}   // namespace skiff::controllers
