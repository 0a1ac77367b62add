// What is served: /api, /apis and below, plain and aggregated (KEP-3352).
#pragma once

#include "apiserver/call.h"
#include "apiserver/catalog.h"

namespace skiff::apiserver {

// True when the path was one of discovery's and the call is answered.
bool serve_discovery(Call& call, const Catalog& catalog);

}   // namespace skiff::apiserver
