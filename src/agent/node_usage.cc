#include "agent/node_usage.h"

#include "base/os.h"
#include "base/text.h"

namespace skiff::agent {

namespace {

// The number behind `key` at the beginning of a line.
std::optional<uint64_t> number_after(std::string_view text, std::string_view key) {
    for (const auto line : split(text, '\n')) {
        if (!line.starts_with(key)) continue;
        auto rest = trim(line.substr(key.size()));
        return parse_number<uint64_t>(rest.substr(0, rest.find(' ')));
    }
    return std::nullopt;
}

// "cpu  user nice system idle iowait irq softirq steal guest guest_nice", in ticks; guests' time is
// in user's already.
std::optional<uint64_t> busy_nanoseconds(std::string_view proc_stat) {
    constexpr uint64_t nanoseconds_a_tick = 10'000'000;
    for (const auto line : split(proc_stat, '\n')) {
        if (!line.starts_with("cpu ")) continue;
        uint64_t ticks = 0;
        size_t column = 0;
        for (const auto word : split(trim(line.substr(4)), ' ')) {
            const bool idle = column == 3 || column == 4;
            if (column++ >= 8) break;
            if (!idle) ticks += parse_number<uint64_t>(word).value_or(0);
        }
        return ticks * nanoseconds_a_tick;
    }
    return std::nullopt;
}

std::optional<uint64_t> less(const std::optional<uint64_t>& whole, uint64_t part) {
    if (!whole) return std::nullopt;
    return *whole > part ? *whole - part : 0;
}

std::string text_of_file(const std::string& path) { return read_file(path).value_or(""); }

}   // namespace

NodeUsage node_usage(const UsageTexts& texts, WallTime at) {
    NodeUsage usage{.at = at};
    usage.cpu_nanoseconds = parse_number<uint64_t>(trim(texts.cpuacct_usage));
    if (!usage.cpu_nanoseconds)
        if (const auto microseconds = number_after(texts.cpu_stat, "usage_usec "))
            usage.cpu_nanoseconds = *microseconds * 1000;
    if (!usage.cpu_nanoseconds) usage.cpu_nanoseconds = busy_nanoseconds(texts.proc_stat);
    const auto kilobytes = [&](std::string_view key) -> std::optional<uint64_t> {
        const auto found = number_after(texts.meminfo, key);
        return found ? std::optional{*found * 1024} : std::nullopt;
    };
    const auto total = kilobytes("MemTotal:");
    usage.memory_bytes = less(total, kilobytes("MemFree:").value_or(0));
    usage.working_set_bytes = less(usage.memory_bytes, kilobytes("Inactive(file):").value_or(0));
    if (usage.working_set_bytes) usage.available_bytes = less(total, *usage.working_set_bytes);
    return usage;
}

NodeUsage read_node_usage(WallTime at) {
    const auto cpuacct = text_of_file("/sys/fs/cgroup/cpuacct/cpuacct.usage");
    const auto cpu_stat = text_of_file("/sys/fs/cgroup/cpu.stat");
    const auto proc_stat = text_of_file("/proc/stat");
    const auto meminfo = text_of_file("/proc/meminfo");
    return node_usage({.cpuacct_usage = cpuacct,
                       .cpu_stat = cpu_stat,
                       .proc_stat = proc_stat,
                       .meminfo = meminfo},
                      at);
}

}   // namespace skiff::agent
