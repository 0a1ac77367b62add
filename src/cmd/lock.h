// Who works on a folder's files keeps others from it.
#pragma once

#include <string>

#include "base/os.h"

namespace skiff::cmd {

// Waits for whoever holds it; held until the descriptor is closed. The folder itself is locked, so
// that no file is left behind.
Result<Fd> lock_folder(const std::string& folder);

}   // namespace skiff::cmd
