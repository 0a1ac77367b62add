#include "controllers/garbage_collector.h"

#include <algorithm>

#include "base/text.h"

namespace skiff::controllers {
namespace {

using client::ObjectKey;
using client::PatchType;
using client::Requeue;

constexpr size_t absent_owners_max = 500;
constexpr Duration look_again = std::chrono::seconds{1};   // while informers still list
const ObjectKey set_up_key{.name_space = {}, .name = "(what is served)"};

Result<client::AnyObject> decode_owned(std::string_view json) {
    auto view = std::make_shared<view::Owned>();
    TRY_OK(api::decode_view(view::Owned::table(), json, view.get()));
    return client::AnyObject{std::move(view)};
}

std::shared_ptr<const view::Owned> owned(const client::AnyObject& object) {
    return std::static_pointer_cast<const view::Owned>(object);
}

ObjectKey key_of(const view::Owned& object) {
    return {object.metadata.namespace_.str(), object.metadata.name};
}

bool is_gone(const Error& error) { return error.reason == Reason::NotFound; }

}   // namespace

GarbageCollector::GarbageCollector(Executor& executor, Random& random,
                                   const ControllersOptions& options)
    : executor_{executor},
      random_{random},
      component_{executor, options, "generic-garbage-collector"},
      events_{executor,
              *component_.transport,
              {.component = "garbage-collector-controller", .host = {}}},
      set_up_{executor,
              [this](const ObjectKey&) { return set_up(); },
              {.name = "garbage collector", .workers = 1, .backoff_max = 30s}},
      items_{executor,
             [this](const ObjectKey& key) { return look_at(key); },
             {.name = "garbage", .workers = 4}},
      orphaning_{executor,
                 [this](const ObjectKey& key) { return orphan(key); },
                 {.name = "orphans", .workers = 2}} {}

GarbageCollector::~GarbageCollector() {
    set_up_.stop();
    for (const auto& resource : resources_)
        if (resource->informer) resource->informer->stop();
}

void GarbageCollector::start() {
    set_up_.add(set_up_key);
    set_up_.start();
}

Result<Requeue> GarbageCollector::set_up() {
    TRY(auto kinds, discover(component_.client));
    for (auto& kind : one_of_each(kinds)) {
        const bool useful = kind.has("list") && kind.has("watch") && kind.has("delete");
        if (!useful || kind.plural == "events") continue;
        auto& resource = resources_.emplace_back(std::make_unique<Resource>());
        resource->kind = std::move(kind);
    }
    // References may name any version, and either group, of a stored object.
    for (const auto& kind : kinds) {
        const auto known = std::ranges::find_if(resources_, [&](const auto& resource) {
            return (!kind.storage.empty() && resource->kind.storage == kind.storage) ||
                   (resource->kind.group == kind.group && resource->kind.plural == kind.plural);
        });
        if (known != resources_.end())
            by_kind_[{kind.api_version(), kind.kind}] =
                static_cast<size_t>(known - resources_.begin());
    }
    for (size_t i = 0; i < resources_.size(); ++i) watch(i, random_);
    items_.start();
    orphaning_.start();
    for (const auto& resource : resources_) resource->informer->start();
    return Requeue::no();
}

void GarbageCollector::watch(size_t index, Random& random) {
    auto& resource = *resources_[index];
    resource.informer = std::make_unique<client::InformerCore>(
        client::InformerCore::Parts{.executor = executor_,
                                    .random = random,
                                    .transport = *component_.transport,
                                    .resource = resource.kind.resource(),
                                    .decode = decode_owned},
        client::InformerOptions{});
    resource.informer->on_change([this, index](const auto& old, const auto& now) {
        changed(index, owned(old), owned(now));
    });
}

// Runs on the informers' strands: many at once.
void GarbageCollector::changed(size_t index, const OwnedPtr& old, const OwnedPtr& now) {
    if (!now) {
        for (const auto& dependent : dependents_of(old->metadata.uid))
            items_.add(queue_key(index_of(*dependent.resource), *dependent.object));
        return wake_owners(*old);
    }
    if (old && old->metadata.ownerReferences != now->metadata.ownerReferences) wake_owners(*old);
    if (orphans_dependents(*now)) orphaning_.add(queue_key(index, *now));
    if (deletes_dependents(*now)) {
        items_.add(queue_key(index, *now));
        return;
    }
    const bool same = old && old->metadata.ownerReferences == now->metadata.ownerReferences &&
                      old->metadata.deletionTimestamp == now->metadata.deletionTimestamp;
    if (now->metadata.ownerReferences.empty() || same) return;
    // An owner that is there is the usual case, and needs no second look.
    const bool all_solid =
        std::ranges::all_of(now->metadata.ownerReferences, [&](const auto& reference) {
            const auto owner = cached_owner(*now, reference);
            return owner && !deletes_dependents(*owner);
        });
    if (!all_solid) items_.add(queue_key(index, *now));
}

// An owner that is deleted in the foreground may have waited for this one.
void GarbageCollector::wake_owners(const view::Owned& dependent) {
    for (const auto& reference : dependent.metadata.ownerReferences) {
        const auto owner = cached_owner(dependent, reference);
        if (!owner || !deletes_dependents(*owner)) continue;
        items_.add(
            queue_key(index_of(*resource_of_kind(reference.apiVersion, reference.kind)), *owner));
    }
}

Result<Requeue> GarbageCollector::look_at(const ObjectKey& queue_key) {
    const auto item = item_of(queue_key);
    if (!all_synced()) return Requeue::in(look_again);
    const auto fresh = get(*item.resource, item.key);
    if (!fresh && is_gone(fresh.error())) return Requeue::no();
    if (!fresh) return std::unexpected{fresh.error()};
    const auto& object = *fresh;
    if (deletes_dependents(object)) {
        TRY_OK(finish_foreground(item, object));
        return Requeue::no();
    }
    if (object.metadata.deletionTimestamp || object.metadata.ownerReferences.empty())
        return Requeue::no();
    std::vector<OwnerState> states;
    for (const auto& reference : object.metadata.ownerReferences) {
        TRY(const auto state, state_of(item, object, reference));
        states.push_back(state);
    }
    const auto dependents = dependents_of(object.metadata.uid);
    const bool in_circle = std::ranges::any_of(dependents, [](const Dependent& dependent) {
        return deletes_dependents(*dependent.object);
    });
    TRY_OK(carry_out(item, object, decide_garbage(object, states, !dependents.empty(), in_circle)));
    return Requeue::no();
}

// Its dependents go; when none is left that blocks it, so does it.
Result<> GarbageCollector::finish_foreground(const Item& item, const view::Owned& object) {
    bool blocked = false;
    for (const auto& dependent : dependents_of(object.metadata.uid)) {
        const auto& references = dependent.object->metadata.ownerReferences;
        blocked |= std::ranges::any_of(references, [&](const auto& reference) {
            return reference.uid == object.metadata.uid &&
                   reference.blockOwnerDeletion.value_or(false);
        });
        if (!deletes_dependents(*dependent.object))
            items_.add(queue_key(index_of(*dependent.resource), *dependent.object));
    }
    if (blocked) return {};
    return patch(item, object, PatchType::Merge,
                 without_finalizer_patch(object, foreground_finalizer), true);
}

Result<Requeue> GarbageCollector::orphan(const ObjectKey& queue_key) {
    const auto item = item_of(queue_key);
    if (!all_synced()) return Requeue::in(look_again);
    const auto object = get(*item.resource, item.key);
    if (!object && is_gone(object.error())) return Requeue::no();
    if (!object) return std::unexpected{object.error()};
    if (!orphans_dependents(*object)) return Requeue::no();
    for (const auto& dependent : dependents_of(object->metadata.uid)) {
        TRY_OK(patch({dependent.resource, key_of(*dependent.object)}, *dependent.object,
                     PatchType::StrategicMerge, drop_references_patch({object->metadata.uid}),
                     false));
    }
    TRY_OK(patch(item, *object, PatchType::Merge,
                 without_finalizer_patch(*object, orphan_finalizer), true));
    return Requeue::no();
}

// What the cache shows is there. What it does not show is asked for: only then is it absent.
Result<OwnerState> GarbageCollector::state_of(const Item& item, const view::Owned& object,
                                              const view::Owned::OwnerReference& reference) {
    if (const auto owner = cached_owner(object, reference))
        return deletes_dependents(*owner) ? OwnerState::Waiting : OwnerState::Solid;
    // All of a reference: what is absent under a wrong name or namespace may be there under
    // another.
    const auto wanted = reference_text(reference, object.metadata.namespace_);
    const auto known = absent_.use([&](const Absent& absent) -> std::optional<Absent::Entry> {
        const auto found = absent.references.find(wanted);
        return found == absent.references.end() ? std::nullopt : std::optional{found->second};
    });
    if (known) {
        if (known->elsewhere) tell_other_namespace(item, object, reference);
        return OwnerState::Absent;
    }
    const auto* owners = resource_of_kind(reference.apiVersion, reference.kind);
    if (!owners) return OwnerState::Solid;   // of a kind that is not served: nobody can tell
    const bool in_cluster = object.metadata.namespace_.empty();
    if (owners->kind.namespaced && in_cluster) {
        // What belongs to no namespace cannot be owned by what does.
        tell_other_namespace(item, object, reference);
        return OwnerState::Solid;
    }
    const auto owner =
        get(*owners, {owners->kind.namespaced ? object.metadata.namespace_.str() : std::string{},
                      reference.name});
    if (!owner && !is_gone(owner.error())) return std::unexpected{owner.error()};
    if (owner && owner->metadata.uid == reference.uid)
        return deletes_dependents(*owner) ? OwnerState::Waiting : OwnerState::Solid;
    const bool elsewhere =
        owners->kind.namespaced &&
        std::ranges::any_of(owners->informer->cache().all(), [&](const auto& one) {
            return owned(one)->metadata.uid == reference.uid;
        });
    absent_.use([&](Absent& absent) {
        absent.references[wanted] = {.order = ++absent.last, .elsewhere = elsewhere};
        if (absent.references.size() <= absent_owners_max) return;
        absent.references.erase(std::ranges::min_element(
            absent.references, {}, [](const auto& entry) { return entry.second.order; }));
    });
    if (elsewhere) tell_other_namespace(item, object, reference);
    return OwnerState::Absent;
}

// A reference to what is in another namespace is a mistake that is easily made.
void GarbageCollector::tell_other_namespace(const Item& item, const view::Owned& object,
                                            const view::Owned::OwnerReference& reference) {
    const auto& name_space = object.metadata.namespace_;
    events_.record({.api_version = item.resource->kind.api_version(),
                    .kind = item.resource->kind.kind,
                    .name_space = name_space.str(),
                    .name = object.metadata.name,
                    .uid = object.metadata.uid,
                    .resource_version = {},
                    .field_path = {}},
                   client::EventType::Warning, "OwnerRefInvalidNamespace",
                   concat("ownerRef ", reference_text(reference, name_space),
                          " does not exist in namespace \"", name_space.view(), "\""));
}

Result<> GarbageCollector::carry_out(const Item& item, const view::Owned& object,
                                     const GarbageStep& step) {
    using What = GarbageStep::What;
    if (step.what == What::Keep) return {};
    if (step.what == What::DropReferences)
        return patch(item, object, PatchType::StrategicMerge,
                     drop_references_patch(step.owner_uids), false);
    if (step.unblocks)
        TRY_OK(patch(item, object, PatchType::StrategicMerge, unblock_patch(object), false));
    client::DeletePreconditions how;
    how.uid = object.metadata.uid;
    if (!step.unblocks) how.resource_version = object.metadata.resourceVersion;
    how.propagation_policy = step.policy;
    const auto done = component_.client.remove_text(item.resource->kind.resource(), item.key, how);
    if (!done && !is_gone(done.error())) return done;
    return {};
}

Result<> GarbageCollector::patch(const Item& item, const view::Owned& object, PatchType type,
                                 std::string body, bool of_this_version) {
    client::Write write{.verb = client::Write::Verb::Patch, .body = std::move(body), .patch = type};
    write.uid = object.metadata.uid;
    if (of_this_version) write.resource_version = object.metadata.resourceVersion;
    TRY(auto whole, client::with_preconditions(write));
    const auto done = component_.client.patch_text(item.resource->kind.resource(), item.key, type,
                                                   std::move(whole));
    // Gone, or another one has its name by now: there is nothing left to do.
    if (!done && is_gone(done.error())) return {};
    if (!done && done.error().reason == Reason::Conflict && !of_this_version) return {};
    if (!done) return std::unexpected{done.error()};
    return {};
}

Result<view::Owned> GarbageCollector::get(const Resource& resource, const ObjectKey& key) {
    TRY(const auto text, component_.client.get_text(resource.kind.resource(), key));
    return api::decode<view::Owned>(text);
}

GarbageCollector::Item GarbageCollector::item_of(const ObjectKey& queue_key) const {
    const auto [index, name_space] = cut(std::string_view{queue_key.name_space}, '/');
    return {resources_[parse_number<size_t>(index).value_or(0)].get(),
            {std::string{name_space.value_or("")}, queue_key.name}};
}

ObjectKey GarbageCollector::queue_key(size_t index, const view::Owned& object) const {
    return {concat(index, "/", object.metadata.namespace_.view()), object.metadata.name};
}

size_t GarbageCollector::index_of(const Resource& resource) const {
    return static_cast<size_t>(
        std::ranges::find(resources_, &resource, [](const auto& one) { return one.get(); }) -
        resources_.begin());
}

std::vector<GarbageCollector::Dependent> GarbageCollector::dependents_of(
    std::string_view uid) const {
    std::vector<Dependent> found;
    for (const auto& resource : resources_)
        for (const auto& object :
             resource->informer->cache().by_index(client::ObjectCache::by_owner, uid))
            found.push_back({resource.get(), owned(object)});
    return found;
}

GarbageCollector::OwnedPtr GarbageCollector::cached_owner(
    const view::Owned& object, const view::Owned::OwnerReference& reference) const {
    const auto* resource = resource_of_kind(reference.apiVersion, reference.kind);
    if (!resource) return nullptr;
    const auto owner = owned(resource->informer->cache().find(
        {resource->kind.namespaced ? object.metadata.namespace_.str() : std::string{},
         reference.name}));
    return owner && owner->metadata.uid == reference.uid ? owner : nullptr;
}

const GarbageCollector::Resource* GarbageCollector::resource_of_kind(std::string_view api_version,
                                                                     std::string_view kind) const {
    const auto known = by_kind_.find(std::pair{std::string{api_version}, std::string{kind}});
    return known == by_kind_.end() ? nullptr : resources_[known->second].get();
}

bool GarbageCollector::all_synced() const {
    return std::ranges::all_of(resources_,
                               [](const auto& resource) { return resource->informer->synced(); });
}

}   // namespace skiff::controllers
