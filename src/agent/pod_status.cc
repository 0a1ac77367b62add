#include "agent/pod_status.h"

#include <algorithm>

#include "agent/resources.h"
#include "base/text.h"
#include "codec/json.h"

namespace skiff::agent {

namespace {

using codec::Arena;
using codec::Json;

// One container's part of the status, before it becomes JSON.
struct ContainerView {
    std::string_view name;
    std::string_view image;   // the spec's
    const ContainerRecord* record = nullptr;
    const ContainerRecord* before = nullptr;
    std::optional<Waiting> waiting;   // set: it does not run, for this reason
    unsigned restart_count = 0;
    bool ready = false;
    bool started = false;

    bool running() const { return !waiting && record && record->running(); }
    bool terminated() const { return !waiting && record && record->ended(); }
    // Ended before and will be started again.
    bool stopped_before() const {
        return waiting && (record ? record->ended() : before != nullptr);
    }
};

struct Containers {
    std::vector<ContainerView> init;   // sidecars as well
    std::vector<ContainerView> main;
    std::vector<ContainerView> ephemeral;
};

template <class AnyContainer>
ContainerView view_of(const StatusFacts& facts, const AnyContainer& container,
                      const StatusMemory& memory, std::string_view idle_reason) {
    const auto& record = facts.pod.record;
    ContainerView view{
        .name = container.name, .image = container.image, .record = record.newest(container.name)};
    if (view.record && view.record->state == ContainerState::Created) {
        view.before = record.before(*view.record);
        view.restart_count = view.record->restart_count;
        view.record = nullptr;
        view.waiting = {std::string{idle_reason}, ""};
    } else if (view.record) {
        view.before = record.before(*view.record);
        view.restart_count = view.record->restart_count;
    } else {
        view.waiting = {std::string{idle_reason}, ""};
        const auto known = memory.restart_counts.find(container.name);
        if (known != memory.restart_counts.end()) view.restart_count = known->second;
    }
    const bool alive = view.record && view.record->running();
    const auto why = facts.plan.waiting.find(container.name);
    if (!alive && why != facts.plan.waiting.end()) {
        view.waiting = why->second;
    } else if (!alive && facts.plan.ending == Ending::No) {
        // While another try is under way the last failure is what there is to tell.
        const auto failed = facts.pod.failures.find(container.name);
        if (failed != facts.pod.failures.end()) {
            view.waiting = {failed->second.image ? "ImagePullBackOff" : failed->second.reason,
                            failed->second.message};
        }
    }
    if (view.running()) {
        const auto verdict = facts.pod.probes.find(view.record->id);
        const ProbeVerdict none;
        const auto& probes = verdict == facts.pod.probes.end() ? none : verdict->second;
        view.started = probes.started;
        view.ready = probes.started && probes.ready;
    }
    return view;
}

bool init_done(const ContainerView& view, bool sidecar) {
    if (sidecar) return view.started;
    return view.terminated() && view.record->exit_code == 0;
}

Containers containers_of(const StatusFacts& facts, const StatusMemory& memory) {
    const auto& spec = facts.pod.pod.spec;
    Containers all;
    for (const auto& container : spec.initContainers) {
        all.init.push_back(view_of(facts, container, memory, "PodInitializing"));
    }
    const bool initialized = is_initialized(facts);
    // Kubernetes' words: the first init container is being created, what comes later waits for it.
    const std::string_view idle = initialized ? "ContainerCreating" : "PodInitializing";
    for (const auto& container : spec.containers) {
        all.main.push_back(view_of(facts, container, memory, idle));
    }
    for (const auto& container : spec.ephemeralContainers) {
        all.ephemeral.push_back(view_of(facts, container, memory, "ContainerCreating"));
    }
    for (size_t i = 0; i < all.init.size(); ++i) {
        if (!is_sidecar(spec.initContainers[i])) all.init[i].ready = init_done(all.init[i], false);
    }
    return all;
}

struct Counts {
    int waiting = 0, running = 0, stopped = 0, succeeded = 0, unknown = 0;
    void add(const ContainerView& view) {
        if (view.running())
            ++running;
        else if (view.terminated() || view.stopped_before()) {
            ++stopped;
            const bool good = view.terminated() && view.record->exit_code == 0;
            succeeded += good ? 1 : 0;
        } else
            ++waiting;
    }
};

std::string phase_of(const StatusFacts& facts, const Containers& all, const StatusMemory& memory) {
    if (memory.phase == "Failed" || memory.phase == "Succeeded") return memory.phase;
    if (facts.plan.ending == Ending::Deadline) return "Failed";
    const auto& spec = facts.pod.pod.spec;
    const bool never = spec.restartPolicy == "Never";
    const bool on_failure = spec.restartPolicy == "OnFailure";
    bool initialising = false;
    bool sidecars_alive = false;
    for (size_t i = 0; i < all.init.size(); ++i) {
        const auto& view = all.init[i];
        if (is_sidecar(spec.initContainers[i])) {
            sidecars_alive |= view.running();
            initialising |= !view.started && !view.stopped_before();
            continue;
        }
        if (init_done(view, false)) continue;
        if (never && view.terminated()) return "Failed";
        initialising = true;
    }
    Counts counts;
    for (const auto& view : all.main) counts.add(view);
    // A deleted pod whose containers are all dead: the phase tells how they ended.
    if (facts.plan.ending == Ending::Deleted && facts.plan.stopped) {
        if (counts.stopped == 0) return initialising || counts.waiting > 0 ? "Failed" : "Succeeded";
        return counts.stopped == counts.succeeded ? "Succeeded" : "Failed";
    }
    const bool begun = counts.running + counts.stopped > 0;
    if (initialising && !begun) return "Pending";
    if (counts.waiting > 0) return "Pending";
    if (counts.running > 0) return "Running";
    if (counts.stopped > 0) {
        if (!never && !on_failure) return "Running";
        if (sidecars_alive && !facts.plan.stopped) return "Running";
        if (counts.stopped == counts.succeeded) return "Succeeded";
        return never ? "Failed" : "Running";
    }
    return "Pending";
}

std::string names_of(const std::vector<std::string_view>& names) {
    std::string out = "[";
    for (const auto name : names) append(out, out.size() == 1 ? "" : " ", name);
    return out + "]";
}

PodCondition initialized_condition(const StatusFacts& facts, const Containers& all,
                                   std::string_view phase) {
    const auto& spec = facts.pod.pod.spec;
    const bool main_begun = std::ranges::any_of(all.main, [](const ContainerView& view) {
        return view.running() || view.terminated() || view.stopped_before();
    });
    std::vector<std::string_view> incomplete;
    for (size_t i = 0; i < all.init.size(); ++i) {
        if (!init_done(all.init[i], is_sidecar(spec.initContainers[i]))) {
            incomplete.push_back(all.init[i].name);
        }
    }
    if (phase == "Succeeded")
        return {.type = "Initialized", .status = true, .reason = "PodCompleted"};
    if (incomplete.empty() || main_begun) return {.type = "Initialized", .status = true};
    return {.type = "Initialized",
            .reason = "ContainersNotInitialized",
            .message = concat("containers with incomplete status: ", names_of(incomplete))};
}

PodCondition containers_ready_condition(const StatusFacts& facts, const Containers& all,
                                        std::string_view phase) {
    const auto& spec = facts.pod.pod.spec;
    PodCondition condition{.type = "ContainersReady"};
    if (phase == "Succeeded")
        condition.reason = "PodCompleted";
    else if (phase == "Failed")
        condition.reason = "PodFailed";
    if (!condition.reason.empty()) return condition;
    std::vector<std::string_view> unready;
    for (size_t i = 0; i < all.init.size(); ++i) {
        if (is_sidecar(spec.initContainers[i]) && !all.init[i].ready)
            unready.push_back(all.init[i].name);
    }
    for (const auto& view : all.main) {
        if (!view.ready) unready.push_back(view.name);
    }
    condition.status = unready.empty();
    if (!unready.empty()) {
        condition.reason = "ContainersNotReady";
        condition.message = concat("containers with unready status: ", names_of(unready));
    }
    return condition;
}

PodCondition ready_condition(const Pod& pod, const PodCondition& containers) {
    PodCondition condition = containers;
    condition.type = "Ready";
    if (!containers.status) return condition;
    std::string missing;
    for (const auto& gate : pod.spec.readinessGates) {
        const auto found = std::ranges::find_if(pod.status.conditions, [&](const auto& known) {
            return known.type == gate.conditionType;
        });
        if (found != pod.status.conditions.end() && found->status == "True") continue;
        append(missing, missing.empty() ? "" : ", ",
               "corresponding condition of pod readiness gate \"", gate.conditionType, "\" ",
               found == pod.status.conditions.end() ? "does not exist." : "is not \"True\".");
    }
    if (missing.empty()) return condition;
    return {.type = "Ready", .reason = "ReadinessGatesNotReady", .message = missing};
}

std::vector<PodCondition> conditions_of(const StatusFacts& facts, const Containers& all,
                                        std::string_view phase, StatusMemory& memory) {
    const auto* sandbox = facts.pod.record.sandbox();
    std::vector<PodCondition> conditions{
        {.type = "PodReadyToStartContainers",
         .status = sandbox && sandbox->ready && !sandbox->stopped},
        initialized_condition(facts, all, phase),
    };
    const auto containers = containers_ready_condition(facts, all, phase);
    conditions.push_back(ready_condition(facts.pod.pod, containers));
    conditions.push_back(containers);
    const bool scheduled = std::ranges::any_of(
        facts.pod.pod.status.conditions,
        [](const auto& known) { return known.type == "PodScheduled" && known.status == "True"; });
    if (!scheduled) conditions.push_back({.type = "PodScheduled", .status = true});
    for (auto& condition : conditions) {
        const auto known = memory.conditions.find(condition.type);
        const bool same =
            known != memory.conditions.end() && known->second.status == condition.status;
        condition.since = same ? known->second.since : facts.pod.now;
        memory.conditions[condition.type] = condition;
    }
    return conditions;
}

// ---- JSON -------------------------------------------------------------------------------------

struct Writer {
    Arena& arena;

    Json text(std::string_view value) { return Json::string(arena, value); }
    Json time(WallTime value) { return value == WallTime{} ? Json{} : text(rfc3339(value)); }
    void set(Json& object, std::string_view key, Json value) {
        object.set_borrowed(arena, key, value);
    }
    void set_text(Json& object, std::string_view key, std::string_view value) {
        if (!value.empty()) set(object, key, text(value));
    }

    Json terminated(const ContainerRecord& record) {
        Json out = Json::object();
        set(out, "exitCode", Json::integer(record.exit_code));
        set_text(out, "reason",
                 !record.reason.empty() ? std::string_view{record.reason}
                                        : (record.exit_code == 0 ? "Completed" : "Error"));
        set_text(out, "message", record.message);
        set(out, "startedAt", time(record.started_at));
        set(out, "finishedAt", time(record.finished_at));
        set(out, "containerID", text("containerd://" + record.id));
        Json state = Json::object();
        set(state, "terminated", out);
        return state;
    }

    Json state(const ContainerView& view) {
        Json inner = Json::object();
        Json state = Json::object();
        if (view.waiting) {
            set_text(inner, "reason", view.waiting->reason);
            set_text(inner, "message", view.waiting->message);
            set(state, "waiting", inner);
        } else if (view.record->running()) {
            set(inner, "startedAt", time(view.record->started_at));
            set(state, "running", inner);
        } else {
            return terminated(*view.record);
        }
        return state;
    }

    Json container(const ContainerView& view) {
        Json out = Json::object();
        set(out, "name", text(view.name));
        set(out, "state", state(view));
        const bool failed_before = view.waiting && view.record && view.record->ended();
        const auto* last = failed_before ? view.record : view.before;
        set(out, "lastState", last ? terminated(*last) : Json::object());
        set(out, "ready", Json::boolean(view.ready));
        set(out, "restartCount", Json::integer(view.restart_count));
        const auto* shown = view.record ? view.record : view.before;
        set(out, "image",
            text(shown && !shown->image.empty() ? std::string_view{shown->image} : view.image));
        set(out, "imageID", text(shown ? std::string_view{shown->image_ref} : std::string_view{}));
        if (shown) set(out, "containerID", text("containerd://" + shown->id));
        set(out, "started", Json::boolean(view.started));
        return out;
    }

    Json list(const std::vector<ContainerView>& views) {
        Json out = Json::array();
        for (const auto& view : views) out.push(arena, container(view));
        return out;
    }

    Json conditions(const std::vector<PodCondition>& conditions) {
        Json out = Json::array();
        for (const auto& condition : conditions) {
            Json entry = Json::object();
            set(entry, "type", text(condition.type));
            set(entry, "status", text(condition.status ? "True" : "False"));
            set(entry, "lastProbeTime", Json{});
            set(entry, "lastTransitionTime", time(condition.since));
            // Null takes away what an earlier report said.
            set(entry, "reason", condition.reason.empty() ? Json{} : text(condition.reason));
            set(entry, "message", condition.message.empty() ? Json{} : text(condition.message));
            out.push(arena, entry);
        }
        return out;
    }

    // podIPs and hostIPs merge by address: only a replace directive takes an old one away.
    Json addresses(const std::vector<std::string>& values) {
        Json out = Json::array();
        for (const auto& value : values) {
            Json entry = Json::object();
            set(entry, "ip", text(value));
            out.push(arena, entry);
        }
        Json directive = Json::object();
        set(directive, "$patch", text("replace"));
        out.push(arena, directive);
        return out;
    }
};

std::vector<std::string> pod_addresses(const StatusFacts& facts) {
    if (facts.pod.pod.spec.hostNetwork) return facts.host_addresses;
    const auto* sandbox = facts.pod.record.sandbox();
    if (!sandbox) return {};
    return sandbox->addresses;
}

}   // namespace

StatusMemory memory_of(const Pod& pod) {
    StatusMemory memory{.phase = pod.status.phase.str(),
                        .reason = pod.status.reason.str(),
                        .message = pod.status.message,
                        .start_time = pod.status.startTime};
    for (const auto& known : pod.status.conditions) {
        memory.conditions[known.type.str()] = {known.type.str(), known.status == "True",
                                               known.reason.str(), known.message,
                                               known.lastTransitionTime.value_or(WallTime{})};
    }
    for (const auto* list : {&pod.status.containerStatuses, &pod.status.initContainerStatuses}) {
        for (const auto& known : *list) {
            memory.restart_counts[known.name] = static_cast<unsigned>(known.restartCount);
        }
    }
    return memory;
}

bool is_initialized(const StatusFacts& facts) {
    const auto& record = facts.pod.record;
    return std::ranges::all_of(facts.pod.pod.spec.initContainers, [&](const Container& container) {
        const auto* newest = record.newest(container.name);
        if (!newest) return false;
        if (!is_sidecar(container)) return newest->ended() && newest->exit_code == 0;
        const auto verdict = facts.pod.probes.find(newest->id);
        return newest->running() && (verdict == facts.pod.probes.end() || verdict->second.started);
    });
}

std::string pod_phase(const StatusFacts& facts, const StatusMemory& memory) {
    return phase_of(facts, containers_of(facts, memory), memory);
}

std::string make_status_patch(const StatusFacts& facts, StatusMemory& memory) {
    const auto& pod = facts.pod.pod;
    const auto all = containers_of(facts, memory);
    const std::string phase = phase_of(facts, all, memory);
    memory.phase = phase;
    if (!memory.start_time) memory.start_time = facts.pod.now;
    if (facts.plan.ending == Ending::Deadline) {
        memory.reason = deadline_reason;
        memory.message = deadline_message;
    }
    for (const auto* list : {&all.init, &all.main}) {
        for (const auto& view : *list)
            memory.restart_counts[std::string{view.name}] = view.restart_count;
    }
    Arena arena;
    Writer writer{arena};
    Json status = Json::object();
    writer.set(status, "phase", writer.text(phase));
    writer.set_text(status, "reason", memory.reason);
    writer.set_text(status, "message", memory.message);
    writer.set(status, "conditions", writer.conditions(conditions_of(facts, all, phase, memory)));
    if (!facts.host_addresses.empty()) {
        writer.set(status, "hostIP", writer.text(facts.host_addresses.front()));
        writer.set(status, "hostIPs", writer.addresses(facts.host_addresses));
    }
    if (const auto addresses = pod_addresses(facts); !addresses.empty()) {
        writer.set(status, "podIP", writer.text(addresses.front()));
        writer.set(status, "podIPs", writer.addresses(addresses));
    }
    writer.set(status, "startTime", writer.time(*memory.start_time));
    writer.set(status, "qosClass", writer.text(qos_class(pod.spec)));
    if (!all.init.empty()) writer.set(status, "initContainerStatuses", writer.list(all.init));
    writer.set(status, "containerStatuses", writer.list(all.main));
    if (!all.ephemeral.empty())
        writer.set(status, "ephemeralContainerStatuses", writer.list(all.ephemeral));
    Json patch = Json::object();
    Json metadata = Json::object();
    writer.set(metadata, "uid",
               writer.text(pod.metadata.uid));   // a pod of the same name is another
    writer.set(patch, "metadata", metadata);
    writer.set(patch, "status", status);
    return codec::to_json(patch);
}

}   // namespace skiff::agent
