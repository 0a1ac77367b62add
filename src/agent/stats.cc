#include "agent/stats.h"

#include <algorithm>
#include <map>

#include "agent/pod_record.h"
#include "base/text.h"
#include "codec/json.h"

namespace skiff::agent {

namespace {

using codec::Arena;
using codec::Json;

std::string label_of(const cri::ContainerStats& stats, const char* key) {
    const auto found = stats.attributes.labels.find(key);
    return found == stats.attributes.labels.end() ? std::string{} : found->second;
}

struct Writer {
    Arena& arena;
    void text(Json& object, std::string_view key, std::string_view value) {
        object.set(arena, key, Json::string(arena, value));
    }
    void number(Json& object, std::string_view key, const std::optional<uint64_t>& value) {
        if (value) object.set(arena, key, Json::unsigned_integer(*value));
    }
    void time(Json& object, int64_t nanoseconds) {
        text(object, "time", rfc3339_micro(WallTime{std::chrono::nanoseconds{nanoseconds}}));
    }
    Json container(const cri::ContainerStats& stats) {
        Json out = Json::object();
        text(out, "name", label_of(stats, label_container_name));
        if (stats.cpu) {
            Json& cpu = out.make_object(arena, "cpu");
            time(cpu, stats.cpu->timestamp);
            number(cpu, "usageNanoCores", stats.cpu->usage_nano_cores);
            number(cpu, "usageCoreNanoSeconds", stats.cpu->usage_core_nano_seconds);
        }
        if (stats.memory) {
            Json& memory = out.make_object(arena, "memory");
            time(memory, stats.memory->timestamp);
            number(memory, "availableBytes", stats.memory->available_bytes);
            number(memory, "usageBytes", stats.memory->usage_bytes);
            number(memory, "workingSetBytes", stats.memory->working_set_bytes);
            number(memory, "rssBytes", stats.memory->rss_bytes);
            number(memory, "pageFaults", stats.memory->page_faults);
            number(memory, "majorPageFaults", stats.memory->major_page_faults);
        }
        if (stats.writable_layer) {
            Json& rootfs = out.make_object(arena, "rootfs");
            time(rootfs, stats.writable_layer->timestamp);
            number(rootfs, "usedBytes", stats.writable_layer->used_bytes);
            number(rootfs, "inodesUsed", stats.writable_layer->inodes_used);
        }
        return out;
    }
};

// What the containers of a pod use together.
struct PodUsage {
    int64_t at = 0;   // the last measurement of any
    std::optional<uint64_t> cpu_nanoseconds;
    std::optional<uint64_t> working_set_bytes;
};

PodUsage usage_of(const std::vector<const cri::ContainerStats*>& containers) {
    PodUsage sum;
    const auto add = [](std::optional<uint64_t>& to, const std::optional<uint64_t>& more) {
        if (more) to = to.value_or(0) + *more;
    };
    for (const auto* stats : containers) {
        if (stats->cpu) {
            sum.at = std::max(sum.at, stats->cpu->timestamp);
            add(sum.cpu_nanoseconds, stats->cpu->usage_core_nano_seconds);
        }
        if (stats->memory) {
            sum.at = std::max(sum.at, stats->memory->timestamp);
            add(sum.working_set_bytes, stats->memory->working_set_bytes);
        }
    }
    return sum;
}

using ByPod = std::map<std::string, std::vector<const cri::ContainerStats*>>;

ByPod by_pod(const std::vector<cri::ContainerStats>& containers) {
    ByPod pods;
    for (const auto& stats : containers) pods[label_of(stats, label_pod_uid)].push_back(&stats);
    return pods;
}

void describe_node(Writer& writer, Json& node, const std::string& name, const NodeUsage& usage) {
    const auto at = usage.at.time_since_epoch().count();
    writer.text(node, "nodeName", name);
    if (usage.cpu_nanoseconds) {
        Json& cpu = node.make_object(writer.arena, "cpu");
        writer.time(cpu, at);
        writer.number(cpu, "usageCoreNanoSeconds", usage.cpu_nanoseconds);
    }
    if (usage.memory_bytes) {
        Json& memory = node.make_object(writer.arena, "memory");
        writer.time(memory, at);
        writer.number(memory, "availableBytes", usage.available_bytes);
        writer.number(memory, "usageBytes", usage.memory_bytes);
        writer.number(memory, "workingSetBytes", usage.working_set_bytes);
    }
}

// The Prometheus text of one metric after the other.
class Exposition {
  public:
    void family(std::string_view name, std::string_view type) {
        name_ = name;
        append(text_, "# TYPE ", name, " ", type, "\n");
    }
    void sample(std::string_view labels, std::string_view value, int64_t at_nanoseconds) {
        append(text_, name_, labels, " ", value);
        if (at_nanoseconds) append(text_, " ", at_nanoseconds / 1'000'000);
        text_ += '\n';
    }
    void bytes(std::string_view labels, const std::optional<uint64_t>& value, int64_t at) {
        if (value) sample(labels, std::to_string(*value), at);
    }
    void seconds(std::string_view labels, const std::optional<uint64_t>& nanoseconds, int64_t at) {
        if (!nanoseconds) return;
        const auto fraction = std::to_string(*nanoseconds % 1'000'000'000);
        sample(labels,
               concat(*nanoseconds / 1'000'000'000, ".", std::string(9 - fraction.size(), '0'),
                      fraction),
               at);
    }
    std::string take() { return std::move(text_); }

  private:
    std::string text_;
    std::string_view name_;
};

std::string pod_labels(const cri::ContainerStats& of) {
    return concat("namespace=\"", label_of(of, label_pod_namespace), "\",pod=\"",
                  label_of(of, label_pod_name), "\"}");
}

std::string container_labels(const cri::ContainerStats& of) {
    return concat("{container=\"", label_of(of, label_container_name), "\",", pod_labels(of));
}

}   // namespace

std::string resource_metrics(const std::vector<cri::ContainerStats>& containers,
                             const NodeUsage& usage) {
    Exposition out;
    const auto at = usage.at.time_since_epoch().count();
    const auto pods = by_pod(containers);
    out.family("container_cpu_usage_seconds_total", "counter");
    for (const auto& of : containers)
        if (of.cpu)
            out.seconds(container_labels(of), of.cpu->usage_core_nano_seconds, of.cpu->timestamp);
    out.family("container_memory_working_set_bytes", "gauge");
    for (const auto& of : containers)
        if (of.memory)
            out.bytes(container_labels(of), of.memory->working_set_bytes, of.memory->timestamp);
    out.family("node_cpu_usage_seconds_total", "counter");
    out.seconds("", usage.cpu_nanoseconds, at);
    out.family("node_memory_working_set_bytes", "gauge");
    out.bytes("", usage.working_set_bytes, at);
    out.family("pod_cpu_usage_seconds_total", "counter");
    for (const auto& [uid, of] : pods) {
        const auto sum = usage_of(of);
        out.seconds(concat("{", pod_labels(*of.front())), sum.cpu_nanoseconds, sum.at);
    }
    out.family("pod_memory_working_set_bytes", "gauge");
    for (const auto& [uid, of] : pods) {
        const auto sum = usage_of(of);
        out.bytes(concat("{", pod_labels(*of.front())), sum.working_set_bytes, sum.at);
    }
    out.family("resource_scrape_error", "gauge");
    out.sample("", "0", 0);
    return out.take();
}

std::string stats_summary(const std::string& node,
                          const std::vector<cri::ContainerStats>& containers,
                          const NodeUsage& usage) {
    Arena arena;
    Writer writer{arena};
    Json pods = Json::array();
    for (const auto& [uid, list] : by_pod(containers)) {
        Json pod = Json::object();
        Json& reference = pod.make_object(arena, "podRef");
        writer.text(reference, "name", label_of(*list.front(), label_pod_name));
        writer.text(reference, "namespace", label_of(*list.front(), label_pod_namespace));
        writer.text(reference, "uid", uid);
        Json all = Json::array();
        for (const auto* stats : list) all.push(arena, writer.container(*stats));
        pod.set(arena, "containers", all);
        const auto sum = usage_of(list);
        if (sum.cpu_nanoseconds) {
            Json& cpu = pod.make_object(arena, "cpu");
            writer.time(cpu, sum.at);
            writer.number(cpu, "usageCoreNanoSeconds", sum.cpu_nanoseconds);
        }
        if (sum.working_set_bytes) {
            Json& memory = pod.make_object(arena, "memory");
            writer.time(memory, sum.at);
            writer.number(memory, "workingSetBytes", sum.working_set_bytes);
        }
        pods.push(arena, pod);
    }
    Json out = Json::object();
    describe_node(writer, out.make_object(arena, "node"), node, usage);
    out.set(arena, "pods", pods);
    return codec::to_json(out);
}

}   // namespace skiff::agent
