#include "sim/hollow_agent.h"

#include "base/text.h"

namespace skiff::sim {
namespace {

constexpr auto lease_every = std::chrono::seconds{10};
constexpr auto again = std::chrono::seconds{1};
constexpr client::ResourceName nodes{"", "v1", "nodes"};
constexpr client::ResourceName pods{"", "v1", "pods"};
constexpr client::ResourceName leases{"coordination.k8s.io", "v1", "leases"};

}   // namespace

HollowAgent::HollowAgent(Cluster& cluster, std::string name, int cpu_milli, int pods_max)
    : world_{cluster.world()},
      name_{std::move(name)},
      cpu_milli_{cpu_milli},
      pods_max_{pods_max},
      process_{world_, world_.between(-2s, 2s)},
      transport_{cluster,
                 process_,
                 {.name = concat("system:node:", name_),
                  .uid = {},
                  .groups = {"system:nodes"},
                  .extra = {}}},
      client_{process_, transport_, "kubelet"},
      pods_{process_,
            world_.random(),
            transport_,
            {.name_space = {},
             .query = {.label_selector = {}, .field_selector = concat("spec.nodeName=", name_)}}},
      queue_{process_,
             [this](const client::ObjectKey& key) { return reconcile(key); },
             {.name = "hollow pods", .backoff_max = 5s}} {
    pods_.on_change([this](const auto& old, const auto& now) {
        const auto& pod = now ? *now : *old;
        queue_.add({pod.metadata.namespace_.str(), pod.metadata.name});
    });
    queue_.start();
    pods_.start();
    process_.post([this] { keep_node(); });
}

HollowAgent::~HollowAgent() {
    pods_.stop();
    queue_.stop();
    process_.settle();
}

void HollowAgent::keep_node() {
    if (!registered_)
        register_node();
    else
        renew_lease();
    process_.after(registered_ ? Duration{lease_every} : Duration{again}, [this] { keep_node(); });
}

void HollowAgent::register_node() {
    const auto made = client_.create_text(
        nodes, "",
        concat(R"({"apiVersion":"v1","kind":"Node","metadata":{"name":")", name_, R"("}})"));
    if (!made && made.error().reason != Reason::AlreadyExists) return;
    const auto known = client_.get_text(nodes, {"", name_});
    if (!known) return;
    if (!known->view().contains("allocatable")) {
        const auto amounts =
            concat(R"({"cpu":")", cpu_milli_, R"(m","memory":"8Gi","pods":")", pods_max_, R"("})");
        const auto done = client_.patch_text(
            nodes, {"", name_}, client::PatchType::StrategicMerge,
            concat(R"({"status":{"capacity":)", amounts, R"(,"allocatable":)", amounts,
                   R"(,"conditions":[{"type":"Ready","status":"True","reason":"KubeletReady"}]}})"),
            "status");
        if (!done) return;
    }
    registered_ = true;
}

void HollowAgent::renew_lease() {
    const auto spec = concat(R"("spec":{"holderIdentity":")", name_,
                             R"(","leaseDurationSeconds":40,"renewTime":")",
                             rfc3339_micro(process_.clock().now()), R"("})");
    const auto done = client_.patch_text(leases, {"kube-node-lease", name_},
                                         client::PatchType::Merge, concat("{", spec, "}"));
    if (done || done.error().reason != Reason::NotFound) return;
    static_cast<void>(client_.create_text(
        leases, "kube-node-lease",
        concat(R"({"apiVersion":"coordination.k8s.io/v1","kind":"Lease","metadata":{"name":")",
               name_, R"(","namespace":"kube-node-lease"},)", spec, "}")));
}

// How long a step of a pod's life still takes; nothing when its time has come.
std::optional<Duration> HollowAgent::left(const std::string& what, Duration least, Duration most) {
    const auto now = world_.now();
    const auto [due, fresh] = due_.try_emplace(what, now);
    if (fresh) due->second = now + world_.between(least, most);
    if (due->second <= now) return {};
    return due->second - now;
}

Result<> HollowAgent::say(const client::ObjectKey& key, const Pod& pod, std::string_view phase) {
    const bool runs = phase == "Running";
    const auto done = client_.patch_text(
        pods, key, client::PatchType::StrategicMerge,
        concat(R"({"metadata":{"uid":")", pod.metadata.uid, R"("},"status":{"phase":")", phase,
               R"(","conditions":[{"type":"Ready","status":")", runs ? "True" : "False",
               R"("}]}})"),
        "status");
    if (!done &&
        (done.error().reason == Reason::NotFound || done.error().reason == Reason::Conflict))
        return {};
    if (!done) return std::unexpected{done.error()};
    return {};
}

Result<client::Requeue> HollowAgent::reconcile(const client::ObjectKey& key) {
    const auto pod = pods_.find(key);
    if (!pod || pod->spec.nodeName != name_) return client::Requeue::no();
    const auto& uid = pod->metadata.uid;
    if (pod->metadata.deletionTimestamp) {
        if (const auto rest = left(concat(uid, "/end"), 10ms, 2s))
            return client::Requeue::in(*rest);
        const auto done = client_.remove_text(pods, key,
                                              {.uid = uid,
                                               .resource_version = {},
                                               .grace_period_seconds = 0,
                                               .propagation_policy = {}});
        if (!done && done.error().reason != Reason::NotFound &&
            done.error().reason != Reason::Conflict)
            return std::unexpected{done.error()};
        return client::Requeue::no();
    }
    if (pod->status.phase.empty() || pod->status.phase == "Pending") {
        if (const auto rest = left(concat(uid, "/start"), 10ms, 3s))
            return client::Requeue::in(*rest);
        TRY_OK(say(key, *pod, "Running"));
        return client::Requeue::no();
    }
    const bool fails = key.name.starts_with("fails-");
    if (pod->status.phase == "Running" && (fails || key.name.starts_with("ends-"))) {
        if (const auto rest = left(concat(uid, "/finish"), 10ms, 5s))
            return client::Requeue::in(*rest);
        TRY_OK(say(key, *pod, fails ? "Failed" : "Succeeded"));
    }
    return client::Requeue::no();
}

}   // namespace skiff::sim
