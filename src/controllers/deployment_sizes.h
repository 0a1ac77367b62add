// The numbers of a deployment: how many pods there may be and must be, and how a change of the
// number is shared among replica sets. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "controllers/workloads.h"

namespace skiff::controllers {

inline constexpr std::string_view revision_annotation = "deployment.kubernetes.io/revision";
inline constexpr std::string_view history_annotation = "deployment.kubernetes.io/revision-history";
inline constexpr std::string_view desired_annotation = "deployment.kubernetes.io/desired-replicas";
inline constexpr std::string_view most_annotation = "deployment.kubernetes.io/max-replicas";
inline constexpr std::string_view hash_label = "pod-template-hash";

// What the strategy allows, in pods. Recreate: nothing beyond, nothing missing.
struct Allowance {
    int32_t surge = 0;
    int32_t unavailable = 0;
};
Allowance allowance_of(const view::Deployment& deployment);

int32_t wanted_replicas(const view::Deployment& deployment);
bool is_rolling(const view::Deployment& deployment);
int64_t revision_of(const view::ReplicaSet& set);   // 0: none
std::optional<int32_t> number_annotation(const view::ReplicaSet& set, std::string_view name);

// A replica set and what becomes of it.
struct SizedSet {
    const view::ReplicaSet* set = nullptr;
    int32_t wanted = 0;
    bool sync_numbers = false;   // the annotations that tell the deployment's numbers
    api::SortedMap<std::string, std::string> annotations;   // to be set
    std::optional<int32_t> min_ready_seconds;               // to be set

    int32_t size() const { return set->spec.replicas.value_or(1); }
    // Pods that count against the surge: those asked for, and those still to be removed.
    int32_t pods() const { return std::max(wanted, set->status.replicas); }
    // Pods that are available and meant to stay.
    int32_t available() const { return std::min(wanted, set->status.availableReplicas); }
    void resize(int32_t to) {
        wanted = to;
        sync_numbers = true;
    }
};

// Shares the deployment's number among several active sets by their sizes (a paused or half-done
// rollout that is scaled).
void share_proportionally(const view::Deployment& deployment, std::vector<SizedSet*> active);

// A name for the template: the same for the same template, another for another collision count.
std::string template_hash(std::string_view pod_template, std::optional<int32_t> collisions);
// Equal but for the hash that the controller adds to the labels.
bool same_template(std::string_view left, std::string_view right);

}   // namespace skiff::controllers
