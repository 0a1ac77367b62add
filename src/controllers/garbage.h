// Whether an object is garbage: decided from what is known of its owners. Pure;
// garbage_collector.h is the shell.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "client/plan.h"
#include "controllers/owned.h"

namespace skiff::controllers {

inline constexpr std::string_view orphan_finalizer = "orphan";
inline constexpr std::string_view foreground_finalizer = "foregroundDeletion";

bool has_finalizer(const view::Owned& object, std::string_view finalizer);
// It is being deleted, and waits until its dependents are gone, or have been let go.
bool deletes_dependents(const view::Owned& object);
bool orphans_dependents(const view::Owned& object);

enum class OwnerState : uint8_t {
    Solid,     // there, or of a kind or scope that nothing can be said about
    Absent,    // looked for and not found
    Waiting,   // being deleted in the foreground
};

struct GarbageStep {
    enum class What : uint8_t { Keep, DropReferences, Delete } what = What::Keep;
    std::vector<std::string> owner_uids;   // DropReferences: of which owners
    std::string_view policy;               // Delete
    // The owners and this object wait for each other: it no longer blocks them.
    bool unblocks = false;
};
// `states` as the object's references. `in_circle`: one of its own dependents is being deleted in
// the foreground.
GarbageStep decide_garbage(const view::Owned& object, const std::vector<OwnerState>& states,
                           bool has_dependents, bool in_circle);

// Patches of metadata (strategic merge where a reference goes, else merge).
std::string drop_references_patch(const std::vector<std::string>& owner_uids);
std::string unblock_patch(const view::Owned& object);
std::string without_finalizer_patch(const view::Owned& object, std::string_view finalizer);

// "[apps/v1/Deployment, namespace: x, name: y, uid: z]"
std::string reference_text(const view::Owned::OwnerReference& reference,
                           std::string_view name_space);

}   // namespace skiff::controllers
