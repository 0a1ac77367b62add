// ComponentStatus, deprecated long ago and still asked for: the parts of the control plane, which
// are this very process.
#pragma once

#include "apiserver/registry.h"

namespace skiff::apiserver {

// True when the call asked for them; it is answered then. `well`: whether the server is ready.
bool serve_component_status(const CallPtr& call, Registry& registry, bool well);

}   // namespace skiff::apiserver
