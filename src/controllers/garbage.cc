#include "controllers/garbage.h"

#include <algorithm>

#include "base/text.h"
#include "codec/json_text.h"

namespace skiff::controllers {
using codec::quoted;

bool has_finalizer(const view::Owned& object, std::string_view finalizer) {
    return std::ranges::find(object.metadata.finalizers, finalizer) !=
           object.metadata.finalizers.end();
}
bool deletes_dependents(const view::Owned& object) {
    return object.metadata.deletionTimestamp && has_finalizer(object, foreground_finalizer);
}
bool orphans_dependents(const view::Owned& object) {
    return object.metadata.deletionTimestamp && has_finalizer(object, orphan_finalizer);
}

GarbageStep decide_garbage(const view::Owned& object, const std::vector<OwnerState>& states,
                           bool has_dependents, bool in_circle) {
    using What = GarbageStep::What;
    GarbageStep step;
    const auto& references = object.metadata.ownerReferences;
    if (references.empty()) return step;
    const bool solid = std::ranges::find(states, OwnerState::Solid) != states.end();
    const bool waiting = std::ranges::find(states, OwnerState::Waiting) != states.end();
    if (solid) {   // it stays; owners that have gone or are about to are forgotten
        for (size_t i = 0; i < references.size(); ++i)
            if (states[i] != OwnerState::Solid) step.owner_uids.push_back(references[i].uid);
        if (!step.owner_uids.empty()) step.what = What::DropReferences;
        return step;
    }
    step.what = What::Delete;
    if (waiting && has_dependents) {   // its own dependents go first, as its owner's do
        step.policy = "Foreground";
        step.unblocks = in_circle;
    } else if (has_finalizer(object, orphan_finalizer)) {
        step.policy = "Orphan";
    } else {
        step.policy = has_finalizer(object, foreground_finalizer) ? "Foreground" : "Background";
    }
    return step;
}

std::string drop_references_patch(const std::vector<std::string>& owner_uids) {
    std::string list;
    for (const auto& uid : owner_uids)
        append(list, list.empty() ? "" : ",", R"({"$patch":"delete","uid":)", quoted(uid), "}");
    return concat(R"({"metadata":{"ownerReferences":[)", list, "]}}");
}

std::string unblock_patch(const view::Owned& object) {
    std::string list;
    for (const auto& owner : object.metadata.ownerReferences)
        append(list, list.empty() ? "" : ",", R"({"uid":)", quoted(owner.uid),
               R"(,"blockOwnerDeletion":false})");
    return concat(R"({"metadata":{"ownerReferences":[)", list, "]}}");
}

std::string without_finalizer_patch(const view::Owned& object, std::string_view finalizer) {
    std::string list;
    for (const auto& one : object.metadata.finalizers)
        if (one != finalizer) append(list, list.empty() ? "" : ",", quoted(one));
    return concat(R"({"metadata":{"finalizers":[)", list, "]}}");
}

std::string reference_text(const view::Owned::OwnerReference& reference,
                           std::string_view name_space) {
    return concat("[", reference.apiVersion.view(), "/", reference.kind.view(),
                  ", namespace: ", name_space, ", name: ", reference.name, ", uid: ", reference.uid,
                  "]");
}

}   // namespace skiff::controllers
