#include "controllers/replica_controller.h"

#include "base/log.h"
#include "base/text.h"
#include "controllers/ownership.h"
#include "controllers/synced.h"

namespace skiff::controllers {

using client::ObjectKey;
using client::Plan;
using client::Requeue;

namespace {

// The first write's failure in the API's own words, without what the executor puts before them.
ReplicaFailure failure_of(const Plan& plan, const Error& error) {
    const bool creates = plan.writes.front().verb == client::Write::Verb::Create;
    std::string_view text = error.message;
    if (text.starts_with(creates ? "create pods " : "delete pods "))
        text = text.substr(text.find(": ") + 2);
    return {.reason = creates ? "FailedCreate" : "FailedDelete", .message = std::string{text}};
}

}   // namespace

template <class V>
ReplicaController<V>::ReplicaController(Executor& executor, Random& random,
                                        const ControllersOptions& options, std::string_view name,
                                        client::Informer<V>& objects,
                                        client::Informer<view::Pod>& pods)
    : component_{executor, options, name},
      events_{executor, *component_.transport, {.component = std::string{name}, .host = {}}},
      clock_{executor.clock()},
      objects_{objects},
      pods_{pods},
      queue_{executor,
             [this](const ObjectKey& key) { return reconcile(key); },
             {.name = V::resource.data(), .workers = 4}} {
    component_.plans.equip(random, events_);
    component_.plans.observe(client::resource_of<V>(), objects_.core());
    component_.plans.observe(client::resource_of<view::Pod>(), pods_.core());
    objects_.on_change([this](const auto& old, const auto& now) {
        const auto& metadata = (now ? now : old)->metadata;
        queue_.add({metadata.namespace_.str(), metadata.name});
    });
    pods_.on_change([this](const auto& old, const auto& now) { pod_changed(old, now); });
}

template <class V>
void ReplicaController<V>::start() {
    when_all_synced([this] { queue_.start(); }, objects_, pods_);
}

template <class V>
void ReplicaController<V>::pod_changed(const PodPtr& old, const PodPtr& now) {
    const auto wake_owner = [&](const view::Pod& pod) {
        const auto* owner = controller_of(pod);
        if (owner && owner->kind == V::kind)
            queue_.add({pod.metadata.namespace_.str(), owner->name});
        return owner != nullptr;
    };
    if (old) wake_owner(*old);
    if (!now || wake_owner(*now)) return;
    // Nobody's: whose it may be is asked when that can have changed.
    const bool same = old && !controller_of(*old) && old->metadata.labels == now->metadata.labels;
    if (same || !is_active(*now)) return;
    for (const auto& object : objects_.in_namespace(now->metadata.namespace_)) {
        const auto owner = replica_owner(*object);
        if (owner && owner->selector.matches(now->metadata.labels)) queue_.add(owner->key());
    }
}

template <class V>
Pods ReplicaController<V>::related_to(const V& object) const {
    if constexpr (requires { object.metadata.ownerReferences; }) {
        if (const auto* controller = controller_of(object)) {
            Pods related;
            for (const auto& sibling : objects_.owned_by(controller->uid))
                std::ranges::copy(pods_.owned_by(sibling->metadata.uid),
                                  std::back_inserter(related));
            return related;
        }
    }
    return pods_.owned_by(object.metadata.uid);
}

template <class V>
Result<Plan> ReplicaController<V>::plan(const V& object, const ReplicaOwner& owner, Pods& mine) {
    auto pods = possible_children(pods_, owner.about.uid, owner.about.name_space);
    std::erase_if(pods, [](const PodPtr& pod) { return !is_active(*pod); });
    auto claims = claim<view::Pod>(owner.about.uid, owner.deleting, owner.selector, pods);
    Plan plan{.about = owner.about, .writes = {}, .again = {}};
    if (!claims.adopt.empty())
        TRY_OK(may_adopt<V>(component_.client, owner.key(), owner.about.uid));
    plan_claims(plan, owner.about, claims);
    if (!plan.empty()) return plan;
    mine = std::move(claims.mine);
    const bool too_many = mine.size() > static_cast<size_t>(std::max(owner.replicas, 0));
    return plan_replicas(owner, mine, too_many ? related_to(object) : Pods{}, clock_.now());
}

template <class V>
Result<Requeue> ReplicaController<V>::reconcile(const ObjectKey& key) {
    client::Shared<V> object;
    std::optional<ReplicaOwner> owner;
    Plan planned;
    Pods mine;
    auto done = component_.plans.reconcile(key, [&]() -> Result<Plan> {
        object = objects_.find(key);
        if (!object) return Plan{};
        TRY(owner, replica_owner(*object));
        TRY(planned, plan(*object, *owner, mine));
        return planned;
    });
    const bool claims =
        !planned.empty() && planned.writes.front().verb == client::Write::Verb::Patch;
    if (!owner || claims) return done;
    std::optional<ReplicaFailure> failure;
    if (!done && client::is_namespace_ending(done.error())) done = Requeue::no();
    if (!done && planned.empty()) return done;   // it was not planned at all
    if (!done) failure = failure_of(planned, done.error());
    const auto status = plan_replica_status(*owner, mine, failure, clock_.now());
    auto told = component_.plans.carry_out(key, status);
    if (!done) return done;
    return told;
}

template class ReplicaController<view::ReplicaSet>;
template class ReplicaController<view::ReplicationController>;

}   // namespace skiff::controllers
