// The patch kinds of the API on JSON trees. `target` is changed in place; on an error it is
// unspecified and must be thrown away.
#pragma once

#include "api/schema.h"
#include "codec/json.h"

namespace skiff::api {

// RFC 6902. Invalid (422) when an operation cannot be applied, BadRequest when it is no patch;
// at most 10,000 operations.
Result<> apply_json_patch(codec::Json& target, const codec::Json& patch, codec::Arena& arena);
// RFC 7386.
void apply_merge_patch(codec::Json& target, const codec::Json& patch, codec::Arena& arena);
// Kubernetes' strategic merge patch with merge keys, $patch: delete|replace|merge, $retainKeys,
// $setElementOrder/x, $deleteFromPrimitiveList/x.
Result<> apply_strategic_merge_patch(const Message& message, codec::Json& target,
                                     const codec::Json& patch, codec::Arena& arena);

}   // namespace skiff::api
