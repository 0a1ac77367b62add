#include "scheduler/volumes.h"

#include <set>

#include "scheduler/node_terms.h"

namespace skiff::scheduler {
namespace {

constexpr std::string_view no_provisioner = "kubernetes.io/no-provisioner";

ClassPtr class_named(const std::vector<ClassPtr>& classes, std::string_view name) {
    const auto found =
        std::ranges::find_if(classes, [&](const auto& one) { return one->metadata.name == name; });
    return found == classes.end() ? nullptr : *found;
}

bool reachable(const view::PersistentVolume& volume, const view::Node& node) {
    const auto& affinity = volume.spec.nodeAffinity;
    return !affinity || !affinity->required ||
           any_selects(affinity->required->nodeSelectorTerms, node);
}

// Where the class lets volumes be made: anywhere unless it says where.
bool made_on(const view::StorageClass& storage_class, const view::Node& node) {
    const auto met = [&](const auto& one) {
        const auto* has = node.metadata.labels.find(std::string_view{one.key});
        return has && std::ranges::any_of(one.values, [&](const auto& value) {
                   return std::string_view{value} == std::string_view{*has};
               });
    };
    const auto& terms = storage_class.allowedTopologies;
    return terms.empty() || std::ranges::any_of(terms, [&](const auto& term) {
               return !term.matchLabelExpressions.empty() &&
                      std::ranges::all_of(term.matchLabelExpressions, met);
           });
}

bool for_one_pod(const view::PersistentVolumeClaim& claim) {
    return std::ranges::any_of(claim.spec.accessModes, [](const auto& mode) {
        return std::string_view{mode} == "ReadWriteOncePod";
    });
}

// "" or why the claim keeps the pod from every node.
std::string take_claim(VolumeNeeds& needs, const ClaimPtr& claim, const VolumeFacts& facts) {
    const auto& name = claim->metadata.name;
    if (claim->metadata.deletionTimestamp)
        return concat("persistentvolumeclaim \"", name, "\" is being deleted");
    if (claim->status.phase == "Lost")
        return concat("persistentvolumeclaim \"", name,
                      "\" bound to non-existent persistentvolume \"", claim->spec.volumeName, "\"");
    if (for_one_pod(*claim) && facts.in_use(*claim))
        return "node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod "
               "access mode";
    if (!claim->spec.volumeName.empty() && claim->metadata.annotations.contains(bind_completed)) {
        const auto volume = std::ranges::find_if(facts.volumes, [&](const auto& one) {
            return one->metadata.name == claim->spec.volumeName;
        });
        if (volume == facts.volumes.end())
            return concat("persistentvolume \"", claim->spec.volumeName, "\" not found");
        needs.bound.push_back(*volume);
        return {};
    }
    const auto storage_class = class_named(facts.classes, api::class_of(*claim));
    if (!claim->spec.volumeName.empty() || !storage_class ||
        storage_class->volumeBindingMode != "WaitForFirstConsumer")
        return "pod has unbound immediate PersistentVolumeClaims";
    needs.waiting.push_back(claim);
    return {};
}

}   // namespace

bool has_claims(const view::Pod& pod) {
    return std::ranges::any_of(pod.spec.volumes, [](const auto& volume) {
        return volume.persistentVolumeClaim || volume.ephemeral;
    });
}

VolumeNeeds volume_needs(const view::Pod& pod, const VolumeFacts& facts) {
    VolumeNeeds needs;
    std::set<std::string> seen;
    for (const auto& volume : pod.spec.volumes) {
        const auto name = api::claim_name(pod, volume);
        if (name.empty() || !seen.insert(name).second) continue;
        const auto claim = facts.claim(pod.metadata.namespace_.view(), name);
        if (!claim && volume.ephemeral)
            needs.refusal = concat(
                "waiting for ephemeral volume controller to create the "
                "persistentvolumeclaim \"",
                name, "\"");
        else if (!claim)
            needs.refusal = concat("persistentvolumeclaim \"", name, "\" not found");
        else
            needs.refusal = take_claim(needs, claim, facts);
        if (!needs.refusal.empty()) return needs;
    }
    return needs;
}

VolumeFit fit_volumes(const VolumeNeeds& needs, const VolumeFacts& facts, const view::Node& node) {
    VolumeFit fit;
    for (const auto& volume : needs.bound)
        if (!reachable(*volume, node)) return {"node(s) had volume node affinity conflict", {}};
    std::set<std::string> given;
    for (const auto& claim : needs.waiting) {
        const auto* elsewhere = claim->metadata.annotations.find(selected_node);
        VolumePtr best;
        for (const auto& volume : facts.volumes) {
            const bool aside = api::is_claimed_by(*volume, *claim) &&
                               !volume->metadata.deletionTimestamp &&
                               api::mismatch(*volume, *claim).empty();
            if (!aside && !api::free_for(*volume, *claim)) continue;
            if (given.contains(volume->metadata.name) || !reachable(*volume, node)) continue;
            if (aside) {
                best = volume;
                break;
            }
            if (!best || api::better(*volume, *best)) best = volume;
        }
        if (best) {
            given.insert(best->metadata.name);
            fit.choices.push_back({claim, best});
            continue;
        }
        const auto storage_class = class_named(facts.classes, api::class_of(*claim));
        const bool made = storage_class && storage_class->provisioner != no_provisioner &&
                          made_on(*storage_class, node);
        if (!made || (elsewhere && std::string_view{*elsewhere} != node.metadata.name))
            return {"node(s) didn't find available persistent volumes to bind", {}};
        fit.choices.push_back({claim, nullptr});
    }
    return fit;
}

}   // namespace skiff::scheduler
