#include "agent/log_rotation.h"

#include <algorithm>

#include <sys/stat.h>

#include "base/log.h"

namespace skiff::agent {

namespace {

constexpr Duration delay_min = 500ms;
constexpr Duration delay_max = 10s;   // kubelet's containerLogMonitorInterval

}   // namespace

Duration rotation_delay(size_t size, size_t limit, size_t grown, Duration passed) {
    if (grown == 0 || size >= limit) return size >= limit ? delay_min : delay_max;
    const double seconds = std::chrono::duration<double>(passed).count() *
                           static_cast<double>(limit - size) / static_cast<double>(grown);
    const auto full_in = std::chrono::duration_cast<Duration>(
        std::chrono::duration<double>(std::min(seconds, 60.0)));
    return std::clamp<Duration>(full_in, delay_min, delay_max);
}

Duration LogRotation::look(const std::vector<std::pair<std::string, std::string>>& logs,
                           WallTime now) {
    const Duration passed = looked_ == WallTime{} ? delay_max : now - looked_;
    looked_ = now;
    Duration next = delay_max;
    std::map<std::string, size_t> sizes;
    for (const auto& [id, path] : logs) {
        struct stat info {};
        if (::stat(path.c_str(), &info) != 0) continue;
        auto size = static_cast<size_t>(info.st_size);
        const auto known = sizes_.find(path);
        const size_t before = known == sizes_.end() || known->second > size ? 0 : known->second;
        const size_t grown = size - before;
        const auto rotated = rotate_log(path, limits_, now);
        if (!rotated || *rotated) {
            const auto done = rotated ? cri_.reopen_container_log(id)
                                      : Result<>{std::unexpected{rotated.error()}};
            if (!done)
                log_warn("log not rotated", {{"log", path}, {"error", done.error().message}});
            size = 0;
        }
        sizes[path] = size;
        next = std::min(next, rotation_delay(size, limits_.file_bytes_max, grown, passed));
    }
    sizes_ = std::move(sizes);
    return next;
}

}   // namespace skiff::agent
