// The columns of pods. What STATUS says follows the order in which kubectl's users know it: the
// phase, then what init containers do, then what the others do, then that it is being deleted.
#include <algorithm>
#include <string>

#include "api/json_fields.h"
#include "api/printers_families.h"
#include "base/text.h"

namespace skiff::api {
namespace {

using codec::Arena;
using codec::Json;

struct PodSummary {
    std::string status;
    size_t ready = 0;
    size_t total = 0;
    int64_t restarts = 0;
    std::string_view last_restart;   // RFC 3339 in one form, so it compares as text
};

bool has_condition(const Json& pod, std::string_view type, std::string_view status) {
    return std::ranges::any_of(field(pod, "status", "conditions").items(), [&](const Json& c) {
        return text_of(c, "type") == type && text_of(c, "status") == status;
    });
}

bool is_gated(const Json& pod) {
    return std::ranges::any_of(field(pod, "status", "conditions").items(), [](const Json& c) {
        return text_of(c, "type") == "PodScheduled" && text_of(c, "reason") == "SchedulingGated";
    });
}

bool is_sidecar(const Json& pod, std::string_view name) {
    return std::ranges::any_of(field(pod, "spec", "initContainers").items(), [&](const Json& c) {
        return text_of(c, "name") == name && text_of(c, "restartPolicy") == "Always";
    });
}

// How a container ended, if nobody gave a reason.
std::string end_of(const Json& terminated) {
    if (const auto reason = text_of(terminated, "reason"); !reason.empty())
        return std::string{reason};
    if (const int64_t signal = int_or(field(terminated, "signal"), 0); signal != 0)
        return concat("Signal:", signal);
    return concat("ExitCode:", int_or(field(terminated, "exitCode"), 0));
}

struct Restarts {
    int64_t count = 0;
    std::string_view last;

    void add(const Json& status) {
        count += int_or(field(status, "restartCount"), 0);
        last = std::max(last, text_of(status, "lastState", "terminated", "finishedAt"));
    }
};

// Whether the container holds the pod back, and what to say then.
bool is_initializing(const Json& status, size_t index, size_t count, std::string& reason) {
    const Json& terminated = field(status, "state", "terminated");
    const auto waiting = text_of(status, "state", "waiting", "reason");
    if (present(terminated))
        reason = "Init:" + end_of(terminated);
    else if (!waiting.empty() && waiting != "PodInitializing")
        reason = concat("Init:", waiting);
    else
        reason = concat("Init:", index, "/", count);
    return true;
}

// True while an init container is not done.
bool summarize_init(const Json& pod, PodSummary& summary, Restarts& all, Restarts& sidecars) {
    const auto statuses = field(pod, "status", "initContainerStatuses").items();
    const size_t count = field(pod, "spec", "initContainers").size();
    for (size_t i = 0; i < statuses.size(); ++i) {
        const Json& status = statuses[i];
        const bool sidecar = is_sidecar(pod, text_of(status, "name"));
        all.add(status);
        if (sidecar) sidecars.add(status);
        const Json& terminated = field(status, "state", "terminated");
        if (present(terminated) && int_or(field(terminated, "exitCode"), 0) == 0) continue;
        if (sidecar && truth(field(status, "started"))) {
            summary.ready += truth(field(status, "ready"));
            continue;
        }
        return is_initializing(status, i, count, summary.status);
    }
    return false;
}

void summarize_containers(const Json& pod, PodSummary& summary, Restarts& restarts) {
    const auto statuses = field(pod, "status", "containerStatuses").items();
    bool running = false;
    for (size_t i = statuses.size(); i-- > 0;) {
        const Json& status = statuses[i];
        restarts.add(status);
        const auto waiting = text_of(status, "state", "waiting", "reason");
        const Json& terminated = field(status, "state", "terminated");
        if (!waiting.empty()) {
            summary.status = waiting;
        } else if (present(terminated)) {
            summary.status = end_of(terminated);
        } else if (truth(field(status, "ready")) && present(field(status, "state", "running"))) {
            running = true;
            ++summary.ready;
        }
    }
    if (summary.status == "Completed" && running)
        summary.status = has_condition(pod, "Ready", "True") ? "Running" : "NotReady";
}

PodSummary summarize(const Json& pod) {
    PodSummary summary;
    const auto phase = text_of(pod, "status", "phase");
    const auto reason = text_of(pod, "status", "reason");
    summary.status = reason.empty() ? phase : reason;
    if (is_gated(pod)) summary.status = "SchedulingGated";
    summary.total = field(pod, "spec", "containers").size();
    for (const Json& container : field(pod, "spec", "initContainers").items())
        summary.total += text_of(container, "restartPolicy") == "Always";
    Restarts all;
    Restarts sidecars;
    const bool initializing = summarize_init(pod, summary, all, sidecars);
    if (!initializing || has_condition(pod, "Initialized", "True")) {
        all = sidecars;
        summarize_containers(pod, summary, all);
    }
    summary.restarts = all.count;
    summary.last_restart = all.last;
    if (present(field(pod, "metadata", "deletionTimestamp"))) {
        if (reason == "NodeLost")
            summary.status = "Unknown";
        else if (phase != "Succeeded" && phase != "Failed")
            summary.status = "Terminating";
    }
    return summary;
}

Json pod_ready(const Json& pod, WallTime, Arena& arena) {
    const PodSummary summary = summarize(pod);
    return Json::string(arena, concat(summary.ready, "/", summary.total));
}

Json pod_status(const Json& pod, WallTime, Arena& arena) {
    return Json::string(arena, summarize(pod).status);
}

Json pod_restarts(const Json& pod, WallTime now, Arena& arena) {
    const PodSummary summary = summarize(pod);
    std::string text = concat(summary.restarts);
    if (summary.restarts != 0 && !summary.last_restart.empty())
        append(text, " (", age_of(summary.last_restart, now), " ago)");
    return Json::string(arena, text);
}

Json pod_ip(const Json& pod, WallTime, Arena&) {
    const auto addresses = field(pod, "status", "podIPs").items();
    const auto first = addresses.empty() ? std::string_view{} : text_of(addresses[0], "ip");
    return text_or_none(first.empty() ? text_of(pod, "status", "podIP") : first);
}

Json pod_node(const Json& pod, WallTime, Arena&) {
    return text_or_none(text_of(pod, "spec", "nodeName"));
}

Json pod_nominated_node(const Json& pod, WallTime, Arena&) {
    return text_or_none(text_of(pod, "status", "nominatedNodeName"));
}

Json pod_readiness_gates(const Json& pod, WallTime, Arena& arena) {
    const auto gates = field(pod, "spec", "readinessGates").items();
    if (gates.empty()) return text_or_none({});
    const auto passed = std::ranges::count_if(gates, [&](const Json& gate) {
        return has_condition(pod, text_of(gate, "conditionType"), "True");
    });
    return Json::string(arena, concat(passed, "/", gates.size()));
}

constexpr NamedPrinter printers[] = {
    {"pod_ip", pod_ip},
    {"pod_node", pod_node},
    {"pod_nominated_node", pod_nominated_node},
    {"pod_readiness_gates", pod_readiness_gates},
    {"pod_ready", pod_ready},
    {"pod_restarts", pod_restarts},
    {"pod_status", pod_status},
};

}   // namespace

std::span<const NamedPrinter> pod_printers() { return printers; }

}   // namespace skiff::api
