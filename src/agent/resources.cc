#include "agent/resources.h"

#include <algorithm>

#include "base/text.h"

namespace skiff::agent {

namespace {

constexpr int64_t oom_guaranteed = -997;
constexpr int64_t oom_best_effort = 1000;

const api::Quantity* positive(const api::ResourceList& list, std::string_view name) {
    const auto* found = list.find(name);
    return found && found->value() > 0 ? found : nullptr;
}

// A limit without a request is the request too (the API defaults it; manifests on disk do not).
const api::Quantity* request_of(const Container& container, std::string_view name) {
    const auto* request = positive(container.resources.requests, name);
    return request ? request : positive(container.resources.limits, name);
}

}   // namespace

std::string_view qos_class(const PodSpec& spec) {
    bool any = false;
    bool guaranteed = true;
    for (const auto* list : {&spec.containers, &spec.initContainers}) {
        for (const auto& container : *list) {
            for (const std::string_view name : {"cpu", "memory"}) {
                const auto* limit = positive(container.resources.limits, name);
                const auto* request = request_of(container, name);
                any |= limit || request;
                guaranteed &= limit && request && *limit == *request;
            }
        }
    }
    if (!any) return "BestEffort";
    return guaranteed ? "Guaranteed" : "Burstable";
}

PodResources pod_resources(const PodSpec& spec) {
    // Sidecars run beside the containers; an init container runs alone, beside the sidecars that
    // were started before it.
    struct Sum {
        int64_t request = 0;
        int64_t limit = 0;
        bool limited = true;
    };
    const auto sum_of = [&](std::string_view name, auto&& value) {
        Sum running, most;
        const auto add = [&](Sum& sum, const Container& container) {
            const auto* limit = positive(container.resources.limits, name);
            const auto* request = request_of(container, name);
            sum.request += request ? value(*request) : 0;
            sum.limit += limit ? value(*limit) : 0;
            sum.limited &= limit != nullptr;
        };
        for (const auto& container : spec.initContainers) {
            Sum now = running;
            add(now, container);
            if (is_sidecar(container)) running = now;
            most.request = std::max(most.request, now.request);
            most.limit = std::max(most.limit, now.limit);
            most.limited &= now.limited;
        }
        for (const auto& container : spec.containers) add(running, container);
        return Sum{std::max(running.request, most.request), std::max(running.limit, most.limit),
                   running.limited && most.limited};
    };
    const auto cpu = sum_of("cpu", [](const api::Quantity& q) { return q.milli_value(); });
    const auto memory = sum_of("memory", [](const api::Quantity& q) { return q.value(); });
    PodResources out{.cpu_request_milli = cpu.request};
    if (cpu.limited && cpu.limit > 0) out.cpu_limit_milli = cpu.limit;
    if (memory.limited && memory.limit > 0) out.memory_limit_bytes = memory.limit;
    if (const auto* overhead = positive(spec.overhead, "cpu")) {
        out.cpu_request_milli += overhead->milli_value();
        if (out.cpu_limit_milli) *out.cpu_limit_milli += overhead->milli_value();
    }
    if (const auto* overhead = positive(spec.overhead, "memory");
        overhead && out.memory_limit_bytes) {
        *out.memory_limit_bytes += overhead->value();
    }
    return out;
}

int64_t cpu_shares_of(int64_t milli) { return std::clamp<int64_t>(milli * 1024 / 1000, 2, 262144); }

int64_t cpu_quota_of(int64_t milli) {
    return std::max<int64_t>(milli * cpu_period_microseconds / 1000, 1000);
}

int64_t cpu_weight_of(int64_t shares) {
    return 1 + (std::max<int64_t>(shares, 2) - 2) * 9999 / 262142;
}

int64_t oom_score_adjust(const PodSpec& spec, const Container& container,
                         int64_t machine_memory_bytes) {
    const auto qos = qos_class(spec);
    if (qos == "Guaranteed") return oom_guaranteed;
    if (qos == "BestEffort") return oom_best_effort;
    const auto* memory = request_of(container, "memory");
    const int64_t request = memory ? memory->value() : 0;
    const double share = static_cast<double>(request) /
                         static_cast<double>(std::max<int64_t>(machine_memory_bytes, 1));
    const auto score = 1000 - static_cast<int64_t>(1000 * share);
    return std::clamp<int64_t>(score, 1000 + oom_guaranteed, oom_best_effort - 1);
}

cri::LinuxContainerResources container_resources(const PodSpec& spec, const Container& container,
                                                 int64_t machine_memory_bytes) {
    cri::LinuxContainerResources out;
    const auto* cpu = request_of(container, "cpu");
    out.cpu_shares = cpu_shares_of(cpu ? cpu->milli_value() : 0);
    if (const auto* limit = positive(container.resources.limits, "cpu")) {
        out.cpu_quota = cpu_quota_of(limit->milli_value());
        out.cpu_period = cpu_period_microseconds;
    }
    if (const auto* limit = positive(container.resources.limits, "memory")) {
        out.memory_limit_in_bytes = limit->value();
    }
    out.oom_score_adj = oom_score_adjust(spec, container, machine_memory_bytes);
    return out;
}

std::string pods_cgroup(std::string_view cluster_id) { return concat("/skiff-", cluster_id); }

std::string qos_cgroup(std::string_view cluster_id, std::string_view qos) {
    return qos == "Guaranteed" ? pods_cgroup(cluster_id)
                               : concat(pods_cgroup(cluster_id), "/", lower(qos));
}

std::string pod_cgroup(std::string_view cluster_id, const Pod& pod) {
    return concat(qos_cgroup(cluster_id, qos_class(pod.spec)), "/pod", pod.metadata.uid);
}

}   // namespace skiff::agent
