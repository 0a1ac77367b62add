// Requests and limits as the kernel knows them: quality of service, shares, quotas, the cgroups of
// pods and what a container's own get. Pure; cgroups.h writes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "agent/cri_config.h"
#include "agent/pod_types.h"

namespace skiff::agent {

// Guaranteed, Burstable or BestEffort, by Kubernetes' rules.
std::string_view qos_class(const PodSpec& spec);

// What the pod may use as a whole, its containers together.
struct PodResources {
    int64_t cpu_request_milli = 0;
    std::optional<int64_t> cpu_limit_milli;   // absent: some container has none
    std::optional<int64_t> memory_limit_bytes;
};
PodResources pod_resources(const PodSpec& spec);

// The kernel's numbers.
int64_t cpu_shares_of(int64_t milli);    // cgroup v1's; at least 2
int64_t cpu_quota_of(int64_t milli);     // microseconds in a period of 100 ms; at least 1 ms
int64_t cpu_weight_of(int64_t shares);   // cgroup v2's, as runc maps it
inline constexpr int64_t cpu_period_microseconds = 100'000;

// oom_score_adj by class and share of the machine's memory.
int64_t oom_score_adjust(const PodSpec& spec, const Container& container,
                         int64_t machine_memory_bytes);

cri::LinuxContainerResources container_resources(const PodSpec& spec, const Container& container,
                                                 int64_t machine_memory_bytes);

// "/skiff-abc123/burstable/pod<uid>", relative to each hierarchy's root.
std::string pods_cgroup(std::string_view cluster_id);
std::string qos_cgroup(std::string_view cluster_id, std::string_view qos);
std::string pod_cgroup(std::string_view cluster_id, const Pod& pod);

}   // namespace skiff::agent
