#include "apiserver/resource_usage.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "base/text.h"

namespace skiff::apiserver {
namespace {

using codec::Arena;
using codec::Json;

// One line: name{label="value",…} number [milliseconds]
struct Line {
    std::string_view name;
    std::string_view labels;
    double value = 0;
    std::optional<WallTime> at;

    std::string label(std::string_view key) const {
        for (const auto part : split(labels, ',')) {
            const auto [found, quoted] = cut(part, '=');
            if (found == key && quoted && quoted->size() >= 2)
                return std::string{quoted->substr(1, quoted->size() - 2)};
        }
        return {};
    }
};

std::optional<Line> parsed_line(std::string_view text) {
    if (text.empty() || text.front() == '#') return std::nullopt;
    Line line;
    const auto name_end = text.find_first_of("{ ");
    if (name_end == text.npos) return std::nullopt;
    line.name = text.substr(0, name_end);
    auto rest = text.substr(name_end);
    if (rest.front() == '{') {
        const auto end = rest.find('}');
        if (end == rest.npos) return std::nullopt;
        line.labels = rest.substr(1, end - 1);
        rest = rest.substr(end + 1);
    }
    const auto [number, time] = cut(trim(rest), ' ');
    const auto parsed = std::from_chars(number.data(), number.data() + number.size(), line.value);
    if (parsed.ec != std::errc{} || !std::isfinite(line.value)) return std::nullopt;
    if (const auto milliseconds = parse_number<int64_t>(trim(time.value_or(""))))
        line.at = WallTime{std::chrono::milliseconds{*milliseconds}};
    return line;
}

void take_cpu(UsageCounter& counter, const Line& line, WallTime now) {
    counter.cpu_seconds = line.value;
    counter.at = line.at.value_or(now);
}

Json usage_object(const Usage& usage, Arena& arena) {
    auto out = Json::object();
    out.set(arena, "cpu", Json::string(arena, concat(usage.cpu_nanocores, "n")));
    out.set(arena, "memory", Json::string(arena, concat(usage.memory_bytes / 1024, "Ki")));
    return out;
}

// As Go writes durations of some seconds: "15.012s".
std::string seconds_text(Duration duration) {
    const auto milliseconds =
        std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
    auto fraction = concat(milliseconds % 1000);
    fraction.insert(0, 3 - fraction.size(), '0');
    while (!fraction.empty() && fraction.back() == '0') fraction.pop_back();
    return concat(milliseconds / 1000, fraction.empty() ? "" : ".", fraction, "s");
}

}   // namespace

UsageSample parse_resource_metrics(std::string_view text, WallTime now) {
    UsageSample sample;
    const auto container = [&](const Line& line) -> UsageCounter& {
        return sample
            .pods[concat(line.label("namespace"), "/", line.label("pod"))][line.label("container")];
    };
    for (const auto piece : split(text, '\n')) {
        const auto line = parsed_line(trim(piece));
        if (!line) continue;
        if (line->name == "node_cpu_usage_seconds_total")
            take_cpu(sample.node, *line, now);
        else if (line->name == "node_memory_working_set_bytes")
            sample.node.memory_bytes = line->value;
        else if (line->name == "container_cpu_usage_seconds_total")
            take_cpu(container(*line), *line, now);
        else if (line->name == "container_memory_working_set_bytes")
            container(*line).memory_bytes = line->value;
    }
    return sample;
}

std::optional<Usage> usage_between(const UsageCounter& before, const UsageCounter& after) {
    if (!before.cpu_seconds || !after.cpu_seconds || !after.memory_bytes) return std::nullopt;
    const Duration window = after.at - before.at;
    if (window <= Duration::zero() || *after.cpu_seconds < *before.cpu_seconds) return std::nullopt;
    const double seconds = std::chrono::duration<double>{window}.count();
    const double cores = (*after.cpu_seconds - *before.cpu_seconds) / seconds;
    return Usage{.at = after.at,
                 .window = window,
                 .cpu_nanocores = static_cast<int64_t>(cores * 1e9),
                 .memory_bytes = static_cast<int64_t>(*after.memory_bytes)};
}

NodeUsage usage_between(const UsageSample& before, const UsageSample& after) {
    NodeUsage out;
    out.node = usage_between(before.node, after.node);
    out.complete = out.node.has_value();
    static const std::map<std::string, UsageCounter> none;
    for (const auto& [name, containers] : after.pods) {
        const auto known = before.pods.find(name);
        const auto& earlier = known == before.pods.end() ? none : known->second;
        PodUsage pod;
        bool whole = true;
        for (const auto& [container, counter] : containers) {
            const auto base = earlier.find(container);
            const auto usage =
                base == earlier.end() ? std::nullopt : usage_between(base->second, counter);
            if (!usage) {
                whole = false;
                break;
            }
            pod.at = std::max(pod.at, usage->at);
            pod.window = std::max(pod.window, usage->window);
            pod.containers.emplace(container, *usage);
        }
        if (whole)
            out.pods.emplace(name, std::move(pod));
        else
            out.complete = false;
    }
    return out;
}

Json node_metrics(const Usage& usage, Arena& arena) {
    auto out = Json::object();
    out.set(arena, "timestamp", Json::string(arena, rfc3339(usage.at)));
    out.set(arena, "window", Json::string(arena, seconds_text(usage.window)));
    out.set(arena, "usage", usage_object(usage, arena));
    return out;
}

Json pod_metrics(const PodUsage& usage, Arena& arena) {
    auto out = Json::object();
    out.set(arena, "timestamp", Json::string(arena, rfc3339(usage.at)));
    out.set(arena, "window", Json::string(arena, seconds_text(usage.window)));
    auto containers = Json::array();
    for (const auto& [name, of] : usage.containers) {
        auto container = Json::object();
        container.set(arena, "name", Json::string(arena, name));
        container.set(arena, "usage", usage_object(of, arena));
        containers.push(arena, container);
    }
    out.set(arena, "containers", containers);
    return out;
}

}   // namespace skiff::apiserver
