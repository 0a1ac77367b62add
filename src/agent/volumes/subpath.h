// Opens a path inside a volume without ever leaving it, whatever links its owner put there, and
// binds what was opened to a place of ours: the name is never looked up again.
#pragma once

#include <string>

#include "base/os.h"
#include "base/result.h"

namespace skiff::agent {

// An O_PATH descriptor of `path` below `volume`; folders that are missing are made.
Result<Fd> open_beneath(const std::string& volume, const std::string& path);

// Binds it to `target`, which is made as a folder or file to match. Bound already: nothing is done.
Result<> bind_beneath(const std::string& volume, const std::string& path,
                      const std::string& target);

}   // namespace skiff::agent
