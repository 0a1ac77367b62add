#include "sim/workload_record.h"

#include <algorithm>

#include "base/text.h"
#include "sim/record.h"

namespace skiff::sim {
namespace {

int64_t number_at(const codec::Json& object, std::initializer_list<std::string_view> path) {
    const auto* value = object.at_path(path);
    return value && value->is_integer() ? value->as_int() : 0;
}

// The worlds' deployments say numbers, not percentages.
int64_t step_of(const codec::Json& deployment, std::string_view name) {
    return number_at(deployment, {"spec", "strategy", "rollingUpdate", name});
}

}   // namespace

std::string controller_uid(const codec::Json& object) {
    const auto* owners = object.at_path({"metadata", "ownerReferences"});
    if (!owners) return {};
    for (const auto& owner : owners->items())
        if (const auto* is = owner.find("controller"); is && is->is_bool() && is->as_bool())
            return std::string{owner.text_at({"uid"})};
    return {};
}

bool is_active_pod(const codec::Json& pod) {
    return !is_finished(pod) && pod.text_at({"metadata", "deletionTimestamp"}).empty();
}

Bounds bounds_of(const codec::Json& deployment) {
    const int64_t replicas = number_at(deployment, {"spec", "replicas"});
    const int64_t surge = step_of(deployment, "maxSurge");
    const int64_t missing = step_of(deployment, "maxUnavailable");
    return {.most = replicas + surge, .least = std::max<int64_t>(0, replicas - missing)};
}

std::optional<std::string> WorkloadRecord::take(std::string_view prefix, const std::string& key,
                                                const codec::Json* object) {
    const auto uid_of = [](const codec::Json& one) {
        return std::string{one.text_at({"metadata", "uid"})};
    };
    if (prefix == "/registry/deployments/" && object) {
        auto& deployment = deployments_[uid_of(*object)];
        deployment.most = std::max(deployment.most, bounds_of(*object).most);
    }
    if (prefix == "/registry/replicasets/" && object)
        owner_of_set_[uid_of(*object)] = controller_uid(*object);
    if (prefix != "/registry/pods/") return {};
    if (object) uids_[key] = uid_of(*object);
    auto& pod = pods_[uids_[key]];
    if (pod.active) --deployments_[pod.deployment].pods;
    pod.active = false;
    if (!object) return {};
    const auto set = owner_of_set_.find(controller_uid(*object));
    pod.deployment = set == owner_of_set_.end() ? "" : set->second;
    const auto deployment = deployments_.find(pod.deployment);
    if (!is_active_pod(*object) || deployment == deployments_.end()) return {};
    pod.active = true;
    if (++deployment->second.pods <= deployment->second.most) return {};
    return concat(key,
                  " is one pod more than its deployment ever asked for: ", deployment->second.pods,
                  " of ", deployment->second.most);
}

}   // namespace skiff::sim
