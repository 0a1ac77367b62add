// Which volume may serve which claim: one truth for the controller that binds them and for the
// scheduler that looks ahead. Over any views of the two that have the fields named here.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "api/quantity.h"
#include "api/selectors.h"
#include "base/text.h"
#include "codec/json.h"

namespace skiff::api {

inline constexpr std::string_view legacy_class_annotation =
    "volume.beta.kubernetes.io/storage-class";
inline constexpr std::string_view bind_completed = "pv.kubernetes.io/bind-completed";
inline constexpr std::string_view provisioned_by = "pv.kubernetes.io/provisioned-by";
inline constexpr std::string_view selected_node = "volume.kubernetes.io/selected-node";

// The claim that a volume of the pod stands for; "" for other kinds of volumes.
template <class Pod, class Volume>
std::string claim_name(const Pod& pod, const Volume& volume) {
    if (volume.persistentVolumeClaim) return std::string{volume.persistentVolumeClaim->claimName};
    if (volume.ephemeral) return concat(pod.metadata.name, "-", volume.name);
    return {};
}

// The class that a claim or volume belongs to; "" for none. A claim that says nothing has none.
template <class V>
std::string class_of(const V& object) {
    if (const auto* legacy = object.metadata.annotations.find(legacy_class_annotation))
        return std::string{std::string_view{*legacy}};
    if constexpr (requires { object.spec.storageClassName.has_value(); })
        return std::string{std::string_view{object.spec.storageClassName.value_or("")}};
    else
        return std::string{std::string_view{object.spec.storageClassName}};
}
template <class Claim>
bool says_class(const Claim& claim) {
    return claim.spec.storageClassName.has_value() ||
           claim.metadata.annotations.contains(legacy_class_annotation);
}

// The volume is this claim's, or was set aside for it before the claim had a uid.
template <class Volume, class Claim>
bool is_claimed_by(const Volume& volume, const Claim& claim) {
    const auto& reference = volume.spec.claimRef;
    return reference && reference->name == claim.metadata.name &&
           std::string_view{reference->namespace_} == std::string_view{claim.metadata.namespace_} &&
           (reference->uid.empty() || reference->uid == claim.metadata.uid);
}

// Why the volume cannot serve the claim whoever asks; "" when it can.
template <class Volume, class Claim>
std::string mismatch(const Volume& volume, const Claim& claim) {
    const auto* wanted = claim.spec.resources.requests.find("storage");
    const auto* has = volume.spec.capacity.find("storage");
    if (wanted && (!has || *has < *wanted)) return "requested PV is too small";
    if (class_of(volume) != class_of(claim)) return "storageClassName does not match";
    const auto mode = [](const auto& object) {
        const std::string_view said = object.spec.volumeMode;
        return said.empty() ? std::string_view{"Filesystem"} : said;
    };
    if (mode(volume) != mode(claim)) return "incompatible volumeMode";
    const bool modes = std::ranges::all_of(claim.spec.accessModes, [&](const auto& one) {
        return std::ranges::find(volume.spec.accessModes, one) != volume.spec.accessModes.end();
    });
    return modes ? "" : "incompatible accessMode";
}

template <class Selector>
bool selected(const Selector& selector, const Labels& labels) {
    const auto value = [&](std::string_view key) { return labels.find(key); };
    for (const auto& [key, wanted] : selector.matchLabels) {
        const auto* has = value(std::string_view{key});
        if (!has || std::string_view{*has} != std::string_view{wanted}) return false;
    }
    return std::ranges::all_of(selector.matchExpressions, [&](const auto& one) {
        const auto* has = value(std::string_view{one.key});
        const bool listed = has && std::ranges::any_of(one.values, [&](const auto& candidate) {
                                return std::string_view{candidate} == std::string_view{*has};
                            });
        const std::string_view op = one.operator_;
        if (op == "In") return listed;
        if (op == "NotIn") return !listed;
        return op == "Exists" ? has != nullptr : op == "DoesNotExist" && has == nullptr;
    });
}

// Nobody's yet, and fit for the claim.
template <class Volume, class Claim>
bool free_for(const Volume& volume, const Claim& claim) {
    if (volume.metadata.deletionTimestamp || volume.spec.claimRef ||
        volume.status.phase != "Available")
        return false;
    if (claim.spec.selector && !selected(*claim.spec.selector, volume.metadata.labels))
        return false;
    return mismatch(volume, claim).empty();
}

// Whether a change of the volume may change what becomes of a claim.
template <class Volume, class Claim>
bool concerns(const Volume& volume, const Claim& claim) {
    if (!claim.spec.volumeName.empty() && claim.spec.volumeName == volume.metadata.name)
        return true;
    return is_claimed_by(volume, claim) ||
           (claim.spec.volumeName.empty() && class_of(volume) == class_of(claim));
}

// Of two that fit, the better: the smaller, by name among equals.
template <class Volume>
bool better(const Volume& left, const Volume& right) {
    const auto size = [](const Volume& volume) { return volume.spec.capacity.get("storage"); };
    if (const auto order = size(left) <=> size(right); order != 0) return order < 0;
    return left.metadata.name < right.metadata.name;
}

}   // namespace skiff::api
