// What the whole machine uses, from the kernel's own counters.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/time.h"

namespace skiff::agent {

struct NodeUsage {
    WallTime at;
    std::optional<uint64_t> cpu_nanoseconds;     // since the machine's start, all cores together
    std::optional<uint64_t> memory_bytes;        // all that is not free
    std::optional<uint64_t> working_set_bytes;   // without the page cache that is easily given up
    std::optional<uint64_t> available_bytes;
};

// Pure: the files' texts, "" for those that are not there. Of cgroup v1 cpuacct.usage, of v2
// cpu.stat, and else /proc/stat in ticks of 10 ms.
struct UsageTexts {
    std::string_view cpuacct_usage;
    std::string_view cpu_stat;
    std::string_view proc_stat;
    std::string_view meminfo;
};
NodeUsage node_usage(const UsageTexts& texts, WallTime at);

NodeUsage read_node_usage(WallTime at);   // this machine's

}   // namespace skiff::agent
