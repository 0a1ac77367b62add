// Puts a pod's volumes in place below --root, keeps those made of configuration current, and takes
// everything away again.
#pragma once

#include <map>
#include <string>

#include "agent/volumes/claims.h"
#include "agent/volumes/payload.h"
#include "base/result.h"
#include "base/time.h"

namespace skiff::agent {

struct VolumeFacts {
    const FieldSource& source;
    const ConfigValues& values;
    const Tokens& tokens;
    WallTime now{};
    ClaimVolumes claims{};   // of every volume that is a claim
};

// Where pods' files lie: <root>/agent/pods/<uid>.
class PodFolder {
  public:
    PodFolder(const std::string& root, std::string_view uid);
    const std::string& path() const { return path_; }
    std::string volume(const Volume& volume) const;
    std::string subpath(std::string_view volume, std::string_view container, size_t index) const;
    std::string hosts() const { return path_ + "/etc-hosts"; }
    std::string message_file(std::string_view container, unsigned restart_count) const;

  private:
    std::string path_;
};

// Names to host paths. Fails with `FailedMount`'s message of the first volume that cannot be made.
Result<std::map<std::string, std::string>> mount_volumes(const PodFolder& folder,
                                                         const VolumeFacts& facts);

// Rewrites what changed in the volumes that are made of configuration.
Result<> refresh_volumes(const PodFolder& folder, const VolumeFacts& facts);

// Unmounts and removes everything of the pod.
Result<> remove_pod_folder(const PodFolder& folder);

// hostPath's type checks and creations.
Result<> check_host_path(const std::string& path, std::string_view type);

}   // namespace skiff::agent
