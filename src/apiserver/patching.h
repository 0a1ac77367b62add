// The body of a PATCH, read and checked; what it is applied to is the caller's.
#pragma once

#include "apiserver/call.h"
#include "apiserver/objects.h"

namespace skiff::apiserver {

enum class PatchKind : uint8_t { Json, Merge, Strategic, Apply };

struct ParsedPatch {
    PatchKind kind;
    Document document;
};

// Sets call.applies for a server-side apply.
Result<ParsedPatch> parse_patch(Call& call);
// Any patch but a server-side apply.
Result<> apply_patch(const api::Message& message, const ParsedPatch& patch, Json& target,
                     Arena& arena);

}   // namespace skiff::apiserver
