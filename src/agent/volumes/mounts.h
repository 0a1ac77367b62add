// Mounts that the agent makes for volumes, and their removal.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

namespace skiff::agent {

bool is_mount_point(const std::string& path);
// tmpfs; size 0: the kernel's default. Mounted already: nothing is done.
Result<> mount_memory(const std::string& path, int64_t size_bytes);
// Unmounts everything at and below a folder, the deepest first.
void unmount_below(const std::string& folder);
// The mount points of /proc/self/mountinfo's text at and below a folder, the deepest first; pure.
std::vector<std::string> mount_points_below(std::string_view mountinfo, std::string_view folder);

}   // namespace skiff::agent
