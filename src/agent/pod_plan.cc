#include "agent/pod_plan.h"

#include <algorithm>
#include <ranges>

#include "base/text.h"

namespace skiff::agent {

namespace {

constexpr int64_t grace_seconds_default = 30;
constexpr int64_t grace_seconds_forced = 1;   // of a pod that the API no longer knows
constexpr Duration image_error_shown = 2s;    // then ErrImagePull becomes ImagePullBackOff

// One plan being made.
class Planner {
  public:
    explicit Planner(const PodFacts& facts) : facts_{facts}, spec_{facts.pod.spec} {}

    PodPlan make() {
        plan_.ending = ending();
        if (plan_.ending != Ending::No) {
            end_pod();
        } else {
            run_pod();
        }
        collect_garbage();
        return std::move(plan_);
    }

    Ending ending() const {
        if (facts_.gone || facts_.pod.metadata.deletionTimestamp) return Ending::Deleted;
        const auto& status = facts_.pod.status;
        if (status.phase == "Failed" && status.reason == deadline_reason) return Ending::Deadline;
        if (status.phase == "Failed" || status.phase == "Succeeded") return Ending::Completed;
        if (deadline() && facts_.now >= *deadline()) return Ending::Deadline;
        return completed() ? Ending::Completed : Ending::No;
    }

  private:
    std::string_view restart_policy() const {
        return spec_.restartPolicy.empty() ? std::string_view{"Always"}
                                           : spec_.restartPolicy.view();
    }
    bool is_busy(const std::string& name) const { return facts_.busy.contains(name); }
    void wake(WallTime at) {
        if (!plan_.wake_at || at < *plan_.wake_at) plan_.wake_at = at;
    }
    std::optional<WallTime> deadline() const {
        if (!spec_.activeDeadlineSeconds || !facts_.pod.status.startTime) return std::nullopt;
        return *facts_.pod.status.startTime + std::chrono::seconds{*spec_.activeDeadlineSeconds};
    }
    const SandboxRecord* live_sandbox() const {
        const auto* sandbox = facts_.record.sandbox();
        return sandbox && sandbox->ready && !sandbox->stopped ? sandbox : nullptr;
    }
    // The newest record of that name in the sandbox that counts; Created is not yet a run.
    const ContainerRecord* current(const std::string& name) const {
        const auto* sandbox = facts_.record.sandbox();
        const auto* record = facts_.record.newest(name);
        return record && sandbox && record->sandbox_id == sandbox->id ? record : nullptr;
    }
    const ContainerRecord* ended(const std::string& name) const {
        const auto* record = facts_.record.newest(name);
        return record && record->ended() ? record : nullptr;
    }

    bool completed() const {
        if (restart_policy() == "Always" || spec_.containers.empty()) return false;
        if (restart_policy() == "Never") {
            for (const auto& init : spec_.initContainers) {
                const auto* record = ended(init.name);
                if (!is_sidecar(init) && record && record->exit_code != 0) return true;
            }
        }
        return std::ranges::all_of(spec_.containers, [&](const Container& container) {
            const auto* record = ended(container.name);
            if (!record || is_busy(container.name)) return false;
            return restart_policy() == "Never" || record->exit_code == 0;
        });
    }

    int64_t spec_grace() const {
        return spec_.terminationGracePeriodSeconds.value_or(grace_seconds_default);
    }

    // ---- ending -------------------------------------------------------------------------------

    // When the last container has to be dead: the API's deletionTimestamp is that very moment.
    int64_t grace_left() const {
        if (facts_.gone) return grace_seconds_forced;
        if (facts_.pod.metadata.deletionTimestamp) {
            const auto left = *facts_.pod.metadata.deletionTimestamp - facts_.now;
            const auto seconds = std::chrono::ceil<std::chrono::seconds>(left).count();
            return std::max<int64_t>(seconds, grace_seconds_forced);
        }
        return spec_grace();
    }

    void kill(const ContainerRecord& record, int64_t grace, std::string message) {
        const auto under_way = facts_.killing.find(record.id);
        const WallTime dead_at = facts_.now + std::chrono::seconds{grace};
        // Killed again only when it shall be dead clearly sooner: a second, forced deletion.
        if (under_way != facts_.killing.end() && under_way->second <= dead_at + 1s) return;
        plan_.kill.push_back({record.id, record.name, grace, std::move(message)});
    }

    bool kill_running(const std::string& name, int64_t grace) {
        bool alive = false;
        for (const auto& record : facts_.record.containers) {
            if (record.name != name || !record.running()) continue;
            alive = true;
            kill(record, grace, concat("Stopping container ", name));
        }
        return alive;
    }

    // Main, ephemeral and plain init containers at once; when they are dead the sidecars, the last
    // first; then the sandbox.
    void end_pod() {
        const int64_t grace = grace_left();
        bool alive = false;
        for (const auto& container : spec_.containers) alive |= kill_running(container.name, grace);
        for (const auto& container : spec_.ephemeralContainers)
            alive |= kill_running(container.name, grace);
        for (const auto& container : spec_.initContainers) {
            if (!is_sidecar(container)) alive |= kill_running(container.name, grace);
        }
        for (const auto& container : spec_.initContainers | std::views::reverse) {
            if (!alive && is_sidecar(container)) alive = kill_running(container.name, grace);
        }
        // Containers that the spec does not name (a changed manifest file).
        for (const auto& record : facts_.record.containers) {
            if (record.running() && !alive) alive = kill_running(record.name, grace);
        }
        if (alive || !facts_.busy.empty()) return;
        for (const auto& sandbox : facts_.record.sandboxes) {
            if (!sandbox.stopped) plan_.stop_sandboxes.push_back(sandbox.id);
        }
        plan_.stopped = plan_.stop_sandboxes.empty();
    }

    // ---- running ------------------------------------------------------------------------------

    void run_pod() {
        if (deadline()) wake(*deadline());
        if (!live_sandbox()) return need_sandbox();
        if (main_has_started()) {
            for (size_t i = 0; i < spec_.initContainers.size(); ++i) {
                if (is_sidecar(spec_.initContainers[i])) keep_sidecar(i);
            }
            keep_main();
        } else if (initialise()) {
            keep_main();
        }
        start_ephemeral();
    }

    void need_sandbox() {
        for (const auto& record : facts_.record.containers) {
            if (record.running())
                kill(record, grace_seconds_forced, "The sandbox of the pod is gone");
        }
        if (is_busy("")) return;
        if (const auto failed = facts_.failures.find("");
            failed != facts_.failures.end() && facts_.now < failed->second.retry_at) {
            return wake(failed->second.retry_at);
        }
        const auto* old = facts_.record.sandbox();
        for (const auto& sandbox : facts_.record.sandboxes) {
            if (!sandbox.stopped) plan_.stop_sandboxes.push_back(sandbox.id);
        }
        if (!plan_.stop_sandboxes.empty()) return;
        plan_.create_sandbox = true;
        plan_.sandbox_attempt = old ? old->attempt + 1 : 0;
    }

    bool main_has_started() const {
        return std::ranges::any_of(spec_.containers, [&](const Container& container) {
            const auto* record = current(container.name);
            return record && record->state != ContainerState::Created;
        });
    }

    // True when every init container has done its part: run to success, or started for a sidecar.
    bool initialise() {
        for (size_t i = 0; i < spec_.initContainers.size(); ++i) {
            const auto& container = spec_.initContainers[i];
            if (is_sidecar(container)) {
                keep_sidecar(i);
                const auto* record = current(container.name);
                if (!record || !record->running() || is_busy(container.name)) return false;
                const auto verdict = facts_.probes.find(record->id);
                if (verdict != facts_.probes.end() && !verdict->second.started) return false;
                continue;
            }
            const auto* record = current(container.name);
            if (record && record->ended() && record->exit_code == 0) continue;
            if (record && record->running()) {
                check_probes(*record, container);
                return false;
            }
            try_start(Role::Init, i, container);
            return false;
        }
        return true;
    }

    void keep_sidecar(size_t index) {
        const auto& container = spec_.initContainers[index];
        const auto* record = current(container.name);
        if (record && record->running()) return check_probes(*record, container);
        try_start(Role::Sidecar, index, container);
    }

    void keep_main() {
        for (size_t i = 0; i < spec_.containers.size(); ++i) {
            const auto& container = spec_.containers[i];
            const auto* record = current(container.name);
            if (record && record->running()) {
                check_probes(*record, container);
                continue;
            }
            if (record && record->ended()) {
                if (restart_policy() == "Never") continue;
                if (restart_policy() == "OnFailure" && record->exit_code == 0) continue;
            }
            try_start(Role::Main, i, container);
        }
    }

    // Ephemeral containers run once and are never restarted.
    void start_ephemeral() {
        for (size_t i = 0; i < spec_.ephemeralContainers.size(); ++i) {
            const auto& container = spec_.ephemeralContainers[i];
            const auto* record = facts_.record.newest(container.name);
            if (record && record->state != ContainerState::Created) continue;
            try_start(Role::Ephemeral, i, container);
        }
    }

    void check_probes(const ContainerRecord& record, const Container& container) {
        if (!record.spec_hash.empty() && record.spec_hash != container_hash(container)) {
            kill(record, spec_grace(),
                 concat("Container ", record.name, " definition changed, will be restarted"));
            return;
        }
        const auto verdict = facts_.probes.find(record.id);
        if (verdict == facts_.probes.end() || verdict->second.restart.empty()) return;
        const bool startup = verdict->second.restart == "startup";
        const auto& probe = startup ? container.startupProbe : container.livenessProbe;
        int64_t grace = spec_grace();
        if (probe && probe->terminationGracePeriodSeconds)
            grace = *probe->terminationGracePeriodSeconds;
        kill(record, grace,
             concat("Container ", record.name, " failed ", verdict->second.restart,
                    " probe, will be restarted"));
    }

    template <class AnyContainer>
    void try_start(Role role, size_t index, const AnyContainer& container) {
        const std::string& name = container.name;
        if (is_busy(name)) return;
        const auto* record = facts_.record.newest(name);
        if (const auto failed = facts_.failures.find(name);
            failed != facts_.failures.end() && facts_.now < failed->second.retry_at) {
            return wait_after_failure(name, container.image, failed->second);
        }
        StartContainer start{.role = role, .index = index, .name = name};
        if (record && record->state == ContainerState::Created) {
            start.replaces = record->id;
            start.restart_count = record->restart_count;
        } else if (record) {
            start.restart_count = record->restart_count + 1;
            if (must_wait(*record)) return;
        } else {
            start.restart_count = known_restarts(name);
        }
        plan_.start.push_back(std::move(start));
    }

    void wait_after_failure(const std::string& name, const std::string& image,
                            const StartFailure& failure) {
        wake(failure.retry_at);
        const WallTime shown_until = failure.at + image_error_shown;
        if (!failure.image || facts_.now < shown_until) {
            if (failure.image) wake(shown_until);
            plan_.waiting[name] = {failure.reason, failure.message};
            return;
        }
        plan_.waiting[name] = {"ImagePullBackOff",
                               concat("Back-off pulling image \"", image, "\": ", failure.reason,
                                      ": ", failure.message)};
    }

    bool must_wait(const ContainerRecord& record) {
        const auto backoff = facts_.restarts.find(record.name);
        if (backoff == facts_.restarts.end()) return false;
        if (!backoff->second.holds(record.finished_at, facts_.now)) return false;
        wake(record.finished_at + backoff->second.delay);
        const auto& metadata = facts_.pod.metadata;
        plan_.waiting[record.name] = {
            "CrashLoopBackOff",
            concat("back-off ", go_duration(backoff->second.delay),
                   " restarting failed container=", record.name, " pod=", metadata.name, "_",
                   metadata.namespace_, "(", metadata.uid, ")")};
        return true;
    }

    // What the API remembers when the runtime lost its containers (a reboot): counts go on.
    unsigned known_restarts(const std::string& name) const {
        const auto& status = facts_.pod.status;
        for (const auto* list : {&status.containerStatuses, &status.initContainerStatuses}) {
            for (const auto& known : *list) {
                if (known.name == name && !known.containerID.empty()) {
                    return static_cast<unsigned>(known.restartCount) + 1;
                }
            }
        }
        return 0;
    }

    // ---- garbage ------------------------------------------------------------------------------

    // The last ended container of each name stays for `logs -p` and lastState, beside the newest.
    void collect_garbage() {
        std::map<std::string, int> kept;
        for (const auto& record : facts_.record.containers) {
            if (!record.ended() || is_busy(record.name)) {
                if (record.running()) continue;
                kept[record.name] += record.ended() ? 1 : 0;
                continue;
            }
            const auto* newest = facts_.record.newest(record.name);
            const int allowed = newest == &record ? 2 : (newest->ended() ? 2 : 1);
            if (++kept[record.name] > allowed) plan_.remove.push_back(record.id);
        }
        for (size_t i = 1; i < facts_.record.sandboxes.size(); ++i) {
            const auto& sandbox = facts_.record.sandboxes[i];
            const bool used = std::ranges::any_of(
                facts_.record.containers,
                [&](const auto& record) { return record.sandbox_id == sandbox.id; });
            if (sandbox.stopped && !used) plan_.remove.push_back(sandbox.id);
        }
    }

    const PodFacts& facts_;
    const PodSpec& spec_;
    PodPlan plan_;
};

}   // namespace

PodPlan plan_pod(const PodFacts& facts) { return Planner{facts}.make(); }

bool pod_has_ended(const PodFacts& facts) { return Planner{facts}.ending() != Ending::No; }

std::string container_hash(const Container& container) {
    // FNV-1a over name and image: the API lets nothing else of a running pod's container change.
    uint64_t hash = 14695981039346656037u;
    for (const auto* text : {&container.name, &container.image}) {
        for (const char c : *text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211u;
        hash = (hash ^ 0xff) * 1099511628211u;
    }
    return concat(hash);
}

Backoff backoff_of(const StartFailure& failure) {
    if (failure.transient) return {.first = 200ms, .most = 2s};
    if (failure.image) return {.first = 10s, .most = 5min};
    if (failure.reason == "RunContainerError" || failure.reason == "PostStartHookError") {
        return {.first = 10s, .most = 5min};
    }
    return {.first = 2s, .most = 30s};   // a missing ConfigMap: cheap to look again
}

}   // namespace skiff::agent
