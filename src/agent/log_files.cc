#include "agent/log_files.h"

#include <algorithm>
#include <filesystem>

#include <sys/stat.h>
#include <unistd.h>

#include "base/os.h"
#include "base/text.h"

namespace skiff::agent {

bool parse_log_line(std::string_view line, LogLine& out) {
    const size_t first = line.find(' ');
    if (first == std::string_view::npos) return false;
    const size_t second = line.find(' ', first + 1);
    if (second == std::string_view::npos) return false;
    const size_t third = line.find(' ', second + 1);
    if (third == std::string_view::npos) return false;
    out.time = line.substr(0, first);
    out.stream = line.substr(first + 1, second - first - 1);
    const std::string_view tags = line.substr(second + 1, third - second - 1);
    out.partial = tags == "P" || tags.starts_with("P:");
    out.text = line.substr(third + 1);
    return out.stream == "stdout" || out.stream == "stderr";
}

std::string pod_log_folder(const std::string& log_root, std::string_view name_space,
                           std::string_view name, std::string_view uid) {
    return concat(log_root, "/pods/", name_space, "_", name, "_", uid);
}

std::vector<std::string> pod_log_folders(const std::string& log_root, std::string_view uid) {
    const std::string suffix = concat("_", uid);
    std::vector<std::string> found;
    std::error_code problem;
    for (std::filesystem::directory_iterator it{log_root + "/pods", problem}, end;
         !problem && it != end; it.increment(problem)) {
        if (it->path().filename().string().ends_with(suffix)) found.push_back(it->path().string());
    }
    return found;
}

std::vector<std::string> uids_with_files(const std::string& root) {
    std::vector<std::string> uids;
    std::error_code problem;
    for (std::filesystem::directory_iterator it{root + "/agent/pods", problem}, end;
         !problem && it != end; it.increment(problem)) {
        uids.push_back(it->path().filename().string());
    }
    return uids;
}

std::string container_log_path(std::string_view container, unsigned restart_count) {
    return concat(container, "/", restart_count, ".log");
}

std::string container_log_link(const std::string& log_root, std::string_view pod,
                               std::string_view name_space, std::string_view container,
                               std::string_view container_id) {
    return concat(log_root, "/containers/", pod, "_", name_space, "_", container, "-", container_id,
                  ".log");
}

std::vector<std::string> log_files_of(const std::string& current) {
    const std::filesystem::path path{current};
    const std::string rotated_prefix = path.filename().string() + ".";
    std::vector<std::string> found;
    std::error_code problem;
    for (std::filesystem::directory_iterator it{path.parent_path(), problem}, end;
         !problem && it != end; it.increment(problem)) {
        if (it->path().filename().string().starts_with(rotated_prefix)) {
            found.push_back(it->path().string());
        }
    }
    std::ranges::sort(found);   // the suffix is a time: order of age
    if (file_exists(current)) found.push_back(current);
    return found;
}

Result<bool> rotate_log(const std::string& current, const RotationLimits& limits, WallTime now) {
    struct stat info {};
    if (::stat(current.c_str(), &info) != 0) return false;
    if (static_cast<size_t>(info.st_size) < limits.file_bytes_max) return false;
    auto files = log_files_of(current);
    files.pop_back();
    while (!files.empty() && files.size() + 2 > limits.files_max) {
        if (::unlink(files.front().c_str()) != 0 && errno != ENOENT) {
            return fail_errno(concat("remove ", files.front()), errno);
        }
        files.erase(files.begin());
    }
    // 2026-01-02T15:04:05.123456789Z -> 20260102-150405.123456789: sorts by age, never collides.
    std::string suffix = rfc3339_nano(now);
    std::erase_if(suffix, [](char c) { return c == '-' || c == ':' || c == 'Z'; });
    std::ranges::replace(suffix, 'T', '-');
    const std::string rotated = concat(current, ".", suffix);
    if (::rename(current.c_str(), rotated.c_str()) != 0) {
        return fail_errno(concat("rename ", current), errno);
    }
    return true;
}

}   // namespace skiff::agent
