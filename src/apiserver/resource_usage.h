// What nodes and containers use, out of two measurements of a node's /metrics/resource. Pure.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/time.h"
#include "codec/json.h"

namespace skiff::apiserver {

struct UsageCounter {
    WallTime at;
    std::optional<double> cpu_seconds;   // since the beginning of what is measured
    std::optional<double> memory_bytes;
};

// One measurement of a node. Keys: "namespace/pod", then the container's name.
struct UsageSample {
    UsageCounter node;
    std::map<std::string, std::map<std::string, UsageCounter>, std::less<>> pods;
};
// Prometheus' text form; what is not understood is left out. `now` stands for absent times.
UsageSample parse_resource_metrics(std::string_view text, WallTime now);

struct Usage {
    WallTime at;
    Duration window{};
    int64_t cpu_nanocores = 0;
    int64_t memory_bytes = 0;
};
// Absent when one of them was not measured twice, or began anew in between.
std::optional<Usage> usage_between(const UsageCounter& before, const UsageCounter& after);

struct PodUsage {
    WallTime at;
    Duration window{};
    std::map<std::string, Usage> containers;
};
struct NodeUsage {
    std::optional<Usage> node;
    std::map<std::string, PodUsage, std::less<>> pods;   // those measured whole
    bool complete = true;   // everything in the later sample has a figure
};
NodeUsage usage_between(const UsageSample& before, const UsageSample& after);

// {"timestamp":…,"window":…,"usage":{…}} and {"timestamp":…,"window":…,"containers":[…]}
codec::Json node_metrics(const Usage& usage, codec::Arena& arena);
codec::Json pod_metrics(const PodUsage& usage, codec::Arena& arena);

}   // namespace skiff::apiserver
