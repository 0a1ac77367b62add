#include "agent/probes.h"

#include "base/text.h"

namespace skiff::agent {

namespace {

constexpr int period_seconds_default = 10;
constexpr int failures_default = 3;

enum class Kind { Startup, Liveness, Readiness };

const char* title_of(Kind kind) {
    switch (kind) {
    case Kind::Startup: return "Startup";
    case Kind::Liveness: return "Liveness";
    case Kind::Readiness: return "Readiness";
    }
    return "";
}

const api::Boxed<Probe>& probe_of(const Container& container, Kind kind) {
    if (kind == Kind::Startup) return container.startupProbe;
    return kind == Kind::Liveness ? container.livenessProbe : container.readinessProbe;
}

ProbeCount count_of(const Probe& probe, bool initially) {
    return {std::max(probe.successThreshold, 1),
            probe.failureThreshold > 0 ? probe.failureThreshold : failures_default, initially};
}

}   // namespace

bool ProbeCount::add(bool success) {
    in_row_ = success == last_ ? in_row_ + 1 : 1;
    last_ = success;
    if (in_row_ < (success ? successes_needed_ : failures_needed_)) return false;
    result_ = success;
    return true;
}

// All on one strand; a check runs on it too (it blocks for its timeout at most), so that the three
// probes of a container never overlap and an end waits for the check under way only.
struct ContainerProbes::State : std::enable_shared_from_this<State> {
    State(Checks& checks_given, ProbeSubject subject_given, Changed changed_given,
          Unhealthy unhealthy_given)
        : checks{checks_given},
          subject{std::move(subject_given)},
          changed{std::move(changed_given)},
          unhealthy{std::move(unhealthy_given)},
          verdict{initial(*subject.container)},
          strand{checks.executor()} {}

    void begin() {
        if (subject.container->startupProbe) return schedule_first(Kind::Startup);
        begin_steady();
    }
    void begin_steady() {
        if (subject.container->livenessProbe) schedule_first(Kind::Liveness);
        if (subject.container->readinessProbe) schedule_first(Kind::Readiness);
    }
    void schedule_first(Kind kind) {
        const auto& probe = *probe_of(*subject.container, kind);
        const Duration since_start = checks.executor().clock().now() - subject.started_at;
        const Duration delay = std::chrono::seconds{probe.initialDelaySeconds} - since_start;
        counts[static_cast<int>(kind)] = count_of(probe, kind == Kind::Liveness);
        schedule(kind, std::max(delay, Duration{}));
    }
    void schedule(Kind kind, Duration delay) {
        strand.after(delay, [self = weak_from_this(), kind] {
            if (const auto state = self.lock()) state->run(kind);
        });
    }

    void run(Kind kind) {
        if (ended) return;
        const auto& probe = *probe_of(*subject.container, kind);
        const auto result =
            checks.probe({*subject.container, subject.container_id, subject.address}, probe);
        if (ended) return;
        const bool success = result.outcome == CheckOutcome::Success;
        if (!success) {
            unhealthy(concat(
                title_of(kind),
                result.outcome == CheckOutcome::Failure ? " probe failed: " : " probe errored: ",
                result.output));
        }
        const int period = probe.periodSeconds > 0 ? probe.periodSeconds : period_seconds_default;
        auto& count = *counts[static_cast<int>(kind)];
        bool go_on = true;
        if (result.outcome != CheckOutcome::Unknown && count.add(success))
            go_on = settle(kind, count.result());
        if (go_on) schedule(kind, std::chrono::seconds{period});
    }

    // False: this probe has done its part.
    bool settle(Kind kind, bool good) {
        ProbeVerdict next = verdict;
        bool go_on = true;
        if (kind == Kind::Readiness) {
            next.ready = good;
        } else if (!good) {
            next.restart = kind == Kind::Startup ? "startup" : "liveness";
            go_on = false;
        } else if (kind == Kind::Startup) {
            next.started = true;
            go_on = false;
            begin_steady();
        }
        if (next.ready != verdict.ready || next.started != verdict.started ||
            next.restart != verdict.restart) {
            verdict = next;
            changed(subject.container_id, verdict);
        }
        return go_on;
    }

    Checks& checks;
    ProbeSubject subject;
    Changed changed;
    Unhealthy unhealthy;
    ProbeVerdict verdict;
    std::optional<ProbeCount> counts[3];
    std::atomic<bool> ended = false;
    Strand strand;
};

bool ContainerProbes::needed(const Container& container) {
    return container.startupProbe || container.livenessProbe || container.readinessProbe;
}

ProbeVerdict ContainerProbes::initial(const Container& container) {
    return {.started = !container.startupProbe, .ready = !container.readinessProbe, .restart = {}};
}

ContainerProbes::ContainerProbes(Checks& checks, ProbeSubject subject, Changed changed,
                                 Unhealthy unhealthy)
    : state_{std::make_shared<State>(checks, std::move(subject), std::move(changed),
                                     std::move(unhealthy))} {
    state_->strand.post([state = state_] { state->begin(); });
}

ContainerProbes::~ContainerProbes() { state_->ended = true; }

}   // namespace skiff::agent
