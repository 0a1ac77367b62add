// Volumes behind claims: which one a pod's claim leads to, and how it is put in place.
#pragma once

#include <map>
#include <string>

#include "agent/pod_types.h"
#include "agent/storage.h"
#include "base/result.h"

namespace skiff::agent {

// By the name of the pod's volume.
using ClaimVolumes = std::map<std::string, view::PersistentVolume>;

// The claim that a volume of the pod stands for; "" for other kinds of volumes.
std::string claim_name_of(const Pod& pod, const Volume& volume);

// Whether the claim's volume may be mounted here. Kubelet's words.
Result<> check_claim(const view::PersistentVolumeClaim& claim,
                     const view::PersistentVolume& volume);

// The path of the volume on this node; `mount_folder` for one that is mounted first.
Result<std::string> mount_claim(const view::PersistentVolume& volume,
                                const std::string& mount_folder);

}   // namespace skiff::agent
