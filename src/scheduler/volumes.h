// What a pod's claims ask of the node that it gets: where their volumes can be reached, and which
// volumes the claims that wait for their first consumer shall get there. Pure.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "api/volume_match.h"
#include "client/informer.h"
#include "scheduler/node_info.h"

namespace skiff::scheduler {

using ClaimPtr = client::Shared<view::PersistentVolumeClaim>;
using VolumePtr = client::Shared<view::PersistentVolume>;
using ClassPtr = client::Shared<view::StorageClass>;

using api::bind_completed;
using api::selected_node;

struct VolumeFacts {
    std::function<ClaimPtr(std::string_view name_space, std::string_view name)> claim;
    const std::vector<VolumePtr>& volumes;
    const std::vector<ClassPtr>& classes;
    // Whether another pod with a node uses the claim.
    std::function<bool(const view::PersistentVolumeClaim& claim)> in_use;
};

struct VolumeNeeds {
    std::string refusal;             // why no node can take the pod yet, in upstream's words; or ""
    std::vector<VolumePtr> bound;    // to be reached from the node
    std::vector<ClaimPtr> waiting;   // for their first consumer: the pod
    bool empty() const { return refusal.empty() && bound.empty() && waiting.empty(); }
};
VolumeNeeds volume_needs(const view::Pod& pod, const VolumeFacts& facts);
bool has_claims(const view::Pod& pod);

// The claim of a waiting one and the volume it gets on that node; null: one is to be provisioned.
struct VolumeChoice {
    ClaimPtr claim;
    VolumePtr volume;
};
struct VolumeFit {
    std::string refusal;   // "" when the pod may go there
    std::vector<VolumeChoice> choices;
};
VolumeFit fit_volumes(const VolumeNeeds& needs, const VolumeFacts& facts, const view::Node& node);

}   // namespace skiff::scheduler
