#include "agent/pod_worker.h"

#include <algorithm>

#include "agent/pod_worker_core.h"
#include "base/log.h"
#include "base/text.h"

namespace skiff::agent {

namespace {

constexpr Duration status_retry = 1s;
constexpr Duration relist_period = 60s;   // a safety net: events are what drives a worker
constexpr Duration cleanup_retry = 2s;

}   // namespace

void PodWorker::Core::post(std::function<void(Core&)> task) {
    strand_.post([self = weak_from_this(), task = std::move(task)] {
        if (const auto core = self.lock(); core && !core->finished_) task(*core);
    });
}

void PodWorker::Core::begin() {
    for (const auto& sandbox : record_.sandboxes) parts_.owns(sandbox.id, uid_);
    for (const auto& container : record_.containers) {
        parts_.owns(container.id, uid_);
        if (container.restart_count > 0 && container.name == record_.newest(container.name)->name) {
            restarts_[container.name].assume(container.restart_count, container.created_at);
        }
    }
    want_configs();
    run_beside([self = shared_from_this(), pod = pod_, addresses = addresses()] {
        static_cast<void>(self->parts().host_ports.set(self->uid_, host_ports_of(*pod, addresses)));
    });
    step();
    schedule_relist();
}

void PodWorker::Core::update(SharedPod pod) {
    const bool same_names = pod->spec == pod_->spec;
    // Our own status writes come back too: only what plan_pod reads makes it think again.
    const bool same = same_names && pod->metadata.labels == pod_->metadata.labels &&
                      pod->metadata.annotations == pod_->metadata.annotations &&
                      pod->metadata.deletionTimestamp == pod_->metadata.deletionTimestamp &&
                      pod->status.conditions == pod_->status.conditions;
    const bool labels = pod->metadata.labels != pod_->metadata.labels ||
                        pod->metadata.annotations != pod_->metadata.annotations;
    pod_ = std::move(pod);
    shown_.use([&](Shown& shown) { shown.pod = pod_; });
    if (!same_names) want_configs();
    if (labels && volumes_ == Volumes::Ready) refresh_volumes_now();   // downwardAPI
    if (!same) step();
}

void PodWorker::Core::deleted(SharedPod last) {
    if (last) pod_ = std::move(last);
    gone_ = true;
    step();
}

void PodWorker::Core::event(const ContainerEvent& event) {
    if (const auto* container = record_.by_id(event.id)) {
        if (event.kind == ContainerEvent::Kind::Exited ||
            event.kind == ContainerEvent::Kind::Deleted) {
            if (container->running()) refresh_container(event.id, container->sandbox_id, true);
        }
        return;
    }
    // It ended before its start was told to us.
    if (chain_ && event.kind == ContainerEvent::Kind::Exited) ended_early_.insert(event.id);
    if (const auto* sandbox = record_.sandbox_by_id(event.id)) {
        if (sandbox->ready && !sandbox->stopped && event.kind != ContainerEvent::Kind::Started) {
            refresh_sandbox(event.id, true);
        }
        return;
    }
}

void PodWorker::Core::resync() {
    // The runtime may have been away: what failed for that is tried again now.
    if (std::erase_if(failures_, [](const auto& entry) { return entry.second.transient; }) > 0)
        step();
    for (const auto& container : record_.containers) {
        if (container.running()) refresh_container(container.id, container.sandbox_id, false);
    }
    if (const auto* sandbox = record_.sandbox(); sandbox && !sandbox->stopped)
        refresh_sandbox(sandbox->id, false);
}

PodFacts PodWorker::Core::facts() {
    return {.pod = *pod_,
            .record = record_,
            .now = now(),
            .gone = gone_,
            .probes = verdicts_,
            .restarts = restarts_,
            .failures = failures_,
            .busy = busy_,
            .killing = killing_};
}

// ---- the step ---------------------------------------------------------------------------------

void PodWorker::Core::step() {
    if (finished_) return;
    sync_probes();
    plan_ = plan_pod(facts());
    if (plan_.ending != Ending::No && abandon_chain()) plan_ = plan_pod(facts());
    tell_waiting();
    if (plan_.ending == Ending::Deadline && memory_.reason != deadline_reason) {
        tell(parts(), *pod_, "", false, deadline_reason, deadline_message);
    }
    for (const auto& id : plan_.stop_sandboxes) stop_sandbox(id);
    if (plan_.create_sandbox) create_sandbox();
    if (plan_.ending == Ending::No && volumes_ == Volumes::None && !pod_->spec.volumes.empty() &&
        now() >= volumes_retry_at_) {
        make_volumes_now();
    }
    for (const auto& kill : plan_.kill) kill_one(kill);
    start_chain();
    for (const auto& id : plan_.remove) remove_one(id);
    set_wake();
    push_status();
    if (plan_.stopped && plan_.ending == Ending::Deleted) finish();
}

void PodWorker::Core::set_wake() {
    auto at = plan_.wake_at;
    const auto sooner = [&](WallTime other) {
        if (!at || other < *at) at = other;
    };
    if (volumes_ == Volumes::None && volumes_retry_at_ > now()) sooner(volumes_retry_at_);
    if (volumes_ == Volumes::Ready && volumes_refresh_at_) sooner(*volumes_refresh_at_);
    if (wake_ != TimerId::None) parts().executor.cancel(std::exchange(wake_, TimerId::None));
    if (!at) return;
    const Duration delay = std::max<Duration>(*at - now(), 1ms);
    wake_ = strand_.after(delay, [self = weak_from_this()] {
        if (const auto core = self.lock(); core && !core->finished_) core->woken();
    });
}

void PodWorker::Core::woken() {
    wake_ = TimerId::None;
    if (volumes_ == Volumes::Ready && volumes_refresh_at_ && now() >= *volumes_refresh_at_) {
        refresh_volumes_now();
    }
    step();
}

void PodWorker::Core::schedule_relist() {
    strand_.after(relist_period, [self = weak_from_this()] {
        const auto core = self.lock();
        if (!core || core->finished_) return;
        core->resync();
        core->schedule_relist();
    });
}

void PodWorker::Core::tell_waiting() {
    for (const auto& [name, waiting] : plan_.waiting) {
        const auto before = waiting_told_.find(name);
        if (before != waiting_told_.end() && before->second == waiting.reason) continue;
        if (waiting.reason == "CrashLoopBackOff") {
            tell(parts(), *pod_, name, true, "BackOff",
                 concat("Back-off restarting failed container ", name, " in pod ",
                        pod_->metadata.name, "_", pod_->metadata.namespace_, "(", uid_, ")"));
        } else if (waiting.reason == "ImagePullBackOff") {
            tell(parts(), *pod_, name, false, "BackOff",
                 waiting.message.substr(0, waiting.message.find("\": ") + 1));
            tell(parts(), *pod_, name, true, "Failed", "Error: ImagePullBackOff");
        }
    }
    waiting_told_.clear();
    for (const auto& [name, waiting] : plan_.waiting) waiting_told_[name] = waiting.reason;
}

// ---- the status -------------------------------------------------------------------------------

void PodWorker::Core::push_status() {
    shown_.use([&](Shown& shown) {
        shown.record = record_;
        shown.waiting = plan_.waiting;
    });
    if (gone_ || finished_) return;
    const auto pod_facts = facts();
    std::string patch = make_status_patch(
        {.pod = pod_facts, .plan = plan_, .host_addresses = parts().node.addresses}, memory_);
    if (patch == status_sent_ || patch == status_next_) return;
    status_next_ = std::move(patch);
    send_status();
}

void PodWorker::Core::send_status() {
    if (status_in_flight_ || status_next_.empty()) return;
    status_in_flight_ = true;
    run_beside([self = shared_from_this(), pod = pod_, patch = std::move(status_next_)] {
        auto done = self->parts().api.patch_status(*pod, patch);
        self->post([patch, done = std::move(done)](Core& core) mutable {
            core.status_written(std::move(patch), std::move(done));
        });
    });
    status_next_.clear();
}

void PodWorker::Core::status_written(std::string patch, Result<> done) {
    status_in_flight_ = false;
    const bool gone = !done && (done.error().reason == Reason::NotFound ||
                                done.error().reason == Reason::Conflict);
    if (done || gone) {   // of a pod that is gone there is nothing to tell: the informer will say
        status_sent_ = std::move(patch);
        send_status();
        if (finishing_) finish();
        return;
    }
    log_warn("pod status not written",
             {{"pod", pod_->metadata.name}, {"error", done.error().message}});
    if (status_next_.empty()) status_next_ = std::move(patch);
    strand_.after(status_retry, [self = weak_from_this()] {
        if (const auto core = self.lock(); core && !core->finished_) core->send_status();
    });
}

// ---- the end ----------------------------------------------------------------------------------

void PodWorker::Core::finish() {
    finishing_ = true;
    if (!gone_ && (status_in_flight_ || !status_next_.empty())) return;
    if (std::exchange(cleaning_, true)) return;
    probes_.clear();
    run_beside([self = shared_from_this(), pod = pod_, record = record_, gone = gone_] {
        Result<> done{};
        if (!gone) done = self->parts().api.remove(*pod);
        if (done) done = remove_pod(self->parts(), *pod, record);
        self->post([done = std::move(done)](Core& core) { core.cleaned(done); });
    });
}

void PodWorker::Core::cleaned(const Result<>& done) {
    cleaning_ = false;
    if (!done) {
        log_warn("pod not removed",
                 {{"pod", pod_->metadata.name}, {"error", done.error().message}});
        strand_.after(cleanup_retry, [self = weak_from_this()] {
            if (const auto core = self.lock(); core && !core->finished_) core->finish();
        });
        return;
    }
    finished_ = true;
    if (wake_ != TimerId::None) parts().executor.cancel(wake_);
    parts().configs.forget(uid_);
    parts_.finished(uid_);
}

PodWorker::PodWorker(WorkerParts parts, SharedPod pod, PodRecord record, bool gone)
    : core_{std::make_shared<Core>(std::move(parts), std::move(pod), std::move(record), gone)} {
    core_->post([](Core& core) { core.begin(); });
}

PodWorker::~PodWorker() = default;

void PodWorker::update(SharedPod pod) {
    core_->post([pod = std::move(pod)](Core& core) { core.update(pod); });
}

void PodWorker::deleted(SharedPod last) {
    core_->shown().use([](Core::Shown& shown) { shown.gone = true; });
    core_->post([last = std::move(last)](Core& core) { core.deleted(last); });
}

void PodWorker::event(const ContainerEvent& event) {
    core_->post([event](Core& core) { core.event(event); });
}

void PodWorker::resync() {
    core_->post([](Core& core) { core.resync(); });
}

SharedPod PodWorker::pod() const {
    return core_->shown().use([](const Core::Shown& shown) { return shown.pod; });
}

bool PodWorker::gone() const {
    return core_->shown().use([](const Core::Shown& shown) { return shown.gone; });
}

ContainerWhereabouts PodWorker::find_container(const std::string& name, bool previous) const {
    return core_->shown().use([&](const Core::Shown& shown) {
        ContainerWhereabouts out;
        const auto* record = shown.record.newest(name);
        if (previous && record) record = shown.record.before(*record);
        const auto& spec = shown.pod->spec;
        out.known = agent::find_container(spec, name) ||
                    std::ranges::find(spec.ephemeralContainers, name, &EphemeralContainer::name) !=
                        spec.ephemeralContainers.end();
        if (const auto why = shown.waiting.find(name); why != shown.waiting.end())
            out.waiting = why->second.reason;
        if (!record) return out;
        out.id = record->id;
        out.log_path = record->log_path;
        out.running = record->running();
        out.started_at = record->started_at;
        return out;
    });
}

std::string PodWorker::sandbox_id() const {
    return core_->shown().use([](const Core::Shown& shown) {
        const auto* sandbox = shown.record.sandbox();
        return sandbox && sandbox->ready ? sandbox->id : std::string{};
    });
}

std::vector<std::pair<std::string, std::string>> PodWorker::running_logs() const {
    return core_->shown().use([](const Core::Shown& shown) {
        std::vector<std::pair<std::string, std::string>> out;
        for (const auto& record : shown.record.containers) {
            if (record.running()) out.emplace_back(record.id, record.log_path);
        }
        return out;
    });
}

}   // namespace skiff::agent
