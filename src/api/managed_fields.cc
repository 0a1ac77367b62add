#include "api/managed_fields.h"

#include <algorithm>

#include "api/field_set.h"
#include "api/managers.h"

namespace skiff::api {

using codec::Arena;
using codec::Json;

// What this write took goes to its manager, who keeps what it had; all others lose it, and all
// lose what is gone.
void record_update(const Kind& kind, const Json* before, Json& after, const FieldsChange& change,
                   Arena& arena) {
    Managers managers = Managers::of_update(before, after, change.subresource, arena);
    Json* metadata = after.find("metadata");
    if (!metadata || !metadata->is_object()) return;
    metadata->remove("managedFields");
    // An object whose owners were reset, or never known, stays so until somebody applies.
    if (before && managers.empty()) return;
    auto changes = compare_fields(*kind.message, before, after, arena);
    strip_unowned(changes.changed, kind, change.subresource);
    managers.take_away(changes.changed);
    managers.take_away(changes.removed);
    if (!changes.changed.empty()) {
        Manager& mine = managers.entry({.name = change.manager,
                                        .operation = "Update",
                                        .api_version = kind.api_version(),
                                        .subresource = change.subresource});
        unite(mine.fields, changes.changed, arena);
        mine.time = rfc3339(change.now);
    }
    managers.cap_updates();
    managers.write_to(*metadata);
}

bool same_ownership(const Json& object, const Json& stored) {
    const Json* brought = object.at_path({"metadata", "managedFields"});
    if (!brought) return true;
    const Json* known = stored.at_path({"metadata", "managedFields"});
    if (!known || brought->size() != known->size()) return brought->empty() && !known;
    const auto without_time = [](Json entry, Arena& arena) {
        Json copy = Json::object();
        for (const auto& [key, value] : entry.members())
            if (key != "time") copy.set_borrowed(arena, key, value);
        return copy;
    };
    Arena arena;
    for (size_t i = 0; i < known->size(); ++i)
        if (!(without_time(brought->items()[i], arena) == without_time(known->items()[i], arena)))
            return false;
    return true;
}

}   // namespace skiff::api
