#include "agent/volumes/mounts.h"

#include <algorithm>

#include <sys/mount.h>
#include <sys/stat.h>

#include "base/os.h"
#include "base/text.h"

namespace skiff::agent {

namespace {

// mountinfo writes space, tab, newline and backslash as three octal digits.
std::string unescaped(std::string_view text) {
    std::string out;
    for (size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '\\' && i + 3 < text.size()) {
            out += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 +
                                     (text[i + 3] - '0'));
            i += 3;
        } else {
            out += text[i];
        }
    }
    return out;
}

}   // namespace

bool is_mount_point(const std::string& path) {
    const auto text = read_file("/proc/self/mountinfo");
    if (!text) return false;
    const auto found = mount_points_below(*text, path);
    return std::ranges::find(found, path) != found.end();
}

Result<> mount_memory(const std::string& path, int64_t size_bytes) {
    if (is_mount_point(path)) return {};
    TRY_OK(make_directories(path));
    const std::string options = size_bytes > 0 ? concat("size=", size_bytes) : "";
    if (::mount("tmpfs", path.c_str(), "tmpfs", MS_NOSUID | MS_NODEV,
                options.empty() ? nullptr : options.c_str()) != 0) {
        return fail_errno(concat("mount tmpfs at ", path), errno);
    }
    return {};
}

std::vector<std::string> mount_points_below(std::string_view mountinfo, std::string_view folder) {
    std::vector<std::string> found;
    for (const auto line : split(mountinfo, '\n')) {
        const auto fields = split(line, ' ');
        if (fields.size() < 5) continue;
        std::string point = unescaped(fields[4]);
        if (point == folder || (point.starts_with(folder) && point.size() > folder.size() &&
                                point[folder.size()] == '/')) {
            found.push_back(std::move(point));
        }
    }
    std::ranges::reverse(found);   // later mounts lie on top of or inside earlier ones
    return found;
}

void unmount_below(const std::string& folder) {
    const auto text = read_file("/proc/self/mountinfo");
    if (!text) return;
    for (const auto& point : mount_points_below(*text, folder)) {
        ::umount2(point.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW);
    }
}

}   // namespace skiff::agent
