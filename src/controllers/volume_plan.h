// Which claim gets which volume, and what becomes of both. A volume's claimRef is the one record of
// whose it is: it is written first, and only onto the volume as it was looked at, so that two
// claims never get one volume whoever crashes when. Pure.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "api/volume_match.h"
#include "client/informer.h"
#include "client/plan.h"
#include "controllers/volume.h"

namespace skiff::controllers {

using api::bind_completed;
using api::provisioned_by;
using api::selected_node;
inline constexpr std::string_view bound_by_controller = "pv.kubernetes.io/bound-by-controller";
inline constexpr std::string_view provisioner_annotation =
    "volume.kubernetes.io/storage-provisioner";
inline constexpr std::string_view legacy_provisioner_annotation =
    "volume.beta.kubernetes.io/storage-provisioner";
inline constexpr std::string_view default_class_annotation =
    "storageclass.kubernetes.io/is-default-class";
inline constexpr std::string_view legacy_default_class_annotation =
    "storageclass.beta.kubernetes.io/is-default-class";

using VolumePtr = client::Shared<view::PersistentVolume>;
using ClassPtr = client::Shared<view::StorageClass>;

struct VolumeEvent {
    bool warning = false;
    std::string reason;
    std::string message;
    bool operator==(const VolumeEvent&) const = default;
};
struct VolumePlan {
    client::Plan plan;
    std::vector<VolumeEvent> events;
};

struct ClaimFacts {
    const std::vector<VolumePtr>& volumes;
    const std::vector<ClassPtr>& classes;
};
VolumePlan plan_claim(const view::PersistentVolumeClaim& claim, const ClaimFacts& facts);

// `claim`: the one that the volume's claimRef names, with the same uid unless it names none; null
// when the API server itself says that there is none.
VolumePlan plan_volume(const view::PersistentVolume& volume,
                       const view::PersistentVolumeClaim* claim);

// The newest of the default classes; null when there is none.
ClassPtr default_class(const std::vector<ClassPtr>& classes);

}   // namespace skiff::controllers
