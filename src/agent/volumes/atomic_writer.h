// Shows a set of files in a folder all at once: ..data points at a folder with the files, each name
// points through ..data, and one rename of ..data changes them all (Kubernetes' layout, which
// programs that watch their configuration know).
#pragma once

#include <string>

#include "agent/volumes/payload.h"
#include "base/result.h"
#include "base/time.h"

namespace skiff::agent {

// True: something changed. `now` names the new folder.
Result<bool> write_payload(const std::string& folder, const Payload& payload, WallTime now);

}   // namespace skiff::agent
