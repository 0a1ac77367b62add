#include "agent/volumes/atomic_writer.h"

#include <algorithm>
#include <filesystem>
#include <set>

#include <sys/stat.h>
#include <unistd.h>

#include "base/os.h"
#include "base/text.h"

namespace skiff::agent {

namespace {

namespace fs = std::filesystem;

std::string top_of(const std::string& path) { return path.substr(0, path.find('/')); }

// What is shown now is exactly the payload.
bool is_current(const fs::path& folder, const Payload& payload) {
    std::error_code problem;
    const fs::path data = fs::canonical(folder / "..data", problem);
    if (problem) return false;
    size_t files = 0;
    for (fs::recursive_directory_iterator it{data, problem}, end; !problem && it != end;
         it.increment(problem)) {
        if (it->is_directory(problem)) continue;
        const auto wanted = payload.find(fs::relative(it->path(), data, problem).string());
        if (wanted == payload.end()) return false;
        struct stat info {};
        if (::stat(it->path().c_str(), &info) != 0) return false;
        if ((info.st_mode & 0777) != (wanted->second.mode & 0777)) return false;
        const auto content = read_file(it->path().string());
        if (!content || *content != wanted->second.content) return false;
        ++files;
    }
    return !problem && files == payload.size();
}

Result<> write_files(const std::string& folder, const Payload& payload) {
    TRY_OK(make_directories(folder));
    for (const auto& [path, file] : payload) {
        const std::string full = concat(folder, "/", path);
        TRY_OK(make_directories(full.substr(0, full.rfind('/'))));
        TRY_OK(write_file(full, file.content));
        if (::chmod(full.c_str(), file.mode & 0777) != 0)
            return fail_errno(concat("chmod ", full), errno);
    }
    return {};
}

Result<> link_to(const std::string& target, const std::string& link) {
    const std::string fresh = link + "_tmp";
    ::unlink(fresh.c_str());
    if (::symlink(target.c_str(), fresh.c_str()) != 0)
        return fail_errno(concat("symlink ", fresh), errno);
    if (::rename(fresh.c_str(), link.c_str()) != 0)
        return fail_errno(concat("rename ", fresh), errno);
    return {};
}

}   // namespace

Result<bool> write_payload(const std::string& folder, const Payload& payload, WallTime now) {
    if (is_current(folder, payload)) return false;
    std::string stamp = rfc3339_nano(now);
    std::ranges::replace(stamp, ':', '_');
    const std::string name = concat("..", stamp);
    TRY_OK(make_directories(folder));
    TRY_OK(write_files(concat(folder, "/", name), payload));
    std::error_code problem;
    const fs::path old = fs::read_symlink(folder + "/..data", problem);
    TRY_OK(link_to(name, folder + "/..data"));
    std::set<std::string> tops;
    for (const auto& [path, file] : payload) tops.insert(top_of(path));
    for (const auto& top : tops) {
        const std::string link = concat(folder, "/", top);
        if (!fs::is_symlink(link, problem)) TRY_OK(link_to(concat("..data/", top), link));
    }
    for (fs::directory_iterator it{folder, problem}, end; !problem && it != end;
         it.increment(problem)) {
        const std::string entry = it->path().filename().string();
        if (!entry.starts_with("..") && !tops.contains(entry)) ::unlink(it->path().c_str());
        // Also what an earlier, interrupted write left.
        if (entry.starts_with("..") && entry != "..data" && entry != name) {
            auto removed = remove_tree(it->path().string());
            if (!removed) return std::unexpected{std::move(removed).error()};
        }
    }
    return true;
}

}   // namespace skiff::agent
