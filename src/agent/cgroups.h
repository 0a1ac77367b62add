// Makes and removes the cgroups that hold a pod's containers together, on both versions of the
// kernel's interface. Containers' own cgroups below them are the runtime's.
#pragma once

#include <string>
#include <vector>

#include "agent/resources.h"
#include "base/result.h"

namespace skiff::agent {

enum class CgroupVersion { One, Two };

struct CgroupWrite {
    std::string file;   // below the mount: "cpu/skiff-x/burstable/podY/cpu.shares"
    std::string value;
};
// Folders to make, then files to write, for one pod; pure.
struct CgroupPlan {
    std::vector<std::string> folders;
    std::vector<CgroupWrite> writes;
};
CgroupPlan plan_pod_cgroup(CgroupVersion version, const std::string& path,
                           const PodResources& resources);

class Cgroups {
  public:
    explicit Cgroups(std::string mount = "/sys/fs/cgroup");
    CgroupVersion version() const { return version_; }
    Result<> make(const std::string& path, const PodResources& resources) const;
    void remove(const std::string& path) const;   // with what is empty below it

  private:
    std::string mount_;
    CgroupVersion version_;
};

}   // namespace skiff::agent
