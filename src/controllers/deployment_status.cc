#include "controllers/deployment_status.h"

#include <algorithm>
#include <limits>

#include "base/text.h"
#include "codec/json.h"

namespace skiff::controllers {
namespace {

using codec::Json;

bool is_progressing(const view::Deployment& deployment, const DeploymentStatus& status) {
    const auto& before = deployment.status;
    return status.updatedReplicas > before.updatedReplicas ||
           status.replicas - status.updatedReplicas < before.replicas - before.updatedReplicas ||
           status.readyReplicas > before.readyReplicas ||
           status.availableReplicas > before.availableReplicas;
}

bool has_timed_out(const view::Deployment& deployment, const DeploymentStatus& status,
                   WallTime now) {
    const auto* condition = condition_of(status, "Progressing");
    if (!condition || condition->reason == "NewReplicaSetAvailable") return false;
    if (condition->reason == "ProgressDeadlineExceeded") return true;
    const auto since = condition->lastUpdateTime.value_or(now);
    return since + std::chrono::seconds{*deployment.spec.progressDeadlineSeconds} < now;
}

std::string subject(const view::Deployment& deployment, const view::ReplicaSet* newest) {
    return newest ? concat("ReplicaSet \"", newest->metadata.name, "\"")
                  : concat("Deployment \"", deployment.metadata.name, "\"");
}

}   // namespace

const DeploymentCondition* condition_of(const DeploymentStatus& status, std::string_view type) {
    for (const auto& condition : status.conditions)
        if (condition.type == type) return &condition;
    return nullptr;
}

void remove_condition(DeploymentStatus& status, std::string_view type) {
    std::erase_if(status.conditions, [&](const auto& condition) { return condition.type == type; });
}

void set_condition(DeploymentStatus& status, std::string_view type, std::string_view is,
                   std::string_view reason, std::string message, WallTime now) {
    DeploymentCondition fresh{.type = type,
                              .status = is,
                              .reason = reason,
                              .message = std::move(message),
                              .lastUpdateTime = now,
                              .lastTransitionTime = now};
    if (const auto* known = condition_of(status, type)) {
        if (known->status == is && known->reason == reason) return;
        if (known->status == is) fresh.lastTransitionTime = known->lastTransitionTime;
    }
    remove_condition(status, type);
    status.conditions.push_back(std::move(fresh));
}

bool has_deadline(const view::Deployment& deployment) {
    return deployment.spec.progressDeadlineSeconds &&
           *deployment.spec.progressDeadlineSeconds != std::numeric_limits<int32_t>::max();
}

bool is_complete(const view::Deployment& deployment, const DeploymentStatus& status) {
    const int32_t wanted = wanted_replicas(deployment);
    return status.updatedReplicas == wanted && status.replicas == wanted &&
           status.availableReplicas == wanted &&
           status.observedGeneration >= deployment.metadata.generation;
}

void tell_pause(const view::Deployment& deployment, DeploymentStatus& status, WallTime now) {
    if (!has_deadline(deployment)) return;
    const auto* progressing = condition_of(status, "Progressing");
    if (progressing && progressing->reason == "ProgressDeadlineExceeded") return;
    const bool told = progressing && progressing->reason == "DeploymentPaused";
    if (deployment.spec.paused && !told)
        set_condition(status, "Progressing", "Unknown", "DeploymentPaused", "Deployment is paused",
                      now);
    else if (!deployment.spec.paused && told)
        set_condition(status, "Progressing", "Unknown", "DeploymentResumed",
                      "Deployment is resumed", now);
}

void count(const view::Deployment& deployment, const std::vector<const view::ReplicaSet*>& all,
           const view::ReplicaSet* newest, DeploymentStatus& status, WallTime now) {
    int32_t asked = 0;
    status.replicas = status.readyReplicas = status.availableReplicas = 0;
    for (const auto* set : all) {
        asked += set->spec.replicas.value_or(1);
        status.replicas += set->status.replicas;
        status.readyReplicas += set->status.readyReplicas;
        status.availableReplicas += set->status.availableReplicas;
    }
    status.updatedReplicas = newest ? newest->status.replicas : 0;
    status.unavailableReplicas = std::max(0, asked - status.availableReplicas);
    status.observedGeneration = deployment.metadata.generation;
    if (status.availableReplicas >=
        wanted_replicas(deployment) - allowance_of(deployment).unavailable)
        set_condition(status, "Available", "True", "MinimumReplicasAvailable",
                      "Deployment has minimum availability.", now);
    else
        set_condition(status, "Available", "False", "MinimumReplicasUnavailable",
                      "Deployment does not have minimum availability.", now);
}

void tell_progress(const view::Deployment& deployment,
                   const std::vector<const view::ReplicaSet*>& all, const view::ReplicaSet* newest,
                   DeploymentStatus& status, WallTime now) {
    if (!has_deadline(deployment)) remove_condition(status, "Progressing");
    const auto* known = condition_of(status, "Progressing");
    // A rollout that was complete stays so, whatever becomes of single pods.
    const bool done = status.replicas == status.updatedReplicas && known &&
                      known->reason == "NewReplicaSetAvailable";
    if (has_deadline(deployment) && !done) {
        if (is_complete(deployment, status)) {
            set_condition(status, "Progressing", "True", "NewReplicaSetAvailable",
                          concat(subject(deployment, newest), " has successfully progressed."),
                          now);
        } else if (is_progressing(deployment, status)) {
            // Told anew each time, for the deadline counts from the last of them.
            const auto since = known && known->status == "True" ? known->lastTransitionTime : now;
            remove_condition(status, "Progressing");
            set_condition(status, "Progressing", "True", "ReplicaSetUpdated",
                          concat(subject(deployment, newest), " is progressing."), now);
            status.conditions.back().lastTransitionTime = since;
        } else if (has_timed_out(deployment, status, now)) {
            set_condition(status, "Progressing", "False", "ProgressDeadlineExceeded",
                          concat(subject(deployment, newest), " has timed out progressing."), now);
        }
    }
    const view::ReplicaSet::ReplicaSetCondition* failure = nullptr;
    const auto look = [&](const view::ReplicaSet& set) {
        for (const auto& condition : set.status.conditions)
            if (condition.type == "ReplicaFailure" && !failure) failure = &condition;
    };
    if (newest) look(*newest);
    for (const auto* set : all) look(*set);
    if (!failure) return remove_condition(status, "ReplicaFailure");
    set_condition(status, "ReplicaFailure", failure->status, failure->reason, failure->message,
                  failure->lastTransitionTime.value_or(now));
}

std::optional<Duration> until_deadline(const view::Deployment& deployment,
                                       const DeploymentStatus& status, WallTime now) {
    const auto* progressing = condition_of(status, "Progressing");
    if (!has_deadline(deployment) || !progressing || deployment.spec.paused) return std::nullopt;
    if (is_complete(deployment, status) || progressing->reason == "ProgressDeadlineExceeded" ||
        progressing->reason == "NewReplicaSetAvailable")
        return std::nullopt;
    const auto due = progressing->lastUpdateTime.value_or(now) +
                     std::chrono::seconds{*deployment.spec.progressDeadlineSeconds};
    return std::max<Duration>(due - now, Duration::zero()) + std::chrono::seconds{1};
}

std::string status_patch(const DeploymentStatus& status) {
    codec::Arena arena;
    auto conditions = Json::array();
    for (const auto& condition : status.conditions) {
        auto& one = conditions.push(arena, Json::object());
        const auto text = [&](std::string_view key, std::string_view value) {
            one.set_borrowed(arena, key, Json::string(arena, value));
        };
        text("type", condition.type);
        text("status", condition.status);
        if (condition.lastUpdateTime) text("lastUpdateTime", rfc3339(*condition.lastUpdateTime));
        if (condition.lastTransitionTime)
            text("lastTransitionTime", rfc3339(*condition.lastTransitionTime));
        text("reason", condition.reason);
        text("message", condition.message);
    }
    std::string out =
        concat(R"({"status":{"observedGeneration":)", status.observedGeneration, R"(,"replicas":)",
               status.replicas, R"(,"updatedReplicas":)", status.updatedReplicas,
               R"(,"readyReplicas":)", status.readyReplicas, R"(,"availableReplicas":)",
               status.availableReplicas, R"(,"unavailableReplicas":)", status.unavailableReplicas);
    if (status.collisionCount) append(out, R"(,"collisionCount":)", *status.collisionCount);
    append(out, R"(,"conditions":)", codec::to_json(conditions), "}}");
    return out;
}

}   // namespace skiff::controllers
