#include "agent/pod_worker.h"

#include <algorithm>
#include <atomic>

#include "agent/pod_status.h"
#include "base/guarded.h"
#include "base/log.h"
#include "base/text.h"

namespace skiff::agent {

namespace {

constexpr Duration status_retry = 1s;
constexpr Duration kill_retry = 2s;
constexpr Duration relist_period = 60s;   // a safety net: events are what drives a worker
constexpr Duration cleanup_retry = 2s;

}   // namespace

class PodWorker::Core : public std::enable_shared_from_this<Core> {
  public:
    Core(WorkerParts parts, SharedPod pod, PodRecord record, bool gone)
        : parts_{std::move(parts)},
          pod_{std::move(pod)},
          record_{std::move(record)},
          gone_{gone},
          uid_{pod_->metadata.uid},
          memory_{memory_of(*pod_)},
          strand_{parts_.pod.executor} {
        shown_.use([&](Shown& shown) { shown.pod = pod_; });
    }

    void post(std::function<void(Core&)> task) {
        strand_.post([self = weak_from_this(), task = std::move(task)] {
            if (const auto core = self.lock(); core && !core->finished_) task(*core);
        });
    }

    void begin() {
        for (const auto& sandbox : record_.sandboxes) parts_.owns(sandbox.id, uid_);
        for (const auto& container : record_.containers) {
            parts_.owns(container.id, uid_);
            if (container.restart_count > 0 &&
                container.name == record_.newest(container.name)->name) {
                restarts_[container.name].assume(container.restart_count, container.created_at);
            }
        }
        want_configs();
        run_beside([self = shared_from_this(), pod = pod_, addresses = addresses()] {
            static_cast<void>(
                self->parts().host_ports.set(self->uid_, host_ports_of(*pod, addresses)));
        });
        step();
        schedule_relist();
    }

    void update(SharedPod pod) {
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

    void deleted(SharedPod last) {
        if (last) pod_ = std::move(last);
        gone_ = true;
        step();
    }

    void event(const ContainerEvent& event) {
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
            if (sandbox->ready && !sandbox->stopped &&
                event.kind != ContainerEvent::Kind::Started) {
                refresh_sandbox(event.id, true);
            }
            return;
        }
    }

    void resync() {
        // The runtime may have been away: what failed for that is tried again now.
        if (std::erase_if(failures_, [](const auto& entry) { return entry.second.transient; }) > 0)
            step();
        for (const auto& container : record_.containers) {
            if (container.running()) refresh_container(container.id, container.sandbox_id, false);
        }
        if (const auto* sandbox = record_.sandbox(); sandbox && !sandbox->stopped)
            refresh_sandbox(sandbox->id, false);
    }

    struct Shown {   // for other threads
        SharedPod pod;
        PodRecord record;
        std::map<std::string, Waiting> waiting;
    };
    const Guarded<Shown>& shown() const { return shown_; }

  private:
    enum class Volumes { None, Making, Ready };

    // A chain of starts under way. A long pull must not hold up the end of the pod: until the
    // container is being created, whoever closes the gate first has it.
    struct Chain {
        enum Gate : int { Open, Creating, Closed };
        std::atomic<int> gate = Open;
        std::set<std::string> names;
    };

    PodParts& parts() { return parts_.pod; }
    WallTime now() { return parts().executor.clock().now(); }

    void run_beside(std::function<void()> work) { parts().executor.post(std::move(work)); }

    PodFacts facts() {
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

    // ---- the step ------------------------------------------------------------------------------

    void step() {
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
        if (plan_.ending == Ending::No && volumes_ == Volumes::None &&
            !pod_->spec.volumes.empty() && now() >= volumes_retry_at_) {
            make_volumes_now();
        }
        for (const auto& kill : plan_.kill) kill_one(kill);
        start_chain();
        for (const auto& id : plan_.remove) remove_one(id);
        set_wake();
        push_status();
        if (plan_.stopped && plan_.ending == Ending::Deleted) finish();
    }

    void set_wake() {
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

    void woken() {
        wake_ = TimerId::None;
        if (volumes_ == Volumes::Ready && volumes_refresh_at_ && now() >= *volumes_refresh_at_) {
            refresh_volumes_now();
        }
        step();
    }

    void schedule_relist() {
        strand_.after(relist_period, [self = weak_from_this()] {
            const auto core = self.lock();
            if (!core || core->finished_) return;
            core->resync();
            core->schedule_relist();
        });
    }

    void tell_waiting() {
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

    // ---- configuration and volumes -------------------------------------------------------------

    void want_configs() {
        if (gone_) return;
        ConfigNames names = volume_names(pod_->spec);
        for (const auto* list : {&pod_->spec.containers, &pod_->spec.initContainers}) {
            for (const auto& container : *list) names.add(environment_names(container));
        }
        for (const auto& container : pod_->spec.ephemeralContainers) {
            names.add(environment_names(as_container(container)));
        }
        for (const auto& secret : pod_->spec.imagePullSecrets) names.secrets.insert(secret.name);
        if (names.empty()) return;
        parts().configs.want(uid_, pod_->metadata.namespace_.str(), names,
                             [self = weak_from_this()] {
                                 if (const auto core = self.lock())
                                     core->post([](Core& c) { c.config_changed(); });
                             });
    }

    void config_changed() {
        std::erase_if(failures_, [](const auto& entry) {
            return entry.second.reason == "CreateContainerConfigError";
        });
        volumes_retry_at_ = {};
        if (volumes_ == Volumes::Ready) refresh_volumes_now();
        step();
    }

    std::vector<std::string> addresses() const {
        const auto* sandbox = record_.sandbox();
        return sandbox ? sandbox->addresses : std::vector<std::string>{};
    }

    void make_volumes_now() {
        volumes_ = Volumes::Making;
        run_beside([self = shared_from_this(), pod = pod_, addresses = addresses()] {
            auto made = make_volumes(self->parts(), *pod, addresses);
            self->post([made = std::move(made)](Core& core) mutable {
                core.volumes_made(std::move(made));
            });
        });
    }

    void volumes_made(Result<VolumesMade> made) {
        if (!made) {
            volumes_ = Volumes::None;
            volumes_backoff_.advance(now());
            volumes_retry_at_ = now() + volumes_backoff_.delay;
            tell(parts(), *pod_, "", true, "FailedMount", made.error().message);
            return step();
        }
        volumes_ = Volumes::Ready;
        volumes_backoff_.reset();
        volume_paths_ = std::move(made->paths);
        volumes_refresh_at_ = made->refresh_at;
        step();
    }

    // Making them again changes only what has changed. A failure keeps what is there.
    void refresh_volumes_now() {
        volumes_refresh_at_.reset();
        run_beside([self = shared_from_this(), pod = pod_, addresses = addresses()] {
            auto made = make_volumes(self->parts(), *pod, addresses);
            self->post([made = std::move(made)](Core& core) {
                if (made) {
                    core.volumes_refresh_at_ = made->refresh_at;
                } else {
                    core.volumes_refresh_at_ = core.now() + 30s;
                    tell(core.parts(), *core.pod_, "", true, "FailedMount", made.error().message);
                }
                core.set_wake();
            });
        });
    }

    // ---- the sandbox ---------------------------------------------------------------------------

    void create_sandbox() {
        busy_.insert("");
        run_beside([self = shared_from_this(), pod = pod_, attempt = plan_.sandbox_attempt] {
            auto made = make_sandbox(self->parts(), *pod, attempt);
            if (made) self->parts_.owns(made->record.id, self->uid_);
            self->post([made = std::move(made)](Core& core) mutable {
                core.sandbox_made(std::move(made));
            });
        });
    }

    void sandbox_made(Result<SandboxMade> made) {
        busy_.erase("");
        if (!made) {
            const bool away = runtime_was_away(made.error());
            auto& backoff =
                start_backoffs_.try_emplace("", Backoff{.first = 1s, .most = 30s}).first->second;
            backoff.advance(now());
            failures_[""] = {.reason = "FailedCreatePodSandBox",
                             .message = made.error().message,
                             .at = now(),
                             .retry_at = now() + (away ? Duration{500ms} : backoff.delay),
                             .transient = away};
            if (!away)
                tell(parts(), *pod_, "", true, "FailedCreatePodSandBox",
                     concat("Failed to create pod sandbox: ", made.error().message));
            return step();
        }
        failures_.erase("");
        start_backoffs_.erase("");
        sandbox_config_ = std::move(made->config);
        record_.put(std::move(made->record));
        step();
    }

    void stop_sandbox(const std::string& id) {
        if (!busy_.insert("").second) return;
        run_beside([self = shared_from_this(), id] {
            static_cast<void>(self->parts().host_ports.set(self->uid_, {}));
            auto done = self->parts().cri.stop_pod_sandbox(id);
            self->post([id, done = std::move(done)](Core& core) {
                core.busy_.erase("");
                if (done) {
                    if (auto* sandbox = core.record_.sandbox_by_id(id)) {
                        sandbox->stopped = true;
                        sandbox->ready = false;
                    }
                } else {
                    log_warn("sandbox not stopped", {{"id", id}, {"error", done.error().message}});
                    core.busy_.insert("");   // a pause before the next try
                    core.strand_.after(kill_retry, [self = core.weak_from_this()] {
                        const auto again = self.lock();
                        if (!again || again->finished_) return;
                        again->busy_.erase("");
                        again->step();
                    });
                    return;
                }
                core.step();
            });
        });
    }

    void refresh_sandbox(const std::string& id, bool ended) {
        run_beside([self = shared_from_this(), id, ended] {
            auto answer = read_sandbox(self->parts(), id, ended);
            if (!answer && answer.error().reason != Reason::NotFound) return;
            self->post([id, answer = std::move(answer)](Core& core) {
                auto* sandbox = core.record_.sandbox_by_id(id);
                if (!sandbox || sandbox->stopped) return;
                const bool ready = answer && answer->ready;
                if (sandbox->ready == ready) return;
                sandbox->ready = ready;
                if (!ready && core.plan_.ending == Ending::No) {
                    tell(core.parts(), *core.pod_, "", false, "SandboxChanged",
                         "Pod sandbox changed, it will be killed and re-created.");
                }
                core.step();
            });
        });
    }

    // ---- containers ----------------------------------------------------------------------------

    void start_chain() {
        const bool volumes = pod_->spec.volumes.empty() || volumes_ == Volumes::Ready;
        if (plan_.start.empty() || chain_ || !volumes) return;
        const auto* sandbox = record_.sandbox();
        if (sandbox_config_.metadata.uid.empty()) {   // adopted after a restart of the agent
            sandbox_config_ = sandbox_config(*pod_, sandbox->attempt, parts().node);
        }
        chain_ = std::make_shared<Chain>();
        std::vector<StartOrder> orders;
        for (const auto& start : plan_.start) {
            busy_.insert(start.name);
            chain_->names.insert(start.name);
            if (const auto* old = record_.newest(start.name); old && old->ended()) {
                restarts_[start.name].advance(now());
            }
            orders.push_back({.pod = pod_,
                              .what = start,
                              .sandbox = *sandbox,
                              .sandbox_config = sandbox_config_,
                              .volume_paths = volume_paths_,
                              .target_container_id = target_of(start),
                              .may_create = {},
                              .created = {}});
        }
        run_beside(
            [self = shared_from_this(), chain = chain_, orders = std::move(orders)]() mutable {
                for (auto& order : orders) {
                    int open = Chain::Creating;
                    chain->gate.compare_exchange_strong(open, Chain::Open);
                    order.may_create = [&chain] {
                        int expected = Chain::Open;
                        return chain->gate.compare_exchange_strong(expected, Chain::Creating);
                    };
                    order.created = [&self](const std::string& id) {
                        self->parts_.owns(id, self->uid_);
                    };
                    auto result = start_container(self->parts(), order);
                    if (result.forgotten) return;
                    if (result.record)
                        self->parts_.owns(result.record->id, self->uid_);   // a found one, too
                    self->post([chain, name = order.what.name,
                                result = std::move(result)](Core& core) mutable {
                        core.started(*chain, name, std::move(result));
                    });
                    if (chain->gate == Chain::Closed) return;
                }
                self->post([chain](Core& core) {
                    if (core.chain_ == chain) core.chain_.reset();
                    core.ended_early_.clear();
                    core.step();
                });
            });
    }

    std::string target_of(const StartContainer& start) const {
        if (start.role != Role::Ephemeral) return {};
        const auto& target = pod_->spec.ephemeralContainers[start.index].targetContainerName;
        const auto* record = target.empty() ? nullptr : record_.newest(target);
        return record ? record->id : "";
    }

    // True: a chain was under way and will create nothing any more.
    bool abandon_chain() {
        if (!chain_) return false;
        int expected = Chain::Open;
        if (!chain_->gate.compare_exchange_strong(expected, Chain::Closed)) return false;
        for (const auto& name : chain_->names) busy_.erase(name);
        chain_.reset();
        return true;
    }

    void started(const Chain& chain, const std::string& name, StartResult result) {
        if (chain_ && chain_.get() == &chain) busy_.erase(name);
        if (result.record) {
            const bool ended = result.record->ended();
            const std::string id = result.record->id;
            const std::string sandbox_id = result.record->sandbox_id;
            record_.put(*std::move(result.record));
            if (ended)
                parts_.ended(id);
            else if (ended_early_.contains(id))
                refresh_container(id, sandbox_id, true);
        }
        if (result.failure) {
            auto& failure = *result.failure;
            auto& backoff = start_backoffs_.try_emplace(name, backoff_of(failure)).first->second;
            if (backoff.first != backoff_of(failure).first)
                backoff = backoff_of(failure);   // fails otherwise now
            backoff.advance(now());
            failure.at = now();
            failure.retry_at = failure.at + backoff.delay;
            failures_[name] = std::move(failure);
        } else {
            failures_.erase(name);
            start_backoffs_.erase(name);
        }
        step();
    }

    void kill_one(const KillContainer& kill) {
        const bool again = killing_.contains(kill.id);
        killing_[kill.id] = now() + std::chrono::seconds{kill.grace_seconds};
        probes_.erase(kill.id);
        KillOrder order{.pod = gone_ && pod_->spec.containers.empty()
                                   ? std::make_shared<const Pod>(pod_without_spec(*pod_))
                                   : pod_,
                        .what = kill,
                        .pod_addresses = addresses(),
                        .with_hook = !again && !gone_};
        run_beside([self = shared_from_this(), order = std::move(order)] {
            auto done = kill_container(self->parts(), order);
            const std::string& id = order.what.id;
            if (!done) {
                tell(self->parts(), *order.pod, order.what.name, true, "FailedKillPod",
                     done.error().message);
                self->strand_.after(kill_retry, [weak = self->weak_from_this(), id] {
                    const auto core = weak.lock();
                    if (!core || core->finished_) return;
                    core->killing_.erase(id);
                    core->step();
                });
                return;
            }
            self->post([id](Core& core) {
                const auto* record = core.record_.by_id(id);
                if (record) core.refresh_container(id, record->sandbox_id, true);
            });
        });
    }

    void refresh_container(const std::string& id, const std::string& sandbox_id, bool ended) {
        run_beside([self = shared_from_this(), pod = pod_, id, sandbox_id, ended] {
            auto record = ended ? read_ended_container(self->parts(), *pod, id, sandbox_id)
                                : read_container(self->parts(), *pod, id, sandbox_id);
            self->post([id, record = std::move(record)](Core& core) mutable {
                core.refreshed(id, std::move(record));
            });
        });
    }

    void refreshed(const std::string& id, Result<ContainerRecord> fresh) {
        auto* known = record_.by_id(id);
        if (!known) return;
        const bool was_running = known->running();
        if (fresh) {
            if (fresh->state == known->state && fresh->message == known->message) return;
            record_.put(*std::move(fresh));
        } else if (fresh.error().reason == Reason::NotFound) {
            known->state = ContainerState::Exited;   // removed behind our back
            known->exit_code = 137;
            known->reason = "ContainerStatusUnknown";
            known->message = "The container could not be located when the pod was terminated";
            known->finished_at = now();
        } else {
            log_warn("container not read", {{"id", id}, {"error", fresh.error().message}});
            if (!runtime_was_away(fresh.error())) return;   // else there will be a resync
            strand_.after(kill_retry, [self = weak_from_this(), id] {
                const auto core = self.lock();
                if (!core || core->finished_) return;
                const auto* record = core->record_.by_id(id);
                if (record && record->running())
                    core->refresh_container(id, record->sandbox_id, false);
            });
            return;
        }
        known = record_.by_id(id);
        if (was_running && !known->running()) {
            killing_.erase(id);
            probes_.erase(id);
            parts_.ended(id);
        }
        step();
    }

    void remove_one(const std::string& id) {
        if (const auto* found = record_.by_id(id)) {
            run_beside([self = shared_from_this(), pod = pod_, container = *found] {
                remove_container(self->parts(), *pod, container);
            });
        } else {
            run_beside([self = shared_from_this(), id] {
                static_cast<void>(self->parts().cri.remove_pod_sandbox(id));
            });
        }
        verdicts_.erase(id);
        record_.remove(id);
    }

    // ---- probes --------------------------------------------------------------------------------

    void sync_probes() {
        if (gone_ || pod_->metadata.deletionTimestamp) {
            probes_.clear();
            return;
        }
        for (const auto& record : record_.containers) {
            if (!record.running() || probes_.contains(record.id) || killing_.contains(record.id))
                continue;
            const auto* container = agent::find_container(pod_->spec, record.name);
            if (!container || !ContainerProbes::needed(*container)) continue;
            verdicts_.try_emplace(record.id, ContainerProbes::initial(*container));
            const auto all = addresses();
            ProbeSubject subject{
                .pod = pod_,
                .container = container,
                .container_id = record.id,
                .address = pod_->spec.hostNetwork
                               ? (parts().node.addresses.empty() ? "127.0.0.1"
                                                                 : parts().node.addresses.front())
                               : (all.empty() ? "" : all.front()),
                .started_at = record.started_at};
            probes_[record.id] = std::make_unique<ContainerProbes>(
                parts_.checks, std::move(subject),
                [self = weak_from_this()](const std::string& id, ProbeVerdict verdict) {
                    if (const auto core = self.lock()) {
                        core->post([id, verdict](Core& c) {
                            c.verdicts_[id] = verdict;
                            c.step();
                        });
                    }
                },
                [self = weak_from_this(), name = record.name](const std::string& message) {
                    if (const auto core = self.lock()) {
                        core->post([name, message](Core& c) {
                            tell(c.parts(), *c.pod_, name, true, "Unhealthy", message);
                        });
                    }
                });
        }
    }

    // ---- the status ----------------------------------------------------------------------------

    void push_status() {
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

    void send_status() {
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

    void status_written(std::string patch, Result<> done) {
        status_in_flight_ = false;
        const bool gone = !done && (done.error().reason == Reason::NotFound ||
                                    done.error().reason == Reason::Conflict);
        if (done ||
            gone) {   // of a pod that is gone there is nothing to tell: the informer will say
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

    // ---- the end -------------------------------------------------------------------------------

    // Nothing runs any more: the last status is written, then the object goes, then what is left.
    void finish() {
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

    void cleaned(const Result<>& done) {
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

    WorkerParts parts_;
    SharedPod pod_;
    PodRecord record_;
    bool gone_ = false;
    const std::string uid_;

    PodPlan plan_;
    std::map<std::string, ProbeVerdict> verdicts_;
    std::map<std::string, Backoff> restarts_;
    std::map<std::string, Backoff> start_backoffs_;
    std::map<std::string, StartFailure> failures_;
    std::set<std::string> busy_;
    std::map<std::string, WallTime> killing_;
    std::map<std::string, std::string> waiting_told_;
    std::map<std::string, std::unique_ptr<ContainerProbes>> probes_;   // by container id
    std::shared_ptr<Chain> chain_;
    std::set<std::string> ended_early_;   // containers of the chain, by id
    cri::PodSandboxConfig sandbox_config_;

    Volumes volumes_ = Volumes::None;
    std::map<std::string, std::string> volume_paths_;
    std::optional<WallTime> volumes_refresh_at_;
    WallTime volumes_retry_at_{};
    Backoff volumes_backoff_{.first = 500ms, .most = 30s};

    StatusMemory memory_;
    std::string status_sent_;
    std::string status_next_;
    bool status_in_flight_ = false;
    bool finishing_ = false;
    bool cleaning_ = false;
    std::atomic<bool> finished_ = false;
    TimerId wake_ = TimerId::None;
    Guarded<Shown> shown_;
    Strand strand_;
};

PodWorker::PodWorker(WorkerParts parts, SharedPod pod, PodRecord record, bool gone)
    : core_{std::make_shared<Core>(std::move(parts), std::move(pod), std::move(record), gone)} {
    core_->post([](Core& core) { core.begin(); });
}

PodWorker::~PodWorker() = default;

void PodWorker::update(SharedPod pod) {
    core_->post([pod = std::move(pod)](Core& core) { core.update(pod); });
}

void PodWorker::deleted(SharedPod last) {
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
