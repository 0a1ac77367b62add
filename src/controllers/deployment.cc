#include "controllers/deployment.h"

#include <algorithm>
#include <array>

#include "base/text.h"
#include "codec/json.h"
#include "controllers/ownership.h"

namespace skiff::controllers {
namespace {

using client::EventType;
using client::Plan;
using client::Write;
using codec::Json;

constexpr size_t history_chars_max = 2000;
constexpr std::array not_copied{
    std::string_view{"kubectl.kubernetes.io/last-applied-configuration"},
    revision_annotation,
    history_annotation,
    desired_annotation,
    most_annotation,
    std::string_view{"deprecated.deployment.rollback.to"}};

bool older(const view::ReplicaSet& left, const view::ReplicaSet& right) {
    if (left.metadata.creationTimestamp != right.metadata.creationTimestamp)
        return left.metadata.creationTimestamp < right.metadata.creationTimestamp;
    return left.metadata.name < right.metadata.name;
}

class Planner {
  public:
    Planner(const DeploymentFacts& facts, WallTime now)
        : facts_{facts}, deployment_{facts.deployment}, now_{now}, status_{deployment_.status} {
        plan_.about = client::reference_to(deployment_);
        const auto newest = newest_set(deployment_, facts.sets);
        for (const auto& set : facts.sets) {
            sets_.push_back({.set = set.get(),
                             .wanted = set->spec.replicas.value_or(1),
                             .sync_numbers = false,
                             .annotations = {},
                             .min_ready_seconds = {}});
        }
        std::ranges::sort(sets_, [](const SizedSet& left, const SizedSet& right) {
            return older(*left.set, *right.set);
        });
        for (auto& sized : sets_) {
            all_.push_back(sized.set);
            if (sized.set == newest.get())
                newest_ = &sized;
            else
                old_.push_back(&sized);
        }
    }

    Plan plan() {
        if (deployment_.metadata.deletionTimestamp) return finish(Progress::Untold);
        tell_pause(deployment_, status_, now_);
        if (newest_) sync_newest();
        if (deployment_.spec.paused) {
            scale();
            clean_up();
            return finish(Progress::Untold);
        }
        if (is_scaled()) {
            scale();
            return finish(Progress::Untold);
        }
        if (is_rolling(deployment_))
            roll();
        else
            recreate();
        return finish(Progress::Told);
    }

  private:
    enum class Progress : uint8_t { Untold, Told };

    const view::ReplicaSet* newest_object() const { return newest_ ? newest_->set : nullptr; }
    int32_t wanted() const { return wanted_replicas(deployment_); }
    int32_t largest() const { return wanted() + allowance_.surge; }

    int64_t next_revision() const {
        int64_t last = 0;
        for (const auto* sized : old_) last = std::max(last, revision_of(*sized->set));
        return last + 1;
    }

    std::vector<SizedSet*> active() {
        std::vector<SizedSet*> found;
        for (auto& sized : sets_)
            if (sized.size() > 0) found.push_back(&sized);
        return found;
    }

    // The user has changed the number, and nothing else yet.
    bool is_scaled() {
        return std::ranges::any_of(active(), [&](const SizedSet* sized) {
            const auto desired = number_annotation(*sized->set, desired_annotation);
            return desired && *desired != wanted();
        });
    }

    // What the newest set is to have of the deployment: annotations, revision, seconds to be ready.
    void sync_newest() {
        const auto& has = newest_->set->metadata.annotations;
        auto& changes = newest_->annotations;
        for (const auto& [key, value] : deployment_.metadata.annotations) {
            if (std::ranges::find(not_copied, key) != not_copied.end()) continue;
            const auto* known = has.find(key);
            if (!known || *known != value) changes[key] = value;
        }
        const int64_t before = revision_of(*newest_->set);
        const int64_t next = next_revision();
        if (before < next) {
            changes[revision_annotation] = std::to_string(next);
            if (before > 0) changes[history_annotation] = history_with(before);
        }
        if (newest_->set->spec.minReadySeconds != deployment_.spec.minReadySeconds)
            newest_->min_ready_seconds = deployment_.spec.minReadySeconds;
        if (has_deadline(deployment_) && !condition_of(status_, "Progressing"))
            set_condition(status_, "Progressing", "True", "FoundNewReplicaSet",
                          concat("Found new replica set \"", newest_->set->metadata.name, "\""),
                          now_);
    }

    std::string history_with(int64_t revision) const {
        auto history = newest_->set->metadata.annotations.get(history_annotation);
        append(history, history.empty() ? "" : ",", revision);
        while (history.size() > history_chars_max && history.contains(','))
            history.erase(0, history.find(',') + 1);
        return history;
    }

    // A change of the number, or a pause: sizes change, templates do not.
    void scale() {
        const auto some = active();
        if (some.size() <= 1) {
            auto* only = !some.empty() ? some.front() : newest_ ? newest_ : latest_old();
            if (!only) return;
            const int32_t size = only->size();
            return only->resize(size < wanted() ? room_for(size, only) : wanted());
        }
        if (newest_ && is_saturated(*newest_)) {
            for (auto* sized : old_)
                if (sized->size() > 0) sized->resize(0);
            return;
        }
        int32_t sum = 0;
        for (const auto* sized : some) sum += sized->size();
        if (sum < largest() && !others_are_observed(nullptr)) return;   // grown when it is clear
        if (is_rolling(deployment_)) share_proportionally(deployment_, some);
    }
    SizedSet* latest_old() { return old_.empty() ? nullptr : old_.back(); }
    bool is_saturated(const SizedSet& sized) const {
        return number_annotation(*sized.set, desired_annotation) == wanted() &&
               sized.size() == wanted() && sized.set->status.availableReplicas == wanted();
    }

    // RollingUpdate.
    void roll() {
        if (!newest_) return create_newest(room_for(0, nullptr));
        if (grow_newest()) return;
        if (shrink_old()) return;
        if (is_complete(deployment_, counted())) clean_up();
    }

    // Their controller has seen the sizes that they have now: what it tells of their pods holds.
    // Before that it may still be making pods for a larger size.
    bool others_are_observed(const SizedSet* but) const {
        return std::ranges::all_of(sets_, [&](const SizedSet& sized) {
            return &sized == but ||
                   sized.set->status.observedGeneration >= sized.set->metadata.generation;
        });
    }

    // What a set of that size may become without more pods than the surge allows.
    int32_t room_for(int32_t size, const SizedSet* set) const {
        if (!others_are_observed(set)) return size;
        int32_t pods = 0;
        for (const auto& sized : sets_) pods += sized.pods();
        const int32_t room = std::max(0, largest() - pods);
        return size + std::min(room, wanted() - size);
    }

    bool grow_newest() {
        const int32_t size = newest_->wanted;
        if (size == wanted()) return false;
        const int32_t to = size > wanted() ? wanted() : room_for(size, newest_);
        if (to == size) return false;
        newest_->resize(to);
        return true;
    }

    bool shrink_old() {
        int32_t old_size = 0, available = newest_->available();
        for (const auto* sized : old_) {
            old_size += sized->wanted;
            available += sized->available();
        }
        if (old_size == 0) return false;
        const int32_t needed = wanted() - allowance_.unavailable;
        const int32_t missing = newest_->wanted - newest_->available();
        const int32_t most = old_size + newest_->wanted - needed - missing;
        if (most <= 0) return false;
        bool shrunk = shrink_unhealthy(most);
        available = newest_->available();
        for (const auto* sized : old_) available += sized->available();
        int32_t left = available - needed;
        for (auto* sized : old_) {
            if (left <= 0) break;
            const int32_t less = std::min(sized->wanted, left);
            if (less == 0) continue;
            sized->resize(sized->wanted - less);
            left -= less;
            shrunk = true;
        }
        return shrunk;
    }

    // Pods that are not available keep nobody going: they are the first to leave.
    bool shrink_unhealthy(int32_t most) {
        const int32_t all = most;
        for (auto* sized : old_) {
            const int32_t less = std::min(most, sized->wanted - sized->available());
            if (less <= 0) continue;
            sized->resize(sized->wanted - less);
            most -= less;
        }
        return most < all;
    }

    // Recreate: none of the new before the last of the old has ended.
    void recreate() {
        bool shrunk = false;
        for (auto* sized : old_) {
            if (sized->size() == 0) continue;
            sized->resize(0);
            shrunk = true;
        }
        if (shrunk || !others_are_observed(newest_) || old_pods_are_there()) return;
        if (!newest_) return create_newest(wanted());
        if (newest_->wanted != wanted()) return newest_->resize(wanted());
        if (is_complete(deployment_, counted())) clean_up();
    }
    bool old_pods_are_there() const {
        return std::ranges::any_of(old_, [&](const SizedSet* sized) {
            return sized->set->status.replicas > 0 ||
                   std::ranges::find(facts_.uids_with_pods, sized->set->metadata.uid) !=
                       facts_.uids_with_pods.end();
        });
    }

    void clean_up() {
        if (!deployment_.spec.revisionHistoryLimit) return;
        std::vector<SizedSet*> kept;
        for (auto* sized : old_)
            if (!sized->set->metadata.deletionTimestamp) kept.push_back(sized);
        const auto limit = static_cast<size_t>(std::max(0, *deployment_.spec.revisionHistoryLimit));
        if (kept.size() <= limit) return;
        std::ranges::stable_sort(kept, {},
                                 [](const SizedSet* one) { return revision_of(*one->set); });
        for (const auto* sized : std::span{kept}.first(kept.size() - limit)) {
            const auto& set = *sized->set;
            if (set.status.replicas != 0 || sized->size() != 0 || sized->wanted != 0 ||
                set.metadata.generation > set.status.observedGeneration)
                continue;
            removals_.push_back(&set);
        }
    }

    void create_newest(int32_t size);
    void write_sets();

    DeploymentStatus counted() const {
        auto status = status_;
        count(deployment_, all_, newest_object(), status, now_);
        return status;
    }

    Plan finish(Progress progress) {
        write_sets();
        status_ = counted();
        if (progress == Progress::Told)
            tell_progress(deployment_, all_, newest_object(), status_, now_);
        if (newest_) tell_revision();
        if (!(status_ == deployment_.status)) {
            auto& write = plan_.patch<view::Deployment>(key(), status_patch(status_), "status",
                                                        client::PatchType::Merge);
            write.uid = deployment_.metadata.uid;
        }
        plan_.again = until_deadline(deployment_, status_, now_);
        return std::move(plan_);
    }

    void tell_revision() {
        const auto* changed = newest_->annotations.find(revision_annotation);
        const auto revision =
            changed ? *changed : newest_->set->metadata.annotations.get(revision_annotation);
        const auto* told = deployment_.metadata.annotations.find(revision_annotation);
        if (revision.empty() || (told && *told == revision)) return;
        auto& write = plan_.patch<view::Deployment>(
            key(),
            concat(R"({"metadata":{"annotations":{")", revision_annotation, R"(":")", revision,
                   R"("}}})"),
            {}, client::PatchType::Merge);
        write.uid = deployment_.metadata.uid;
    }

    client::ObjectKey key() const {
        return {deployment_.metadata.namespace_.str(), deployment_.metadata.name};
    }

    const DeploymentFacts& facts_;
    const view::Deployment& deployment_;
    const WallTime now_;
    const Allowance allowance_ = allowance_of(deployment_);
    DeploymentStatus status_;
    std::vector<SizedSet> sets_;   // oldest first
    std::vector<const view::ReplicaSet*> all_;
    SizedSet* newest_ = nullptr;
    std::vector<SizedSet*> old_;
    std::vector<const view::ReplicaSet*> removals_;
    Plan plan_;
};

void set_text(Json& object, codec::Arena& arena, std::string_view key, std::string_view value) {
    object.set(arena, key, Json::string(arena, value));
}

void Planner::create_newest(int32_t size) {
    auto parsed = codec::parse_json(deployment_.spec.template_);
    if (!parsed) return;   // the API lets no such template in
    auto& arena = parsed->arena;
    const auto name = new_set_name(deployment_);
    const auto hash = std::string_view{name}.substr(deployment_.metadata.name.size() + 1);
    set_text(parsed->root.make_object(arena, "metadata").make_object(arena, "labels"), arena,
             hash_label, hash);
    auto selector =
        codec::parse_json_into(arena, deployment_.spec.selector).value_or(Json::object());
    set_text(selector.make_object(arena, "matchLabels"), arena, hash_label, hash);
    const auto owner = codec::parse_json_into(arena, owner_reference_json(plan_.about));

    auto set = Json::object();
    set_text(set, arena, "apiVersion", "apps/v1");
    set_text(set, arena, "kind", "ReplicaSet");
    auto& metadata = set.make_object(arena, "metadata");
    set_text(metadata, arena, "name", name);
    set_text(metadata, arena, "namespace", deployment_.metadata.namespace_);
    metadata.set_borrowed(arena, "labels", *parsed->root.at_path({"metadata", "labels"}));
    auto& annotations = metadata.make_object(arena, "annotations");
    for (const auto& [key, value] : deployment_.metadata.annotations)
        if (std::ranges::find(not_copied, key) == not_copied.end())
            set_text(annotations, arena, key, value);
    set_text(annotations, arena, revision_annotation, std::to_string(next_revision()));
    set_text(annotations, arena, desired_annotation, std::to_string(wanted()));
    set_text(annotations, arena, most_annotation, std::to_string(largest()));
    metadata.make_array(arena, "ownerReferences").push(arena, *owner);
    auto& spec = set.make_object(arena, "spec");
    spec.set_borrowed(arena, "replicas", Json::integer(size));
    spec.set_borrowed(arena, "minReadySeconds", Json::integer(deployment_.spec.minReadySeconds));
    spec.set_borrowed(arena, "selector", selector);
    spec.set_borrowed(arena, "template", parsed->root);

    auto& write = plan_.writes.emplace_back();
    write.verb = Write::Verb::Create;
    write.resource = client::resource_of<view::ReplicaSet>();
    write.key = {deployment_.metadata.namespace_.str(), name};
    write.body = codec::to_json(set);
    if (size > 0)
        write.when_done = {EventType::Normal, "ScalingReplicaSet",
                           concat("Scaled up replica set ", name, " from 0 to ", size)};
    if (has_deadline(deployment_))
        set_condition(status_, "Progressing", "True", "NewReplicaSetCreated",
                      concat("Created new replica set \"", name, "\""), now_);
}

// The changes of the sets, each one merge patch that holds only for the set as it was seen.
void Planner::write_sets() {
    for (auto& sized : sets_) {
        const auto& set = *sized.set;
        auto annotations = sized.annotations;
        if (sized.sync_numbers) {
            const auto note = [&](std::string_view name, int32_t value) {
                if (number_annotation(set, name) != value)
                    annotations[name] = std::to_string(value);
            };
            note(desired_annotation, wanted());
            note(most_annotation, largest());
        }
        const bool resized = sized.wanted != sized.size();
        if (annotations.empty() && !resized && !sized.min_ready_seconds) continue;
        codec::Arena arena;
        auto patch = Json::object();
        for (const auto& [key, value] : annotations)
            set_text(patch.make_object(arena, "metadata").make_object(arena, "annotations"), arena,
                     key, value);
        if (resized)
            patch.make_object(arena, "spec")
                .set_borrowed(arena, "replicas", Json::integer(sized.wanted));
        if (sized.min_ready_seconds)
            patch.make_object(arena, "spec")
                .set_borrowed(arena, "minReadySeconds", Json::integer(*sized.min_ready_seconds));
        auto& write =
            plan_.patch<view::ReplicaSet>({set.metadata.namespace_.str(), set.metadata.name},
                                          codec::to_json(patch), {}, client::PatchType::Merge);
        write.uid = set.metadata.uid;
        write.resource_version = set.metadata.resourceVersion;
        if (resized)
            write.when_done = {
                EventType::Normal, "ScalingReplicaSet",
                concat("Scaled ", sized.wanted > sized.size() ? "up" : "down", " replica set ",
                       set.metadata.name, " from ", sized.size(), " to ", sized.wanted)};
    }
    for (const auto* set : removals_)
        plan_
            .remove<view::ReplicaSet>({set->metadata.namespace_.str(), set->metadata.name},
                                      set->metadata.uid)
            .resource_version = set->metadata.resourceVersion;
}

}   // namespace

client::Shared<view::ReplicaSet> newest_set(const view::Deployment& deployment,
                                            const ReplicaSets& sets) {
    client::Shared<view::ReplicaSet> found;
    for (const auto& set : sets)
        if (same_template(set->spec.template_, deployment.spec.template_) &&
            (!found || older(*set, *found)))
            found = set;
    return found;
}

std::string new_set_name(const view::Deployment& deployment) {
    return concat(deployment.metadata.name, "-",
                  template_hash(deployment.spec.template_, deployment.status.collisionCount));
}

Plan plan_deployment(const DeploymentFacts& facts, WallTime now) {
    return Planner{facts, now}.plan();
}

Plan plan_name_taken(const view::Deployment& deployment) {
    Plan plan{.about = client::reference_to(deployment), .writes = {}, .again = {}};
    plan.patch<view::Deployment>({deployment.metadata.namespace_.str(), deployment.metadata.name},
                                 concat(R"({"status":{"collisionCount":)",
                                        deployment.status.collisionCount.value_or(0) + 1, "}}"),
                                 "status", client::PatchType::Merge)
        .resource_version = deployment.metadata.resourceVersion;
    return plan;
}

Plan plan_create_failed(const view::Deployment& deployment, std::string_view why, WallTime now) {
    Plan plan{.about = client::reference_to(deployment), .writes = {}, .again = {}};
    if (!has_deadline(deployment)) return plan;
    auto status = deployment.status;
    set_condition(
        status, "Progressing", "False", "ReplicaSetCreateError",
        concat("Failed to create new replica set \"", new_set_name(deployment), "\": ", why), now);
    if (status == deployment.status) return plan;
    plan.patch<view::Deployment>({deployment.metadata.namespace_.str(), deployment.metadata.name},
                                 status_patch(status), "status", client::PatchType::Merge)
        .uid = deployment.metadata.uid;
    return plan;
}

}   // namespace skiff::controllers
