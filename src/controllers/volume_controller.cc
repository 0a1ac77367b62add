#include "controllers/volume_controller.h"

#include "controllers/synced.h"

namespace skiff::controllers {
namespace {

using client::ObjectKey;
using client::Requeue;

ObjectKey key_of(const view::PersistentVolumeClaim& claim) {
    return {.name_space = claim.metadata.namespace_.str(), .name = claim.metadata.name};
}
ObjectKey key_of(const view::PersistentVolume& volume) {
    return {.name_space = {}, .name = volume.metadata.name};
}

template <class V>
void tell(client::EventRecorder& recorder, const V& about, const std::vector<VolumeEvent>& events) {
    for (const auto& event : events)
        recorder.record(client::reference_to(about),
                        event.warning ? client::EventType::Warning : client::EventType::Normal,
                        event.reason, event.message);
}

}   // namespace

VolumeController::VolumeController(Executor& executor, const ControllersOptions& options,
                                   VolumeInformers& informers)
    : component_{executor, options, "persistent-volume-binder"},
      informers_{informers},
      events_{executor,
              *component_.transport,
              {.component = "persistentvolume-controller", .host = {}}},
      claims_{executor,
              [this](const ObjectKey& key) { return reconcile_claim(key); },
              {.name = "claims", .workers = 1}},
      volumes_{executor,
               [this](const ObjectKey& key) { return reconcile_volume(key); },
               {.name = "volumes", .workers = 1}} {
    component_.plans.observe(client::resource_of<view::PersistentVolume>(),
                             informers.volumes.core());
    component_.plans.observe(client::resource_of<view::PersistentVolumeClaim>(),
                             informers.claims.core());
    informers_.claims.on_change([this](const auto& old, const auto& now) {
        const auto& claim = now ? *now : *old;
        if (now) claims_.add(key_of(claim));
        if (!claim.spec.volumeName.empty())
            volumes_.add({.name_space = {}, .name = claim.spec.volumeName});
        if (now && (!old || old->metadata.uid == now->metadata.uid)) return;
        // What was set aside for it, or is bound only on its own side.
        for (const auto& volume : informers_.volumes.all())
            if (volume->spec.claimRef && volume->spec.claimRef->uid == old->metadata.uid)
                volumes_.add(key_of(*volume));
    });
    informers_.volumes.on_change([this](const auto& old, const auto& now) {
        const auto& volume = now ? *now : *old;
        if (now) volumes_.add(key_of(volume));
        for (const auto* one : {old.get(), now.get()})
            if (one && one->spec.claimRef)
                claims_.add({.name_space = one->spec.claimRef->namespace_.str(),
                             .name = one->spec.claimRef->name});
        wake_claims([&](const auto& claim) {
            return (old && api::concerns(*old, claim)) || (now && api::concerns(*now, claim));
        });
    });
    informers_.classes.on_change([this](const auto& old, const auto& now) {
        const auto& name = (now ? now : old)->metadata.name;
        wake_claims([&](const auto& claim) {
            return !api::says_class(claim) || api::class_of(claim) == name;
        });
    });
}

void VolumeController::start() {
    when_all_synced(
        [this] {
            claims_.start();
            volumes_.start();
        },
        informers_.claims, informers_.volumes, informers_.classes);
}

// Of those that are not bound.
void VolumeController::wake_claims(
    const std::function<bool(const view::PersistentVolumeClaim&)>& concerned) {
    for (const auto& claim : informers_.claims.all())
        if (!claim->metadata.annotations.contains(bind_completed) && concerned(*claim))
            claims_.add(key_of(*claim));
}

Result<Requeue> VolumeController::reconcile_claim(const ObjectKey& key) {
    return component_.plans.reconcile(key, [&]() -> Result<client::Plan> {
        const auto claim = informers_.claims.find(key);
        if (!claim) return client::Plan{};
        auto decided = plan_claim(
            *claim, {.volumes = informers_.volumes.all(), .classes = informers_.classes.all()});
        tell(events_, *claim, decided.events);
        return std::move(decided.plan);
    });
}

// A claim that the cache does not show may only be new to it: the data of a volume hangs on this.
Result<std::optional<view::PersistentVolumeClaim>> VolumeController::claim_of(
    const view::PersistentVolume& volume) {
    const auto& reference = *volume.spec.claimRef;
    const ObjectKey key{.name_space = reference.namespace_.str(), .name = reference.name};
    if (const auto cached = informers_.claims.find(key);
        cached && cached->metadata.uid == reference.uid)
        return *cached;
    auto now = component_.client.get<view::PersistentVolumeClaim>(key);
    if (!now && now.error().reason != Reason::NotFound) return std::unexpected{now.error()};
    if (!now || now->metadata.uid != reference.uid) return std::nullopt;
    return *std::move(now);
}

Result<Requeue> VolumeController::reconcile_volume(const ObjectKey& key) {
    return component_.plans.reconcile(key, [&]() -> Result<client::Plan> {
        const auto volume = informers_.volumes.find(key);
        if (!volume) return client::Plan{};
        std::optional<view::PersistentVolumeClaim> claim;
        if (volume->spec.claimRef && !volume->spec.claimRef->uid.empty()) {
            TRY(claim, claim_of(*volume));
        }
        auto decided = plan_volume(*volume, claim ? &*claim : nullptr);
        tell(events_, *volume, decided.events);
        return std::move(decided.plan);
    });
}

}   // namespace skiff::controllers
