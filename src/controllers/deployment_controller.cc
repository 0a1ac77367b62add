#include "controllers/deployment_controller.h"

#include <algorithm>

#include "base/text.h"
#include "controllers/ownership.h"
#include "controllers/synced.h"

namespace skiff::controllers {
namespace {

using client::ObjectKey;
using client::Plan;
using client::Requeue;

ObjectKey key_of(const view::Deployment& deployment) {
    return {deployment.metadata.namespace_.str(), deployment.metadata.name};
}

Result<api::LabelSelector> selector_of(const view::Deployment& deployment) {
    TRY(const auto selector, codec::parse_json(deployment.spec.selector));
    return api::LabelSelector::from_object(selector.root);
}

bool creates_a_set(const Plan& plan) {
    return !plan.empty() && plan.writes.front().verb == client::Write::Verb::Create;
}

}   // namespace

DeploymentController::DeploymentController(Executor& executor, Random& random,
                                           const ControllersOptions& options,
                                           client::Informer<view::ReplicaSet>& sets,
                                           client::Informer<view::Pod>& pods)
    : component_{executor, options, "deployment-controller"},
      events_{executor, *component_.transport, {.component = "deployment-controller", .host = {}}},
      clock_{executor.clock()},
      sets_{sets},
      pods_{pods},
      deployments_{executor, random, *component_.transport},
      queue_{executor,
             [this](const ObjectKey& key) { return reconcile(key); },
             {.name = "deployments", .workers = 4}} {
    component_.plans.equip(random, events_);
    component_.plans.observe(client::resource_of<view::Deployment>(), deployments_.core());
    component_.plans.observe(client::resource_of<view::ReplicaSet>(), sets_.core());
    deployments_.on_change(
        [this](const auto& old, const auto& now) { queue_.add(key_of(now ? *now : *old)); });
    sets_.on_change([this](const auto& old, const auto& now) { set_changed(old, now); });
    pods_.on_change([this](const auto& old, const auto& now) {
        if (old && (!now || (is_finished(*now) && !is_finished(*old)))) pod_gone(*old);
    });
}

void DeploymentController::start() {
    when_all_synced([this] { queue_.start(); }, deployments_, sets_, pods_);
    deployments_.start();
}

void DeploymentController::set_changed(const SetPtr& old, const SetPtr& now) {
    const auto wake_owner = [&](const view::ReplicaSet& set) {
        const auto* owner = controller_of(set);
        if (owner && owner->kind == view::Deployment::kind)
            queue_.add({set.metadata.namespace_.str(), owner->name});
        return owner != nullptr;
    };
    if (old) wake_owner(*old);
    if (!now || wake_owner(*now)) return;
    const bool same = old && !controller_of(*old) && old->metadata.labels == now->metadata.labels;
    if (same || now->metadata.deletionTimestamp) return;
    for (const auto& deployment : deployments_.in_namespace(now->metadata.namespace_)) {
        const auto selector = selector_of(*deployment);
        if (selector && selector->matches(now->metadata.labels)) queue_.add(key_of(*deployment));
    }
}

// Recreate waits for the last pod of the old sets.
void DeploymentController::pod_gone(const view::Pod& pod) {
    const auto* set_reference = controller_of(pod);
    if (!set_reference || set_reference->kind != view::ReplicaSet::kind) return;
    const auto set = sets_.find({pod.metadata.namespace_.str(), set_reference->name});
    const auto* owner = set ? controller_of(*set) : nullptr;
    if (!owner || owner->kind != view::Deployment::kind) return;
    const ObjectKey key{pod.metadata.namespace_.str(), owner->name};
    const auto deployment = deployments_.find(key);
    if (deployment && !is_rolling(*deployment)) queue_.add(key);
}

Result<Plan> DeploymentController::plan(const view::Deployment& deployment) {
    TRY(const auto selector, selector_of(deployment));
    Plan plan{.about = client::reference_to(deployment), .writes = {}, .again = {}};
    if (selector.everything()) {
        events_.record(plan.about, client::EventType::Warning, "SelectingAll",
                       "This deployment is selecting all pods. A non-empty selector is required.");
        return plan;
    }
    const auto& metadata = deployment.metadata;
    const auto claims =
        claim<view::ReplicaSet>(metadata.uid, metadata.deletionTimestamp.has_value(), selector,
                                possible_children(sets_, metadata.uid, metadata.namespace_));
    if (!claims.adopt.empty())
        TRY_OK(may_adopt<view::Deployment>(component_.client, key_of(deployment), metadata.uid));
    plan_claims(plan, plan.about, claims);
    if (!plan.empty()) return plan;
    DeploymentFacts facts{.deployment = deployment, .sets = claims.mine, .uids_with_pods = {}};
    if (!is_rolling(deployment)) {
        for (const auto& set : claims.mine) {
            const auto pods = pods_.owned_by(set->metadata.uid);
            if (std::ranges::any_of(pods, [](const PodPtr& pod) { return !is_finished(*pod); }))
                facts.uids_with_pods.push_back(set->metadata.uid);
        }
    }
    return plan_deployment(facts, clock_.now());
}

Result<Requeue> DeploymentController::reconcile(const ObjectKey& key) {
    DeploymentPtr deployment;
    bool creates = false;
    auto done = component_.plans.reconcile(key, [&]() -> Result<Plan> {
        deployment = deployments_.find(key);
        if (!deployment) return Plan{};
        TRY(auto planned, plan(*deployment));
        creates = creates_a_set(planned);
        return planned;
    });
    if (!done && creates) return create_failed(key, *deployment, done.error());
    return done;
}

// The name is taken: by our own set, which the cache will show, or by one that only has its hash.
Result<Requeue> DeploymentController::create_failed(const ObjectKey& key,
                                                    const view::Deployment& deployment,
                                                    const Error& error) {
    if (client::is_namespace_ending(error)) return Requeue::no();
    if (error.reason != Reason::AlreadyExists) {
        TRY_OK(component_.plans.carry_out(
            key, plan_create_failed(deployment, error.message, clock_.now())));
        return std::unexpected{error};
    }
    TRY(const auto known,
        component_.client.get<view::ReplicaSet>({key.name_space, new_set_name(deployment)}));
    const auto* owner = controller_of(known);
    const bool ours = owner && owner->uid == deployment.metadata.uid &&
                      same_template(known.spec.template_, deployment.spec.template_);
    if (ours) return std::unexpected{error};   // seen soon
    return component_.plans.carry_out(key, plan_name_taken(deployment));
}

}   // namespace skiff::controllers
