// What can be told of a pod by looking at it. Pure.
#pragma once

#include <optional>

#include "client/informer.h"
#include "controllers/pods.h"

namespace skiff::controllers {

using PodPtr = client::Shared<view::Pod>;
using Pods = std::vector<PodPtr>;

bool is_finished(const view::Pod& pod);   // Succeeded or Failed
bool is_active(const view::Pod& pod);     // neither finished nor on its way out
bool is_ready(const view::Pod& pod);
std::optional<WallTime> ready_since(const view::Pod& pod);   // absent: it is not, or not said

// How long until it has been ready for so many seconds: zero when it is available now, absent when
// it is not ready.
std::optional<Duration> until_available(const view::Pod& pod, int32_t min_ready_seconds,
                                        WallTime now);

// The reference that says controller: true; null when there is none.
template <class V>
auto controller_of(const V& object)
    -> const std::decay_t<decltype(object.metadata.ownerReferences[0])>* {
    for (const auto& owner : object.metadata.ownerReferences)
        if (owner.controller.value_or(false)) return &owner;
    return nullptr;
}

// Which of equal pods go first when there are too many: those that are of least use, as upstream's
// ActivePodsWithRanks. `related` are the pods that share their purpose (those of all replica sets
// of one deployment): of two that are alike the one goes whose node has more of them.
Pods to_delete(const Pods& pods, size_t count, const Pods& related, WallTime now);

}   // namespace skiff::controllers
