// Where containers' logs lie and what one line of them looks like (CRI logging format:
// "2026-01-02T15:04:05.123456789Z stdout F text\n"; P instead of F: the line goes on).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"

namespace skiff::agent {

struct LogLine {
    std::string_view time;     // RFC 3339 with nine fraction digits
    std::string_view stream;   // "stdout" or "stderr"
    bool partial = false;
    std::string_view text;   // without the newline
};
// Without the closing newline; false: not a line of this format.
bool parse_log_line(std::string_view line, LogLine& out);

// /var/log/pods/NS_NAME_UID
std::string pod_log_folder(const std::string& log_root, std::string_view name_space,
                           std::string_view name, std::string_view uid);
// Those of a uid, when the names are not known any more.
std::vector<std::string> pod_log_folders(const std::string& log_root, std::string_view uid);
// The pods that have files below --root: made before all else of a pod, removed after all else.
std::vector<std::string> uids_with_files(const std::string& root);
// CONTAINER/3.log: the CRI's log_path, relative to the folder above.
std::string container_log_path(std::string_view container, unsigned restart_count);
// /var/log/containers/POD_NS_CONTAINER-ID.log, what log collectors look for.
std::string container_log_link(const std::string& log_root, std::string_view pod,
                               std::string_view name_space, std::string_view container,
                               std::string_view container_id);

// The files of one container instance, oldest first: rotated ones (3.log.20260102-150405), then
// 3.log itself. Missing files are left out.
std::vector<std::string> log_files_of(const std::string& current);

struct RotationLimits {
    size_t file_bytes_max = 10u << 20;
    unsigned files_max = 5;   // with the current one
};
// Renames the current file if it is too large and removes the oldest beyond the limit. True: it
// was renamed, the runtime must be told to reopen it.
Result<bool> rotate_log(const std::string& current, const RotationLimits& limits, WallTime now);

}   // namespace skiff::agent
