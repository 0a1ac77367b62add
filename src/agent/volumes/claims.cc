#include "agent/volumes/claims.h"

#include <sys/stat.h>
#include <unistd.h>

#include "agent/local_path.h"
#include "agent/volumes/mounts.h"
#include "agent/volumes/volumes.h"
#include "api/volume_match.h"
#include "base/os.h"
#include "base/text.h"

namespace skiff::agent {

namespace {

// Any user of a container may write into a folder that was made for its claim.
Result<> make_for_everybody(const std::string& path) {
    if (file_exists(path)) return {};
    TRY_OK(make_directories(path));
    if (::chmod(path.c_str(), 0777) != 0) return fail_errno(concat("chmod ", path), errno);
    return {};
}

Result<std::string> host_path_of(const view::PersistentVolume& volume) {
    const auto& source = *volume.spec.hostPath;
    const auto* made_by = volume.metadata.annotations.find(api::provisioned_by);
    if (made_by && std::string_view{*made_by} == local_path_provisioner)
        TRY_OK(make_for_everybody(source.path));
    TRY_OK(check_host_path(source.path, source.type));
    if (!file_exists(source.path)) TRY_OK(make_directories(source.path));
    return std::string{source.path};
}

Result<std::string> nfs_path_of(const view::PersistentVolume& volume, const std::string& folder) {
    if (is_mount_point(folder)) return folder;
    if (!file_exists("/sbin/mount.nfs") && !file_exists("/usr/sbin/mount.nfs"))
        return fail(Reason::Invalid,
                    "this node cannot mount NFS: mount.nfs is not installed (Debian's package "
                    "nfs-common)");
    const auto& source = *volume.spec.nfs;
    TRY_OK(make_directories(folder));
    std::string options = source.readOnly ? "ro" : "rw";
    for (const auto& option : volume.spec.mountOptions)
        append(options, ",", std::string_view{option});
    TRY(const auto done, run_command({"mount", "-t", "nfs", "-o", options,
                                      concat(source.server, ":", source.path), folder}));
    if (done.exit_code != 0)
        return fail(Reason::InternalError,
                    concat("mount failed: exit status ", done.exit_code, ": ", trim(done.error)));
    return folder;
}

}   // namespace

std::string claim_name_of(const Pod& pod, const Volume& volume) {
    return api::claim_name(pod, volume);
}

Result<> check_claim(const view::PersistentVolumeClaim& claim,
                     const view::PersistentVolume& volume) {
    if (!volume.spec.claimRef || volume.spec.claimRef->uid != claim.metadata.uid)
        return fail(Reason::Invalid,
                    concat("error processing PVC ", claim.metadata.namespace_.view(), "/",
                           claim.metadata.name, ": PVC is not bound"));
    if (volume.spec.volumeMode == "Block")
        return fail(Reason::Invalid, concat("volume ", volume.metadata.name,
                                            " has volumeMode Block: raw block devices are not "
                                            "supported on this node"));
    return {};
}

Result<std::string> mount_claim(const view::PersistentVolume& volume,
                                const std::string& mount_folder) {
    if (volume.spec.hostPath) return host_path_of(volume);
    if (volume.spec.local) {
        const std::string path{volume.spec.local->path};
        if (!file_exists(path))
            return fail(Reason::NotFound, concat("path \"", path, "\" does not exist"));
        return path;
    }
    if (volume.spec.nfs) return nfs_path_of(volume, mount_folder);
    return fail(Reason::Invalid, concat("no volume plugin matched: volume ", volume.metadata.name,
                                        " is neither hostPath, local nor nfs"));
}

}   // namespace skiff::agent
