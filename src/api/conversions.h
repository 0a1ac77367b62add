// What no difference of the schema can say about a served version: a pair of functions on the tree,
// named by `function` in the kind's block. One file a family beside this one.
#pragma once

#include <string_view>

#include "base/result.h"
#include "codec/json.h"

namespace skiff::api {

struct Conversion {
    // After the renames and moves, before what only the stored form can say comes from `existing`
    // (stored form; null on create).
    Result<> (*to_stored)(codec::Json& object, const codec::Json* existing,
                          codec::Arena& arena) = nullptr;
    // Before the renames and moves.
    Result<> (*from_stored)(codec::Json& object, codec::Arena& arena) = nullptr;
};
const Conversion* conversion_of(std::string_view name);   // null if there is none

}   // namespace skiff::api
