#include "controllers/volume_plan.h"

#include <algorithm>

#include "base/text.h"
#include "codec/json_text.h"

namespace skiff::controllers {
namespace {

using api::class_of;
using codec::quoted;
using Volume = view::PersistentVolume;
using Claim = view::PersistentVolumeClaim;

client::ObjectKey key_of(const Claim& claim) {
    return {.name_space = claim.metadata.namespace_.str(), .name = claim.metadata.name};
}
client::ObjectKey key_of(const Volume& volume) {
    return {.name_space = {}, .name = volume.metadata.name};
}

client::Write& patch(VolumePlan& out, const Claim& claim, std::string body,
                     std::string subresource = {}) {
    auto& write = out.plan.patch<Claim>(key_of(claim), std::move(body), std::move(subresource),
                                        client::PatchType::Merge);
    write.uid = claim.metadata.uid;
    return write;
}
client::Write& patch(VolumePlan& out, const Volume& volume, std::string body,
                     std::string subresource = {}) {
    auto& write = out.plan.patch<Volume>(key_of(volume), std::move(body), std::move(subresource),
                                         client::PatchType::Merge);
    write.uid = volume.metadata.uid;
    return write;
}

void set_phase(VolumePlan& out, const Claim& claim, std::string_view phase) {
    if (claim.status.phase == phase) return;
    patch(out, claim, concat(R"({"status":{"phase":")", phase, "\"}}"), "status");
}

void set_phase(VolumePlan& out, const Volume& volume, std::string_view phase,
               std::string_view message = {}) {
    if (volume.status.phase == phase) return;
    patch(out, volume,
          concat(R"({"status":{"phase":")", phase, R"(","message":)",
                 message.empty() ? "null" : quoted(message), R"(,"reason":null}})"),
          "status");
}

bool same_texts(const auto& left, const auto& right) {
    return std::ranges::equal(left, right, [](const auto& one, const auto& other) {
        return std::string_view{one} == std::string_view{other};
    });
}

// The claim's half of a binding, after the volume's.
void complete(VolumePlan& out, const Volume& volume, const Claim& claim) {
    const bool chosen_here = claim.spec.volumeName.empty();
    if (claim.spec.volumeName != volume.metadata.name ||
        !claim.metadata.annotations.contains(bind_completed)) {
        patch(out, claim,
              concat(R"({"metadata":{"annotations":{)", quoted(bind_completed), R"(:"yes")",
                     chosen_here ? concat(",", quoted(bound_by_controller), R"(:"yes")") : "",
                     R"(}},"spec":{"volumeName":)", quoted(volume.metadata.name), "}}"))
            .resource_version = claim.metadata.resourceVersion;
    }
    if (claim.status.phase == "Bound" &&
        same_texts(claim.status.accessModes, volume.spec.accessModes) &&
        claim.status.capacity == volume.spec.capacity)
        return;
    std::string modes;
    for (const auto& mode : volume.spec.accessModes)
        append(modes, modes.empty() ? "" : ",", quoted(std::string_view{mode}));
    std::string capacity;
    for (const auto& [name, amount] : volume.spec.capacity)
        append(capacity, capacity.empty() ? "" : ",", quoted(std::string_view{name}), ":",
               quoted(amount.canonical()));
    patch(out, claim,
          concat(R"({"status":{"phase":"Bound","accessModes":[)", modes, R"(],"capacity":{)",
                 capacity, "}}}"),
          "status");
}

void bind(VolumePlan& out, const Volume& volume, const Claim& claim) {
    const auto& reference = volume.spec.claimRef;
    const bool recorded = reference && reference->uid == claim.metadata.uid;
    if (!recorded) {
        patch(out, volume,
              concat("{",
                     reference ? ""
                               : concat(R"("metadata":{"annotations":{)",
                                        quoted(bound_by_controller), R"(:"yes"}},)"),
                     R"("spec":{"claimRef":{"kind":"PersistentVolumeClaim","apiVersion":"v1",)",
                     R"("namespace":)", quoted(claim.metadata.namespace_.view()), R"(,"name":)",
                     quoted(claim.metadata.name), R"(,"uid":)", quoted(claim.metadata.uid),
                     R"(,"resourceVersion":)", quoted(claim.metadata.resourceVersion), "}}}"))
            .resource_version = volume.metadata.resourceVersion;
    }
    complete(out, volume, claim);
}

VolumePtr named(const std::vector<VolumePtr>& volumes, std::string_view name) {
    const auto found = std::ranges::find_if(
        volumes, [&](const auto& volume) { return volume->metadata.name == name; });
    return found == volumes.end() ? nullptr : *found;
}

bool waits_for_pod(const Claim& claim, const ClaimFacts& facts) {
    const auto name = class_of(claim);
    if (name.empty() || claim.metadata.annotations.contains(selected_node)) return false;
    return std::ranges::any_of(facts.classes, [&](const auto& one) {
        return one->metadata.name == name && one->volumeBindingMode == "WaitForFirstConsumer";
    });
}

// What was set aside for the claim first; else the smallest that is free and fits.
VolumePtr choice(const Claim& claim, const ClaimFacts& facts, bool only_set_aside) {
    VolumePtr best;
    for (const auto& volume : facts.volumes) {
        if (volume->metadata.deletionTimestamp) continue;
        if (api::is_claimed_by(*volume, claim)) {
            const bool ours = volume->spec.claimRef->uid == claim.metadata.uid;
            if (ours || api::mismatch(*volume, claim).empty()) return volume;
            continue;
        }
        if (only_set_aside || !api::free_for(*volume, claim)) continue;
        if (!best || api::better(*volume, *best)) best = volume;
    }
    return best;
}

void ask_provisioner(VolumePlan& out, const Claim& claim, const ClaimFacts& facts) {
    const auto name = class_of(claim);
    const auto found = std::ranges::find_if(
        facts.classes, [&](const auto& one) { return one->metadata.name == name; });
    if (found == facts.classes.end()) {
        out.events.push_back({true, "ProvisioningFailed",
                              concat("storageclass.storage.k8s.io \"", name, "\" not found")});
        return;
    }
    const auto& provisioner = (*found)->provisioner;
    if (provisioner == "kubernetes.io/no-provisioner") {
        out.events.push_back(
            {true, "ProvisioningFailed", concat("no volume plugin matched name: ", provisioner)});
        return;
    }
    const auto* asked = claim.metadata.annotations.find(provisioner_annotation);
    if (!asked || std::string_view{*asked} != std::string_view{provisioner}) {
        patch(out, claim,
              concat(R"({"metadata":{"annotations":{)", quoted(legacy_provisioner_annotation), ":",
                     quoted(provisioner), ",", quoted(provisioner_annotation), ":",
                     quoted(provisioner), "}}}"))
            .resource_version = claim.metadata.resourceVersion;
    }
    out.events.push_back(
        {false, "ExternalProvisioning",
         concat("Waiting for a volume to be created either by the external provisioner '",
                provisioner,
                "' or manually by the system administrator. If volume creation is delayed, please "
                "verify that the provisioner is running and correctly registered.")});
}

// A claim that was there before there was a default class.
void give_class(VolumePlan& out, const Claim& claim, const view::StorageClass& storage_class) {
    patch(out, claim,
          concat(R"({"spec":{"storageClassName":)", quoted(storage_class.metadata.name), "}}"))
        .resource_version = claim.metadata.resourceVersion;
    set_phase(out, claim, "Pending");
}

void plan_without_volume(VolumePlan& out, const Claim& claim, const ClaimFacts& facts) {
    const bool waits = waits_for_pod(claim, facts);
    if (const auto volume = choice(claim, facts, waits)) return bind(out, *volume, claim);
    if (!api::says_class(claim))
        if (const auto found = default_class(facts.classes)) return give_class(out, claim, *found);
    if (waits)
        out.events.push_back({false, "WaitForFirstConsumer",
                              "waiting for first consumer to be created before binding"});
    else if (!class_of(claim).empty())
        ask_provisioner(out, claim, facts);
    else
        out.events.push_back({false, "FailedBinding",
                              "no persistent volumes available for this claim and no storage class "
                              "is set"});
    set_phase(out, claim, "Pending");
}

void plan_with_wish(VolumePlan& out, const Claim& claim, const ClaimFacts& facts) {
    const auto volume = named(facts.volumes, claim.spec.volumeName);
    if (!volume) return set_phase(out, claim, "Pending");
    if (volume->spec.claimRef && !api::is_claimed_by(*volume, claim)) {
        out.events.push_back(
            {true, "FailedBinding",
             concat("volume \"", volume->metadata.name, "\" already bound to a different claim.")});
        return set_phase(out, claim, "Pending");
    }
    if (!volume->spec.claimRef || volume->spec.claimRef->uid.empty()) {
        const auto why = volume->metadata.deletionTimestamp
                             ? std::string{"the volume is being deleted"}
                             : api::mismatch(*volume, claim);
        if (!why.empty()) {
            out.events.push_back(
                {true, "VolumeMismatch",
                 concat("Cannot bind to requested volume \"", volume->metadata.name, "\": ", why)});
            return set_phase(out, claim, "Pending");
        }
    }
    bind(out, *volume, claim);
}

void plan_bound(VolumePlan& out, const Claim& claim, const ClaimFacts& facts) {
    const auto lost = [&](std::string reason, std::string message) {
        if (claim.status.phase == "Lost") return;
        out.events.push_back({true, std::move(reason), std::move(message)});
        set_phase(out, claim, "Lost");
    };
    if (claim.spec.volumeName.empty())
        return lost("ClaimLost",
                    "Bound claim has lost reference to PersistentVolume. Data on the "
                    "volume is lost!");
    const auto volume = named(facts.volumes, claim.spec.volumeName);
    if (!volume)
        return lost("ClaimLost",
                    "Bound claim has lost its PersistentVolume. Data on the volume is lost!");
    if (!volume->spec.claimRef || api::is_claimed_by(*volume, claim))
        return bind(out, *volume, claim);
    lost("ClaimMisbound", "Two claims are bound to the same volume, this one is bound incorrectly");
}

void reclaim(VolumePlan& out, const Volume& volume) {
    if (volume.status.phase == "Failed") return;
    const std::string_view policy = volume.spec.persistentVolumeReclaimPolicy;
    if (policy == "Recycle") {
        set_phase(out, volume, "Failed", "the reclaim policy Recycle is not supported any more");
        out.events.push_back({true, "VolumeFailedRecycle",
                              "the reclaim policy Recycle is not supported any more; use Delete "
                              "with a provisioner, or Retain"});
        return;
    }
    if (policy == "Delete" && !volume.metadata.annotations.contains(provisioned_by)) {
        const std::string why =
            "no volume plugin that could delete the volume: it was not made by "
            "a provisioner";
        out.events.push_back({true, "VolumeFailedDelete", why});
        set_phase(out, volume, "Failed", why);
        return;
    }
    set_phase(out, volume, "Released");   // a provisioner sees it and deletes it
}

void release(VolumePlan& out, const Volume& volume) {
    if (volume.metadata.annotations.contains(bound_by_controller)) {
        patch(out, volume,
              concat(R"({"metadata":{"annotations":{)", quoted(bound_by_controller),
                     R"(:null}},"spec":{"claimRef":null}})"))
            .resource_version = volume.metadata.resourceVersion;
        return;
    }
    // A user set it aside: it stays so, for the name.
    patch(out, volume, R"({"spec":{"claimRef":{"uid":null,"resourceVersion":null}}})")
        .resource_version = volume.metadata.resourceVersion;
}

}   // namespace

VolumePlan plan_claim(const Claim& claim, const ClaimFacts& facts) {
    VolumePlan out;
    if (claim.metadata.annotations.contains(bind_completed))
        plan_bound(out, claim, facts);
    else if (claim.metadata.deletionTimestamp)
        return out;
    else if (claim.spec.volumeName.empty())
        plan_without_volume(out, claim, facts);
    else
        plan_with_wish(out, claim, facts);
    return out;
}

VolumePlan plan_volume(const Volume& volume, const Claim* claim) {
    VolumePlan out;
    if (!volume.spec.claimRef) {
        set_phase(out, volume, "Available");
        return out;
    }
    if (volume.spec.claimRef->uid.empty()) {
        set_phase(out, volume, "Available");
        return out;
    }
    if (!claim) {
        reclaim(out, volume);
        return out;
    }
    if (claim->spec.volumeName == volume.metadata.name) {
        set_phase(out, volume, "Bound");
    } else if (!claim->spec.volumeName.empty()) {
        // The claim went to another volume.
        if (volume.metadata.annotations.contains(provisioned_by) &&
            volume.spec.persistentVolumeReclaimPolicy == "Delete")
            reclaim(out, volume);
        else
            release(out, volume);
    }
    return out;
}

ClassPtr default_class(const std::vector<ClassPtr>& classes) {
    ClassPtr best;
    for (const auto& one : classes) {
        const auto marked = [&](std::string_view annotation) {
            const auto* value = one->metadata.annotations.find(annotation);
            return value && std::string_view{*value} == "true";
        };
        if (one->metadata.deletionTimestamp ||
            (!marked(default_class_annotation) && !marked(legacy_default_class_annotation)))
            continue;
        const auto newer = [&] {
            if (one->metadata.creationTimestamp != best->metadata.creationTimestamp)
                return one->metadata.creationTimestamp > best->metadata.creationTimestamp;
            return one->metadata.name < best->metadata.name;
        };
        if (!best || newer()) best = one;
    }
    return best;
}

}   // namespace skiff::controllers
