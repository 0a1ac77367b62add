// What a pod worker has done by the runtime: volumes, sandbox, containers, probes. Each function
// runs on the strand, sends the blocking part beside it and takes the result up again.
#include <algorithm>

#include "agent/pod_worker_core.h"
#include "base/log.h"
#include "base/text.h"

namespace skiff::agent {

namespace {

constexpr Duration kill_retry = 2s;

}   // namespace

// ---- configuration and volumes ----------------------------------------------------------------

void PodWorker::Core::want_configs() {
    if (gone_) return;
    ConfigNames names = volume_names(pod_->spec);
    for (const auto* list : {&pod_->spec.containers, &pod_->spec.initContainers}) {
        for (const auto& container : *list) names.add(environment_names(container));
    }
    for (const auto& container : pod_->spec.ephemeralContainers) {
        names.add(environment_names(as_container(container)));
    }
    for (const auto& secret : pod_->spec.imagePullSecrets) names.secrets.insert(secret.name);
    for (const auto& volume : pod_->spec.volumes)
        if (auto claim = claim_name_of(*pod_, volume); !claim.empty())
            names.claims.insert(std::move(claim));
    if (names.empty()) return;
    parts().configs.want(uid_, pod_->metadata.namespace_.str(), names, [self = weak_from_this()] {
        if (const auto core = self.lock()) core->post([](Core& c) { c.config_changed(); });
    });
}

void PodWorker::Core::config_changed() {
    std::erase_if(failures_, [](const auto& entry) {
        return entry.second.reason == "CreateContainerConfigError";
    });
    volumes_retry_at_ = {};
    if (volumes_ == Volumes::Ready) refresh_volumes_now();
    step();
}

void PodWorker::Core::make_volumes_now() {
    volumes_ = Volumes::Making;
    run_beside([self = shared_from_this(), pod = pod_, addresses = addresses()] {
        auto made = make_volumes(self->parts(), *pod, addresses);
        self->post(
            [made = std::move(made)](Core& core) mutable { core.volumes_made(std::move(made)); });
    });
}

void PodWorker::Core::volumes_made(Result<VolumesMade> made) {
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

void PodWorker::Core::refresh_volumes_now() {
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

// ---- the sandbox ------------------------------------------------------------------------------

void PodWorker::Core::create_sandbox() {
    busy_.insert("");
    run_beside([self = shared_from_this(), pod = pod_, attempt = plan_.sandbox_attempt] {
        auto made = make_sandbox(self->parts(), *pod, attempt);
        if (made) self->parts_.owns(made->record.id, self->uid_);
        self->post(
            [made = std::move(made)](Core& core) mutable { core.sandbox_made(std::move(made)); });
    });
}

void PodWorker::Core::sandbox_made(Result<SandboxMade> made) {
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

void PodWorker::Core::stop_sandbox(const std::string& id) {
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

void PodWorker::Core::refresh_sandbox(const std::string& id, bool ended) {
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

// ---- containers -------------------------------------------------------------------------------

void PodWorker::Core::start_chain() {
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
    run_beside([self = shared_from_this(), chain = chain_, orders = std::move(orders)]() mutable {
        const auto admitted =
            admit_pod(self->parts(), *orders.front().pod, orders.front().sandbox.addresses);
        if (!admitted) return self->not_admitted(chain, orders, admitted.error());
        for (auto& order : orders) {
            int open = Chain::Creating;
            chain->gate.compare_exchange_strong(open, Chain::Open);
            order.may_create = [&chain] {
                int expected = Chain::Open;
                return chain->gate.compare_exchange_strong(expected, Chain::Creating);
            };
            order.created = [&self](const std::string& id) { self->parts_.owns(id, self->uid_); };
            order.hook_begins = [&self, &chain](const ContainerRecord& record) {
                chain->gate = Chain::Hooking;
                self->post([chain, record](Core& core) { core.hook_begins(chain, record); });
            };
            order.hook_ends = [&chain] {
                int expected = Chain::Hooking;
                return chain->gate.compare_exchange_strong(expected, Chain::Creating);
            };
            auto result = start_container(self->parts(), order);
            if (result.forgotten) return;
            if (result.record)
                self->parts_.owns(result.record->id, self->uid_);   // a found one, too
            self->post([chain, name = order.what.name, result = std::move(result)](
                           Core& core) mutable { core.started(*chain, name, std::move(result)); });
            if (chain->gate == Chain::Closed) return;
        }
        self->post([chain](Core& core) {
            if (core.chain_ == chain) core.chain_.reset();
            core.ended_early_.clear();
            core.step();
        });
    });
}

void PodWorker::Core::not_admitted(const std::shared_ptr<Chain>& chain,
                                   const std::vector<StartOrder>& orders, const Error& error) {
    post([chain, orders, error](Core& core) {
        if (core.chain_ != chain) return;
        core.chain_.reset();
        for (const auto& order : orders) {
            StartResult result;
            result.failure = {.reason = "NetworkNotReady", .message = error.message};
            result.failure->transient = true;
            core.busy_.erase(order.what.name);
            core.started(*chain, order.what.name, std::move(result));
        }
    });
}

std::string PodWorker::Core::target_of(const StartContainer& start) const {
    if (start.role != Role::Ephemeral) return {};
    const auto& target = pod_->spec.ephemeralContainers[start.index].targetContainerName;
    const auto* record = target.empty() ? nullptr : record_.newest(target);
    return record ? record->id : "";
}

bool PodWorker::Core::abandon_chain() {
    if (!chain_) return false;
    int expected = Chain::Open;
    if (!chain_->gate.compare_exchange_strong(expected, Chain::Closed)) {
        expected = Chain::Hooking;
        if (!hooking_ || !chain_->gate.compare_exchange_strong(expected, Chain::Closed))
            return false;
        record_.put(*std::exchange(hooking_, std::nullopt));   // ended as any that runs
    }
    for (const auto& name : chain_->names) busy_.erase(name);
    chain_.reset();
    return true;
}

void PodWorker::Core::hook_begins(const std::shared_ptr<Chain>& chain,
                                  const ContainerRecord& record) {
    if (chain_ == chain)
        hooking_ = record;
    else
        record_.put(record);   // given up before we heard of it
    step();
}

void PodWorker::Core::started(const Chain& chain, const std::string& name, StartResult result) {
    hooking_.reset();
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

void PodWorker::Core::kill_one(const KillContainer& kill) {
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

void PodWorker::Core::refresh_container(const std::string& id, const std::string& sandbox_id,
                                        bool ended) {
    run_beside([self = shared_from_this(), pod = pod_, id, sandbox_id, ended] {
        auto record = ended ? read_ended_container(self->parts(), *pod, id, sandbox_id)
                            : read_container(self->parts(), *pod, id, sandbox_id);
        self->post([id, record = std::move(record)](Core& core) mutable {
            core.refreshed(id, std::move(record));
        });
    });
}

void PodWorker::Core::refreshed(const std::string& id, Result<ContainerRecord> fresh) {
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
            if (record && record->running()) core->refresh_container(id, record->sandbox_id, false);
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

void PodWorker::Core::remove_one(const std::string& id) {
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

// ---- probes -----------------------------------------------------------------------------------

void PodWorker::Core::sync_probes() {
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

}   // namespace skiff::agent
