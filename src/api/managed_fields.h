// metadata.managedFields: who owns which field (KEP-555).
#pragma once

#include <string_view>

#include "api/schema.h"
#include "base/time.h"
#include "codec/json.h"

namespace skiff::api {

struct FieldsChange {
    std::string_view manager;       // fieldManager, or the user agent's first word
    std::string_view subresource;   // "" for the main one
    WallTime now;
};
// Records an Update: the fields that differ between `before` (null: created) and `after` now
// belong to the manager, others lose those they no longer have. Both in `kind`'s version.
// The client's own metadata.managedFields: [] or [{}] clears all, as upstream.
void record_update(const Kind& kind, const codec::Json* before, codec::Json& after,
                   const FieldsChange& change, codec::Arena& arena);

// Whether two objects' managedFields say the same but for the times. A client's object without any
// says nothing else than the stored one.
bool same_ownership(const codec::Json& object, const codec::Json& stored);

// Server-side apply: merges `applied` into `live` (null: creates). Conflict with causes of type
// FieldManagerConflict unless force.
enum class Force : bool { No, Yes };
Result<> apply_server_side(const Kind& kind, codec::Json& live, const codec::Json& applied,
                           const FieldsChange& change, Force force, codec::Arena& arena);

}   // namespace skiff::api
