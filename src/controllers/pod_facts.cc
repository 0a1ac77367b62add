#include "controllers/pod_facts.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "base/text.h"

namespace skiff::controllers {
namespace {

constexpr std::string_view deletion_cost = "controller.kubernetes.io/pod-deletion-cost";

const view::Pod::PodCondition* ready_condition(const view::Pod& pod) {
    for (const auto& condition : pod.status.conditions)
        if (condition.type == "Ready") return &condition;
    return nullptr;
}

struct Ranked {
    PodPtr pod;
    bool unassigned;
    int phase;
    bool ready;
    int64_t cost;
    int neighbours;
    std::optional<WallTime> ready_at;
    int32_t restarts;
};

// Upstream compares ages by their logarithm, so that not always the very youngest goes: -1 for
// none.
int64_t age_class(std::optional<WallTime> since, WallTime now) {
    if (!since || *since >= now) return -1;
    return static_cast<int64_t>(std::log2(static_cast<double>((now - *since).count())));
}

int64_t cost_of(const view::Pod& pod) {
    const auto* text = pod.metadata.annotations.find(deletion_cost);
    return text ? parse_number<int32_t>(*text).value_or(0) : 0;
}

int32_t restarts_of(const view::Pod& pod) {
    int32_t most = 0;
    for (const auto& status : pod.status.containerStatuses)
        most = std::max(most, status.restartCount);
    for (const auto& status : pod.status.initContainerStatuses) {
        const bool sidecar = std::ranges::any_of(pod.spec.initContainers, [&](const auto& one) {
            return one.name == status.name && one.restartPolicy == "Always";
        });
        if (sidecar) most = std::max(most, status.restartCount);
    }
    return most;
}

int phase_rank(const view::Pod& pod) {
    if (pod.status.phase == "Running") return 2;
    return pod.status.phase == "Unknown" ? 1 : 0;
}

bool goes_before(const Ranked& left, const Ranked& right, WallTime now) {
    if (left.unassigned != right.unassigned) return left.unassigned;
    if (left.phase != right.phase) return left.phase < right.phase;
    if (left.ready != right.ready) return !left.ready;
    if (left.cost != right.cost) return left.cost < right.cost;
    if (left.neighbours != right.neighbours) return left.neighbours > right.neighbours;
    const auto& one = left.pod->metadata;
    const auto& other = right.pod->metadata;
    if (left.ready && left.ready_at != right.ready_at) {
        const auto mine = age_class(left.ready_at, now), theirs = age_class(right.ready_at, now);
        return mine == theirs ? one.uid < other.uid : mine < theirs;
    }
    if (left.restarts != right.restarts) return left.restarts > right.restarts;
    if (one.creationTimestamp != other.creationTimestamp) {
        const auto mine = age_class(one.creationTimestamp, now);
        const auto theirs = age_class(other.creationTimestamp, now);
        if (mine != theirs) return mine < theirs;
    }
    return one.uid < other.uid;
}

}   // namespace

bool is_finished(const view::Pod& pod) {
    return pod.status.phase == "Succeeded" || pod.status.phase == "Failed";
}
bool is_active(const view::Pod& pod) {
    return !is_finished(pod) && !pod.metadata.deletionTimestamp;
}
bool is_ready(const view::Pod& pod) {
    const auto* ready = ready_condition(pod);
    return ready && ready->status == "True";
}
std::optional<WallTime> ready_since(const view::Pod& pod) {
    const auto* ready = ready_condition(pod);
    return ready && ready->status == "True" ? ready->lastTransitionTime : std::nullopt;
}

std::optional<Duration> until_available(const view::Pod& pod, int32_t min_ready_seconds,
                                        WallTime now) {
    if (!is_ready(pod)) return std::nullopt;
    if (min_ready_seconds <= 0) return Duration::zero();
    const auto since = ready_since(pod);
    if (!since) return std::chrono::seconds{min_ready_seconds};
    return std::max<Duration>(*since + std::chrono::seconds{min_ready_seconds} - now,
                              Duration::zero());
}

Pods to_delete(const Pods& pods, size_t count, const Pods& related, WallTime now) {
    if (count >= pods.size()) return pods;
    std::map<std::string_view, int> on_node;
    for (const auto& pod : related)
        if (is_active(*pod)) ++on_node[pod->spec.nodeName.view()];
    std::vector<Ranked> ranked;
    for (const auto& pod : pods) {
        const auto node = on_node.find(pod->spec.nodeName.view());
        ranked.push_back({.pod = pod,
                          .unassigned = pod->spec.nodeName.empty(),
                          .phase = phase_rank(*pod),
                          .ready = is_ready(*pod),
                          .cost = cost_of(*pod),
                          .neighbours = node == on_node.end() ? 0 : node->second,
                          .ready_at = ready_since(*pod),
                          .restarts = restarts_of(*pod)});
    }
    std::ranges::sort(ranked, [now](const Ranked& left, const Ranked& right) {
        return goes_before(left, right, now);
    });
    Pods chosen;
    for (size_t i = 0; i < count; ++i) chosen.push_back(ranked[i].pod);
    return chosen;
}

}   // namespace skiff::controllers
