#include "controllers/volume_protection.h"

#include <algorithm>

#include "base/text.h"
#include "codec/json.h"
#include "controllers/synced.h"

namespace skiff::controllers {
namespace {

using client::ObjectKey;
using client::Plan;
using client::Requeue;
using codec::Json;

template <class V>
ObjectKey key_of(const V& object) {
    if constexpr (requires { object.metadata.namespace_; })
        return {.name_space = object.metadata.namespace_.str(), .name = object.metadata.name};
    else
        return {.name_space = {}, .name = object.metadata.name};
}

template <class V>
bool has_finalizer(const V& object, std::string_view finalizer) {
    return std::ranges::any_of(object.metadata.finalizers,
                               [&](const auto& one) { return std::string_view{one} == finalizer; });
}

// With the finalizer, or without it.
template <class V>
void set_finalizer(Plan& plan, const V& object, std::string_view finalizer, bool with) {
    std::string list;
    const auto put = [&](std::string_view one) {
        if (!list.empty()) list += ',';
        codec::write_json_string(one, list);
    };
    for (const auto& one : object.metadata.finalizers)
        if (std::string_view{one} != finalizer) put(std::string_view{one});
    if (with) put(finalizer);
    auto& write =
        plan.patch<V>(key_of(object), concat(R"({"metadata":{"finalizers":[)", list, "]}}"), {},
                      client::PatchType::Merge);
    write.uid = object.metadata.uid;
    write.resource_version = object.metadata.resourceVersion;
}

std::string claim_text(const view::Pod& pod, const auto& volume, const std::string& name) {
    codec::Arena arena;
    const auto& asked = *volume.ephemeral->volumeClaimTemplate;
    Json claim = Json::object();
    const auto set = [&](Json& object, std::string_view key, std::string_view value) {
        object.set(arena, key, Json::string(arena, value));
    };
    set(claim, "apiVersion", "v1");
    set(claim, "kind", "PersistentVolumeClaim");
    Json& metadata = claim.make_object(arena, "metadata");
    set(metadata, "name", name);
    for (const auto& [key, value] : asked.metadata.labels)
        set(metadata.make_object(arena, "labels"), std::string_view{key}, std::string_view{value});
    for (const auto& [key, value] : asked.metadata.annotations)
        set(metadata.make_object(arena, "annotations"), std::string_view{key},
            std::string_view{value});
    Json owner = Json::object();
    set(owner, "apiVersion", "v1");
    set(owner, "kind", "Pod");
    set(owner, "name", pod.metadata.name);
    set(owner, "uid", pod.metadata.uid);
    owner.set(arena, "controller", Json::boolean(true));
    owner.set(arena, "blockOwnerDeletion", Json::boolean(true));
    metadata.make_array(arena, "ownerReferences").push(arena, owner);
    const auto spec = codec::parse_json(asked.spec);
    if (!spec) return {};
    claim.set(arena, "spec", spec->root);
    return codec::to_json(claim);
}

}   // namespace

bool uses_claim(const view::Pod& pod, std::string_view claim) {
    if (pod.spec.nodeName.empty() || is_finished(pod)) return false;
    return std::ranges::any_of(pod.spec.volumes, [&](const auto& volume) {
        return api::claim_name(pod, volume) == claim;
    });
}

Plan plan_protection(const view::PersistentVolumeClaim& claim,
                     const std::function<bool()>& in_use) {
    Plan plan;
    const bool has = has_finalizer(claim, claim_protection);
    if (!claim.metadata.deletionTimestamp) {
        if (!has) set_finalizer(plan, claim, claim_protection, true);
    } else if (has && !in_use()) {
        set_finalizer(plan, claim, claim_protection, false);
    }
    return plan;
}

Plan plan_protection(const view::PersistentVolume& volume) {
    Plan plan;
    const bool has = has_finalizer(volume, volume_protection);
    if (!volume.metadata.deletionTimestamp) {
        if (!has) set_finalizer(plan, volume, volume_protection, true);
    } else if (has && volume.status.phase != "Bound") {
        set_finalizer(plan, volume, volume_protection, false);
    }
    return plan;
}

EphemeralClaims plan_ephemeral_claims(
    const view::Pod& pod,
    const std::function<client::Shared<view::PersistentVolumeClaim>(const std::string& name)>&
        claim) {
    EphemeralClaims out;
    if (pod.metadata.deletionTimestamp || is_finished(pod)) return out;
    for (const auto& volume : pod.spec.volumes) {
        if (!volume.ephemeral || !volume.ephemeral->volumeClaimTemplate) continue;
        const auto name = api::claim_name(pod, volume);
        if (const auto has = claim(name)) {
            const auto* owner = controller_of(*has);
            if (!owner || owner->uid != pod.metadata.uid)
                out.conflict = concat("PVC ", pod.metadata.namespace_.view(), "/", name,
                                      " was not created for pod ", pod.metadata.namespace_.view(),
                                      "/", pod.metadata.name, " (pod is not owner)");
            continue;
        }
        auto text = claim_text(pod, volume, name);
        if (text.empty()) continue;
        auto& write = out.plan.writes.emplace_back();
        write.resource = client::resource_of<view::PersistentVolumeClaim>();
        write.key = {.name_space = pod.metadata.namespace_.str(), .name = name};
        write.body = std::move(text);
        write.if_absent = true;
    }
    return out;
}

VolumeProtection::VolumeProtection(Executor& executor, const ControllersOptions& options,
                                   VolumeInformers& informers, client::Informer<view::Pod>& pods)
    : claim_part_{executor, options, "pvc-protection-controller"},
      volume_part_{executor, options, "pv-protection-controller"},
      ephemeral_part_{executor, options, "ephemeral-volume-controller"},
      informers_{informers},
      pods_informer_{pods},
      events_{executor, *ephemeral_part_.transport, {.component = "ephemeral_volume", .host = {}}},
      claims_{executor,
              [this](const ObjectKey& key) { return reconcile_claim(key); },
              {.name = "protected claims"}},
      volumes_{executor,
               [this](const ObjectKey& key) { return reconcile_volume(key); },
               {.name = "protected volumes"}},
      pods_{executor,
            [this](const ObjectKey& key) { return reconcile_pod(key); },
            {.name = "ephemeral volumes"}} {
    claim_part_.plans.observe(client::resource_of<view::PersistentVolumeClaim>(),
                              informers.claims.core());
    volume_part_.plans.observe(client::resource_of<view::PersistentVolume>(),
                               informers.volumes.core());
    ephemeral_part_.plans.observe(client::resource_of<view::PersistentVolumeClaim>(),
                                  informers.claims.core());
    informers.claims.on_change([this](const auto& old, const auto& now) {
        if (now) claims_.add(key_of(*now));
        if (!old || now) return;
        if (const auto* owner = controller_of(*old); owner)   // a pod's own: it may need it again
            for (const auto& pod : pods_informer_.in_namespace(old->metadata.namespace_.view()))
                if (pod->metadata.uid == owner->uid) pods_.add(key_of(*pod));
    });
    informers.volumes.on_change([this](const auto&, const auto& now) {
        if (now) volumes_.add(key_of(*now));
    });
    pods.on_change([this](const auto& old, const auto& now) {
        const auto& pod = now ? *now : *old;
        bool ephemeral = false;
        for (const auto& volume : pod.spec.volumes) {
            ephemeral |= volume.ephemeral.has_value();
            const std::string name =
                volume.persistentVolumeClaim ? std::string{volume.persistentVolumeClaim->claimName}
                : volume.ephemeral           ? concat(pod.metadata.name, "-", volume.name)
                                             : std::string{};
            const bool over = !now || is_finished(*now);
            if (over && !name.empty())
                claims_.add({.name_space = pod.metadata.namespace_.str(), .name = name});
        }
        if (now && !old && ephemeral) pods_.add(key_of(*now));
    });
}

void VolumeProtection::start() {
    when_all_synced(
        [this] {
            claims_.start();
            volumes_.start();
            pods_.start();
        },
        informers_.claims, informers_.volumes, pods_informer_);
}

Result<Requeue> VolumeProtection::reconcile_claim(const ObjectKey& key) {
    return claim_part_.plans.reconcile(key, [&]() -> Result<Plan> {
        const auto claim = informers_.claims.find(key);
        if (!claim) return Plan{};
        std::optional<Error> failed;
        auto plan = plan_protection(*claim, [&] {
            const auto uses = [&](const auto& pod) { return uses_claim(pod, key.name); };
            for (const auto& pod : pods_informer_.in_namespace(key.name_space))
                if (uses(*pod)) return true;
            // A pod that the cache does not show yet may have it.
            auto now = claim_part_.client.list<view::Pod>(key.name_space);
            if (!now) failed = now.error();
            return !now || std::ranges::any_of(*now, uses);
        });
        if (failed) return std::unexpected{*failed};
        return plan;
    });
}

Result<Requeue> VolumeProtection::reconcile_volume(const ObjectKey& key) {
    return volume_part_.plans.reconcile(key, [&]() -> Result<Plan> {
        const auto volume = informers_.volumes.find(key);
        return volume ? plan_protection(*volume) : Plan{};
    });
}

Result<Requeue> VolumeProtection::reconcile_pod(const ObjectKey& key) {
    return ephemeral_part_.plans.reconcile(key, [&]() -> Result<Plan> {
        const auto pod = pods_informer_.find(key);
        if (!pod) return Plan{};
        auto decided = plan_ephemeral_claims(*pod, [&](const std::string& name) {
            return informers_.claims.find({.name_space = key.name_space, .name = name});
        });
        if (!decided.conflict.empty())
            events_.record(client::reference_to(*pod), client::EventType::Warning,
                           "EphemeralVolumeConflict", decided.conflict);
        return std::move(decided.plan);
    });
}

}   // namespace skiff::controllers
