#include "agent/cgroups.h"

#include <filesystem>
#include <ranges>

#include <unistd.h>

#include "base/os.h"
#include "base/text.h"

namespace skiff::agent {

namespace {

// "/a/b/c" gives "/a", "/a/b", "/a/b/c".
std::vector<std::string> parents_and_self(const std::string& path) {
    std::vector<std::string> out;
    for (size_t slash = path.find('/', 1); slash != std::string::npos;
         slash = path.find('/', slash + 1)) {
        out.push_back(path.substr(0, slash));
    }
    out.push_back(path);
    return out;
}

// Each controller by itself: one that the kernel lacks would make the kernel refuse them all.
void hand_on(const std::string& below, CgroupPlan& plan) {
    for (const char* controller : {"+cpu", "+memory", "+pids"})
        plan.writes.push_back({below + "cgroup.subtree_control", controller});
}

void remove_folder_tree(const std::filesystem::path& folder) {
    std::error_code problem;
    for (std::filesystem::directory_iterator it{folder, problem}, end; !problem && it != end;
         it.increment(problem)) {
        if (it->is_directory(problem)) remove_folder_tree(it->path());
    }
    ::rmdir(folder.c_str());   // a cgroup with processes stays; so does what was never there
}

}   // namespace

CgroupPlan plan_pod_cgroup(CgroupVersion version, const std::string& path,
                           const PodResources& resources) {
    CgroupPlan plan;
    const int64_t shares = cpu_shares_of(resources.cpu_request_milli);
    const auto quota =
        resources.cpu_limit_milli ? concat(cpu_quota_of(*resources.cpu_limit_milli)) : "";
    if (version == CgroupVersion::Two) {
        // A cgroup hands controllers on to its children only when told to, from the top down.
        const auto folders = parents_and_self(path);
        hand_on("", plan);
        for (const auto& folder : folders) {
            plan.folders.push_back(folder.substr(1));
            hand_on(folder.substr(1) + "/", plan);
        }
        const std::string own = path.substr(1);
        plan.writes.push_back({own + "/cpu.weight", concat(cpu_weight_of(shares))});
        if (!quota.empty()) {
            plan.writes.push_back({own + "/cpu.max", concat(quota, " ", cpu_period_microseconds)});
        }
        if (resources.memory_limit_bytes) {
            plan.writes.push_back({own + "/memory.max", concat(*resources.memory_limit_bytes)});
        }
        return plan;
    }
    for (const auto& folder : parents_and_self(path)) {
        plan.folders.push_back("cpu" + folder);
        plan.folders.push_back("memory" + folder);
    }
    plan.writes.push_back({concat("cpu", path, "/cpu.shares"), concat(shares)});
    if (!quota.empty()) {
        plan.writes.push_back(
            {concat("cpu", path, "/cpu.cfs_period_us"), concat(cpu_period_microseconds)});
        plan.writes.push_back({concat("cpu", path, "/cpu.cfs_quota_us"), quota});
    }
    if (resources.memory_limit_bytes) {
        plan.writes.push_back({concat("memory", path, "/memory.limit_in_bytes"),
                               concat(*resources.memory_limit_bytes)});
    }
    return plan;
}

Cgroups::Cgroups(std::string mount) : mount_{std::move(mount)} {
    version_ =
        file_exists(mount_ + "/cgroup.controllers") ? CgroupVersion::Two : CgroupVersion::One;
}

Result<> Cgroups::make(const std::string& path, const PodResources& resources) const {
    const auto plan = plan_pod_cgroup(version_, path, resources);
    for (const auto& folder : plan.folders) TRY_OK(make_directories(concat(mount_, "/", folder)));
    for (const auto& write : plan.writes) {
        auto done = write_file(concat(mount_, "/", write.file), write.value);
        // Handing on fails in a container's cgroup namespace or where a controller is missing; the
        // limits themselves are then what fails.
        if (!done && !write.file.ends_with("cgroup.subtree_control")) {
            return std::unexpected{std::move(done).error().in("cgroup of the pod")};
        }
    }
    return {};
}

void Cgroups::remove(const std::string& path) const {
    if (version_ == CgroupVersion::Two) return remove_folder_tree(mount_ + path);
    std::error_code problem;
    for (std::filesystem::directory_iterator it{mount_, problem}, end; !problem && it != end;
         it.increment(problem)) {
        if (!it->is_symlink(problem)) remove_folder_tree(it->path().string() + path);
    }
}

}   // namespace skiff::agent
