#include "agent/stats.h"

#include <map>

#include "agent/pod_record.h"
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
        text(object, "time", rfc3339(WallTime{std::chrono::nanoseconds{nanoseconds}}));
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

}   // namespace

std::string stats_summary(const std::string& node,
                          const std::vector<cri::ContainerStats>& containers, WallTime now) {
    Arena arena;
    Writer writer{arena};
    std::map<std::string, std::vector<const cri::ContainerStats*>> by_pod;
    for (const auto& stats : containers) by_pod[label_of(stats, label_pod_uid)].push_back(&stats);
    Json pods = Json::array();
    for (const auto& [uid, list] : by_pod) {
        Json pod = Json::object();
        Json& reference = pod.make_object(arena, "podRef");
        writer.text(reference, "name", label_of(*list.front(), label_pod_name));
        writer.text(reference, "namespace", label_of(*list.front(), label_pod_namespace));
        writer.text(reference, "uid", uid);
        Json all = Json::array();
        for (const auto* stats : list) all.push(arena, writer.container(*stats));
        pod.set(arena, "containers", all);
        pods.push(arena, pod);
    }
    Json out = Json::object();
    Json& own = out.make_object(arena, "node");
    writer.text(own, "nodeName", node);
    writer.text(own, "startTime", rfc3339(now));
    out.set(arena, "pods", pods);
    return codec::to_json(out);
}

}   // namespace skiff::agent
