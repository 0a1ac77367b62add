#include "controllers/replicas.h"

#include <algorithm>

#include "base/text.h"
#include "codec/json.h"
#include "controllers/ownership.h"

namespace skiff::controllers {
namespace {

using client::EventType;
using client::Plan;
using codec::Json;

constexpr size_t burst_max = 500;
constexpr std::string_view failure_type = "ReplicaFailure";

template <class V>
ReplicaOwner owner_of(const V& object) {
    ReplicaOwner owner{.about = client::reference_to(object),
                       .resource = client::resource_of<V>(),
                       .generation = object.metadata.generation,
                       .deleting = object.metadata.deletionTimestamp.has_value(),
                       .replicas = object.spec.replicas.value_or(1),
                       .min_ready_seconds = object.spec.minReadySeconds,
                       .selector = {},
                       .pod_template = object.spec.template_,
                       .status = {}};
    owner.status.replicas = object.status.replicas;
    owner.status.fullyLabeledReplicas = object.status.fullyLabeledReplicas;
    owner.status.observedGeneration = object.status.observedGeneration;
    owner.status.readyReplicas = object.status.readyReplicas;
    owner.status.availableReplicas = object.status.availableReplicas;
    for (const auto& condition : object.status.conditions)
        owner.status.conditions.push_back({.type = condition.type,
                                           .status = condition.status,
                                           .lastTransitionTime = condition.lastTransitionTime,
                                           .reason = condition.reason,
                                           .message = condition.message});
    return owner;
}

void plan_creates(Plan& plan, const ReplicaOwner& owner, size_t count) {
    // The prefix of pods' names; what is longer than a name may be is cut when the suffix comes.
    const auto prefix = concat(owner.about.name.substr(0, 57), "-");
    const auto body = pod_from_template(owner.pod_template, prefix, owner.about);
    if (!body) return;   // the API lets no such template in
    for (size_t i = 0; i < count; ++i) {
        auto& write = plan.writes.emplace_back();
        write.verb = client::Write::Verb::Create;
        write.resource = client::resource_of<view::Pod>();
        write.key = {owner.about.name_space, prefix};
        write.body = *body;
        write.adds_suffix = true;
        write.together = true;
        write.when_done = {EventType::Normal, "SuccessfulCreate", "Created pod: {name}"};
        write.when_failed = {EventType::Warning, "FailedCreate", "Error creating: {error}"};
    }
}

void plan_deletes(Plan& plan, const ReplicaOwner& owner, const Pods& pods) {
    for (const auto& pod : pods) {
        auto& write =
            plan.remove<view::Pod>({owner.about.name_space, pod->metadata.name}, pod->metadata.uid);
        write.together = true;
        write.when_done = {EventType::Normal, "SuccessfulDelete", "Deleted pod: {name}"};
        write.when_failed = {EventType::Warning, "FailedDelete", "Error deleting: {error}"};
    }
}

api::LabelSelector labels_of_template(std::string_view pod_template) {
    const auto document = codec::parse_json(pod_template);
    auto wanted = Json::object();
    if (!document) return {};
    codec::Arena arena;
    if (const auto* labels = document->root.at_path({"metadata", "labels"}))
        wanted.set_borrowed(arena, "matchLabels", *labels);
    return api::LabelSelector::from_object(wanted).value_or(api::LabelSelector{});
}

void set_failure(ReplicaStatus& status, const std::optional<ReplicaFailure>& failure,
                 WallTime now) {
    const auto known = std::ranges::find_if(
        status.conditions, [](const auto& condition) { return condition.type == failure_type; });
    if (!failure) {
        if (known != status.conditions.end()) status.conditions.erase(known);
        return;
    }
    if (known != status.conditions.end()) return;   // the first failure stands until all is well
    status.conditions.push_back({.type = failure_type,
                                 .status = "True",
                                 .lastTransitionTime = now,
                                 .reason = failure->reason,
                                 .message = failure->message});
}

std::string status_patch(const ReplicaStatus& status) {
    codec::Arena arena;
    auto conditions = Json::array();
    for (const auto& condition : status.conditions) {
        auto& one = conditions.push(arena, Json::object());
        one.set_borrowed(arena, "type", Json::string(arena, condition.type));
        one.set_borrowed(arena, "status", Json::string(arena, condition.status));
        if (condition.lastTransitionTime)
            one.set_borrowed(arena, "lastTransitionTime",
                             Json::string(arena, rfc3339(*condition.lastTransitionTime)));
        one.set_borrowed(arena, "reason", Json::string(arena, condition.reason));
        one.set_borrowed(arena, "message", Json::string(arena, condition.message));
    }
    return concat(R"({"status":{"replicas":)", status.replicas, R"(,"fullyLabeledReplicas":)",
                  status.fullyLabeledReplicas, R"(,"readyReplicas":)", status.readyReplicas,
                  R"(,"availableReplicas":)", status.availableReplicas, R"(,"observedGeneration":)",
                  status.observedGeneration, R"(,"conditions":)", codec::to_json(conditions), "}}");
}

}   // namespace

Result<ReplicaOwner> replica_owner(const view::ReplicaSet& object) {
    auto owner = owner_of(object);
    TRY(const auto selector, codec::parse_json(object.spec.selector));
    TRY(owner.selector, api::LabelSelector::from_object(selector.root));
    return owner;
}

Result<ReplicaOwner> replica_owner(const view::ReplicationController& object) {
    auto owner = owner_of(object);
    codec::Arena arena;
    auto wanted = Json::object();
    auto& labels = wanted.make_object(arena, "matchLabels");
    for (const auto& [key, value] : object.spec.selector)
        labels.set(arena, key, Json::string(arena, value));
    TRY(owner.selector,
        api::LabelSelector::from_object(object.spec.selector.empty() ? Json{} : wanted));
    return owner;
}

Result<std::string> pod_from_template(std::string_view pod_template, std::string_view name_prefix,
                                      const client::ObjectReference& owner) {
    TRY(auto document, codec::parse_json(pod_template));
    auto& arena = document.arena;
    TRY(const auto reference, codec::parse_json_into(arena, owner_reference_json(owner)));
    auto pod = Json::object();
    pod.set_borrowed(arena, "apiVersion", Json::borrowed("v1"));
    pod.set_borrowed(arena, "kind", Json::borrowed("Pod"));
    auto& metadata = pod.make_object(arena, "metadata");
    metadata.set_borrowed(arena, "generateName", Json::string(arena, name_prefix));
    metadata.set_borrowed(arena, "namespace", Json::string(arena, owner.name_space));
    for (const std::string_view member : {"labels", "annotations", "finalizers"})
        if (const auto* value = document.root.at_path({"metadata", member}))
            metadata.set_borrowed(arena, member, *value);
    metadata.make_array(arena, "ownerReferences").push(arena, reference);
    if (const auto* spec = document.root.find("spec")) pod.set_borrowed(arena, "spec", *spec);
    return codec::to_json(pod);
}

Plan plan_replicas(const ReplicaOwner& owner, const Pods& pods, const Pods& related, WallTime now) {
    Plan plan{.about = owner.about, .writes = {}, .again = {}};
    if (owner.deleting) return plan;
    const auto wanted = static_cast<size_t>(std::max(owner.replicas, 0));
    if (pods.size() < wanted)
        plan_creates(plan, owner, std::min(wanted - pods.size(), burst_max));
    else if (pods.size() > wanted)
        plan_deletes(plan, owner,
                     to_delete(pods, std::min(pods.size() - wanted, burst_max), related, now));
    return plan;
}

Plan plan_replica_status(const ReplicaOwner& owner, const Pods& pods,
                         const std::optional<ReplicaFailure>& failure, WallTime now) {
    Plan plan{.about = owner.about, .writes = {}, .again = {}};
    auto status = owner.status;
    status.replicas = static_cast<int32_t>(pods.size());
    status.fullyLabeledReplicas = status.readyReplicas = status.availableReplicas = 0;
    const auto fully_labeled = labels_of_template(owner.pod_template);
    for (const auto& pod : pods) {
        status.fullyLabeledReplicas += fully_labeled.matches(pod->metadata.labels);
        const auto left = until_available(*pod, owner.min_ready_seconds, now);
        status.readyReplicas += left.has_value();
        status.availableReplicas += left == Duration::zero();
        if (left && *left > Duration::zero())
            plan.again = std::min(plan.again.value_or(*left), *left);
    }
    status.observedGeneration = std::max(status.observedGeneration, owner.generation);
    set_failure(status, failure, now);
    if (status == owner.status) return plan;
    auto& write = plan.writes.emplace_back();
    write.verb = client::Write::Verb::Patch;
    write.resource = owner.resource;
    write.key = owner.key();
    write.subresource = "status";
    write.patch = client::PatchType::Merge;
    write.body = status_patch(status);
    write.uid = owner.about.uid;
    return plan;
}

}   // namespace skiff::controllers
