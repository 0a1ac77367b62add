#include "controllers/pod_gc.h"

#include <algorithm>

#include "base/text.h"
#include "controllers/synced.h"

namespace skiff::controllers {
namespace {

using client::ObjectKey;
using client::Plan;
using client::Requeue;

ObjectKey key_of(const view::Pod& pod) {
    return {.name_space = pod.metadata.namespace_.str(), .name = pod.metadata.name};
}

void remove_at_once(Plan& plan, const view::Pod& pod) {
    plan.remove<view::Pod>(key_of(pod), pod.metadata.uid).deletion.grace_period_seconds = 0;
}

// Whoever waits for the pod is told why it went (KEP-3329).
void mark_failed(Plan& plan, const view::Pod& pod, WallTime now) {
    plan.patch<view::Pod>(
            key_of(pod),
            concat(R"({"status":{"phase":"Failed","conditions":[{"type":"DisruptionTarget",)",
                   R"("status":"True","reason":"DeletionByPodGC",)",
                   R"("message":"PodGC: node no longer exists","lastTransitionTime":")",
                   rfc3339(now), R"("}]}})"),
            "status")
        .uid = pod.metadata.uid;
}

}   // namespace

std::set<std::string> MissingNodes::due(const Pods& pods, const std::set<std::string>& nodes,
                                        MonoTime now, Duration quarantine) {
    std::map<std::string, MonoTime> missing;
    for (const auto& pod : pods) {
        const std::string node{std::string_view{pod->spec.nodeName}};
        if (node.empty() || nodes.contains(node)) continue;
        const auto before = since_.find(node);
        missing.emplace(node, before == since_.end() ? now : before->second);
    }
    since_ = std::move(missing);
    std::set<std::string> due;
    for (const auto& [node, since] : since_)
        if (now - since >= quarantine) due.insert(node);
    return due;
}

Plan plan_pod_gc(const Pods& pods, const std::set<std::string>& gone, size_t finished_max,
                 WallTime now) {
    Plan plan;
    Pods finished;
    for (const auto& pod : pods) {
        if (gone.contains(std::string{std::string_view{pod->spec.nodeName}})) {
            if (!is_finished(*pod)) mark_failed(plan, *pod, now);
            remove_at_once(plan, *pod);
        } else if (is_finished(*pod) && !pod->metadata.deletionTimestamp) {
            finished.push_back(pod);
        }
    }
    if (finished.size() <= finished_max) return plan;
    std::ranges::sort(finished, [](const PodPtr& left, const PodPtr& right) {
        const auto& one = left->metadata;
        const auto& other = right->metadata;
        if (one.creationTimestamp != other.creationTimestamp)
            return one.creationTimestamp < other.creationTimestamp;
        return one.uid < other.uid;
    });
    finished.resize(finished.size() - finished_max);
    for (const auto& pod : finished) remove_at_once(plan, *pod);
    return plan;
}

PodGc::PodGc(Executor& executor, Random& random, const ControllersOptions& options,
             client::Informer<view::Pod>& pods, PodGcSettings settings)
    : settings_{settings},
      clock_{executor.clock()},
      component_{executor, options, "pod-garbage-collector"},
      pods_{pods},
      nodes_{executor, random, *component_.transport},
      queue_{executor,
             [this](const ObjectKey& key) { return reconcile(key); },
             {.name = "pod garbage", .workers = 1}} {
    component_.plans.observe(client::resource_of<view::Pod>(), pods.core());
}

void PodGc::start() {
    when_all_synced(
        [this] {
            queue_.add({.name_space = {}, .name = "pods"});
            queue_.start();
        },
        pods_, nodes_);
    nodes_.start();
}

// A node that the cache does not show may only be new to it.
Result<std::set<std::string>> PodGc::gone_nodes() {
    std::set<std::string> known;
    for (const auto& node : nodes_.all()) known.insert(node->metadata.name);
    std::set<std::string> gone;
    for (const auto& name :
         missing_.due(pods_.all(), known, clock_.monotonic(), settings_.quarantine)) {
        const auto node = component_.client.get<view::Node>({.name_space = {}, .name = name});
        if (node) continue;
        if (node.error().reason != Reason::NotFound) return std::unexpected{node.error()};
        gone.insert(name);
    }
    return gone;
}

Result<Requeue> PodGc::reconcile(const ObjectKey& key) {
    TRY_OK(component_.plans.reconcile(key, [&]() -> Result<Plan> {
        TRY(const auto gone, gone_nodes());
        return plan_pod_gc(pods_.all(), gone, settings_.finished_max, clock_.now());
    }));
    return Requeue::in(settings_.every);
}

}   // namespace skiff::controllers
