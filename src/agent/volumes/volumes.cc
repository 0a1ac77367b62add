#include "agent/volumes/volumes.h"

#include <algorithm>
#include <filesystem>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/volumes/atomic_writer.h"
#include "agent/volumes/mounts.h"
#include "base/os.h"
#include "base/text.h"

namespace skiff::agent {

namespace {

std::string_view kind_of(const Volume& volume) {
    if (volume.emptyDir) return "empty-dir";
    if (volume.configMap) return "configmap";
    if (volume.secret) return "secret";
    if (volume.downwardAPI) return "downward-api";
    if (volume.projected) return "projected";
    if (volume.persistentVolumeClaim || volume.ephemeral) return "claim";
    return "other";
}

// The group owns everything and may do what the owner may; folders hand the group on.
void give_to_group(const std::string& path, int64_t group, bool writable) {
    namespace fs = std::filesystem;
    const auto give = [&](const fs::path& entry) {
        struct stat info {};
        if (::lstat(entry.c_str(), &info) != 0) return;
        if (::lchown(entry.c_str(), static_cast<uid_t>(-1), static_cast<gid_t>(group)) != 0) return;
        if (S_ISLNK(info.st_mode)) return;
        mode_t mode = info.st_mode & 07777;
        mode |= writable ? 0660 : 0440;
        if (S_ISDIR(info.st_mode)) mode |= S_ISGID | 0110;
        ::chmod(entry.c_str(), mode);
    };
    give(path);
    std::error_code problem;
    for (fs::recursive_directory_iterator it{path, problem}, end; !problem && it != end;
         it.increment(problem)) {
        give(it->path());
    }
}

std::optional<int64_t> group_of(const Pod& pod) {
    return pod.spec.securityContext ? pod.spec.securityContext->fsGroup : std::nullopt;
}

Result<> make_empty_dir(const std::string& path, const Volume& volume, const Pod& pod) {
    const auto& source = *volume.emptyDir;
    const bool fresh = !file_exists(path);
    if (source.medium == "Memory") {
        TRY_OK(mount_memory(path, source.sizeLimit ? source.sizeLimit->value() : 0));
    } else if (!source.medium.empty() && !source.medium.starts_with("HugePages")) {
        return fail(Reason::Invalid, concat("unknown storage medium \"", source.medium, "\""));
    } else {
        TRY_OK(make_directories(path));
    }
    if (!fresh) return {};
    if (::chmod(path.c_str(), 0777) != 0) return fail_errno(concat("chmod ", path), errno);
    if (const auto group = group_of(pod)) give_to_group(path, *group, true);
    return {};
}

Result<> make_payload(const std::string& path, const Volume& volume, const VolumeFacts& facts) {
    TRY(auto payload, volume_payload(volume, facts.source, facts.values, facts.tokens));
    // Secrets and tokens never touch a disk.
    const bool secret = volume.secret || !volume_tokens(facts.source.pod.spec).empty();
    if (secret && !volume.configMap && !volume.downwardAPI) TRY_OK(mount_memory(path, 0));
    TRY(const bool changed, write_payload(path, payload, facts.now));
    if (const auto group = group_of(facts.source.pod); group && changed)
        give_to_group(path, *group, false);
    return {};
}

}   // namespace

PodFolder::PodFolder(const std::string& root, std::string_view uid)
    : path_{concat(root, "/agent/pods/", uid)} {}

std::string PodFolder::volume(const Volume& volume) const {
    if (volume.hostPath) return volume.hostPath->path;
    return concat(path_, "/volumes/kubernetes.io~", kind_of(volume), "/", volume.name);
}

std::string PodFolder::subpath(std::string_view volume, std::string_view container,
                               size_t index) const {
    return concat(path_, "/volume-subpaths/", volume, "/", container, "/", index);
}

std::string PodFolder::message_file(std::string_view container, unsigned restart_count) const {
    return concat(path_, "/containers/", container, "/", restart_count);
}

Result<> check_host_path(const std::string& path, std::string_view type) {
    struct stat info {};
    bool there = ::stat(path.c_str(), &info) == 0;
    if (!there && type == "DirectoryOrCreate") {
        TRY_OK(make_directories(path));
        there = ::stat(path.c_str(), &info) == 0;
    }
    if (!there && type == "FileOrCreate") {
        const Fd file{::open(path.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0644)};
        if (!file) return fail_errno(concat("create ", path), errno);
        there = ::stat(path.c_str(), &info) == 0;
    }
    struct Check {
        std::string_view type;
        mode_t format;
        std::string_view what;
    };
    constexpr Check checks[] = {
        {"DirectoryOrCreate", S_IFDIR, "a directory"},
        {"Directory", S_IFDIR, "a directory"},
        {"FileOrCreate", S_IFREG, "a file"},
        {"File", S_IFREG, "a file"},
        {"Socket", S_IFSOCK, "a socket file"},
        {"CharDevice", S_IFCHR, "a character device"},
        {"BlockDevice", S_IFBLK, "a block device"},
    };
    for (const auto& check : checks) {
        if (type != check.type) continue;
        if (there && (info.st_mode & S_IFMT) == check.format) return {};
        return fail(Reason::Invalid,
                    concat("hostPath type check failed: ", path, " is not ", check.what));
    }
    return {};
}

Result<std::map<std::string, std::string>> mount_volumes(const PodFolder& folder,
                                                         const VolumeFacts& facts) {
    std::map<std::string, std::string> paths;
    for (const auto& volume : facts.source.pod.spec.volumes) {
        std::string path = folder.volume(volume);
        Result<> done{};
        const auto claimed = facts.claims.find(volume.name);
        if (claimed != facts.claims.end()) {
            auto mounted = mount_claim(claimed->second, path);
            if (mounted)
                path = *std::move(mounted);
            else
                done = std::unexpected{std::move(mounted).error()};
        } else if (volume.hostPath)
            done = check_host_path(path, volume.hostPath->type);
        else if (volume.emptyDir)
            done = make_empty_dir(path, volume, facts.source.pod);
        else if (has_payload(volume))
            done = make_payload(path, volume, facts);
        else
            done = fail(Reason::Invalid, "volumes of this kind are not supported yet");
        if (!done) {
            return fail(done.error().reason, concat("MountVolume.SetUp failed for volume \"",
                                                    volume.name, "\" : ", done.error().message));
        }
        paths[volume.name] = path;
    }
    return paths;
}

Result<> refresh_volumes(const PodFolder& folder, const VolumeFacts& facts) {
    for (const auto& volume : facts.source.pod.spec.volumes) {
        if (has_payload(volume)) TRY_OK(make_payload(folder.volume(volume), volume, facts));
    }
    return {};
}

Result<> remove_pod_folder(const PodFolder& folder) {
    if (!file_exists(folder.path())) return {};
    unmount_below(folder.path());
    return remove_tree(folder.path());
}

}   // namespace skiff::agent
