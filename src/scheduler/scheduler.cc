#include "scheduler/scheduler.h"

#include <unordered_map>

#include "base/log.h"
#include "base/text.h"
#include "client/event_recorder.h"
#include "client/informer.h"
#include "codec/json.h"
#include "scheduler/decide.h"
#include "scheduler/queue.h"
#include "scheduler/volume_binder.h"

namespace skiff::scheduler {
namespace {

constexpr auto bind_again = std::chrono::seconds{1};
constexpr std::string_view own_name = "default-scheduler";

bool finished(const view::Pod& pod) {
    return pod.status.phase == "Succeeded" || pod.status.phase == "Failed";
}

bool ours(const view::Pod& pod) {
    const std::string_view name = pod.spec.schedulerName;
    return name.empty() || name == own_name;
}

bool wanted(const view::Pod& pod) {
    return !pod.metadata.deletionTimestamp && ours(pod) && pod.spec.schedulingGates.empty() &&
           !finished(pod);
}

// The server said no. All else leaves open whether the pod was bound.
bool refused(const Error& error) {
    return error.reason == Reason::Forbidden || error.reason == Reason::Invalid ||
           error.reason == Reason::BadRequest || error.reason == Reason::MethodNotAllowed ||
           error.reason == Reason::Unauthorized;
}

// All state belongs to the strand; informers and answers post to it.
class TheScheduler final : public Scheduler, public std::enable_shared_from_this<TheScheduler> {
  public:
    TheScheduler(Executor& executor, Random& random, client::Transport& transport)
        : executor_{executor},
          random_{random},
          transport_{transport},
          pods_{executor, random, transport},
          nodes_{executor, random, transport},
          volumes_{executor, random, transport},
          events_{executor, transport, {.component = std::string{own_name}, .host = {}}},
          strand_{executor} {}

    void start() override {
        pods_.on_change([this](const auto& old, const auto& now) {
            post([old, now](TheScheduler& self) { self.pod_changed(old, now); });
        });
        nodes_.on_change([this](const auto& old, const auto& now) {
            post([old, now](TheScheduler& self) { self.node_changed(old, now); });
        });
        nodes_.on_synced([this] {
            volumes_.start(
                [this](std::function<void()> work) {
                    post([work = std::move(work)](TheScheduler&) { work(); });
                },
                [this](const VolumeBinder::Concerns& concerns) {
                    queue_.wake_if(concerns);
                    turn();
                },
                [this] { pods_.start(); });
        });
        pods_.on_synced([this] {
            post([](TheScheduler& self) {
                self.synced_ = true;
                self.turn();
            });
        });
        nodes_.start();
    }

    void stop() {
        nodes_.stop();
        volumes_.stop();
        pods_.stop();
        strand_.close();
        if (timer_ != TimerId::None) executor_.cancel(timer_);
    }

  private:
    template <class F>
    void post(F work) {
        strand_.post([weak = weak_from_this(), work = std::move(work)] {
            if (const auto self = weak.lock()) work(*self);
        });
    }

    void node_changed(const NodePtr& old, const NodePtr& now) {
        const auto& name = (now ? now : old)->metadata.name;
        auto& info = infos_[name];
        info.node = now;
        if (info.empty()) infos_.erase(name);
        // A heartbeat changes nothing that a decision looks at.
        const bool matters = !old || !now || !(old->spec == now->spec) ||
                             !(old->metadata.labels == now->metadata.labels) ||
                             !(old->status.allocatable == now->status.allocatable);
        if (matters) queue_.wake(executor_.clock().monotonic());
        turn();
    }

    void forget(const view::Pod& pod, std::string_view node) {
        const auto found = infos_.find(std::string{node});
        if (found == infos_.end()) return;
        found->second.remove(pod.metadata.uid);
        if (found->second.empty()) infos_.erase(found);
    }

    void pod_changed(const PodPtr& old, const PodPtr& now) {
        // One of the same name came after it, and its deletion was not seen.
        if (old && now && old->metadata.uid != now->metadata.uid) {
            pod_changed(old, nullptr);
            return pod_changed(nullptr, now);
        }
        const auto& pod = now ? *now : *old;
        const auto& uid = pod.metadata.uid;
        const std::string_view node = pod.spec.nodeName;
        if (!now || finished(*now)) {
            queue_.remove(uid);
            const auto assumed = assumed_.find(uid);
            if (assumed != assumed_.end()) forget(pod, assumed->second);
            assumed_.erase(uid);
            volumes_.forget(uid);
            if (!node.empty()) forget(pod, node);
            queue_.wake(executor_.clock().monotonic());
        } else if (!node.empty()) {
            queue_.remove(uid);
            const auto assumed = assumed_.find(uid);
            if (assumed != assumed_.end() && assumed->second != node) forget(pod, assumed->second);
            assumed_.erase(uid);
            infos_[std::string{node}].add(now);
        } else if (!assumed_.contains(uid)) {
            if (!wanted(*now))
                queue_.remove(uid);
            else
                queue_.put(now, executor_.clock().monotonic());
            const bool other = old && (!(old->spec == now->spec) ||
                                       !(old->metadata.labels == now->metadata.labels));
            if (other) queue_.wake_one(uid);   // it may fit now
        }
        turn();
    }

    void turn() {
        if (!synced_) return;
        while (const auto pod = queue_.take(executor_.clock().monotonic())) schedule(pod);
        const auto next = queue_.next_ready();
        if (timer_ != TimerId::None) executor_.cancel(timer_);
        timer_ = TimerId::None;
        if (!next) return;
        const auto delay =
            std::max<Duration>(*next - executor_.clock().monotonic(), Duration::zero());
        timer_ = executor_.after(delay, [weak = weak_from_this()] {
            if (const auto self = weak.lock())
                self->post([](TheScheduler& owner) { owner.turn(); });
        });
    }

    void schedule(const PodPtr& pod) {
        std::vector<const NodeInfo*> candidates;
        candidates.reserve(infos_.size());
        for (const auto& [name, info] : infos_)
            if (info.node) candidates.push_back(&info);
        if (has_claims(*pod)) return schedule_with_claims(pod, candidates);
        const auto decision = decide(*pod, candidates, random_.number());
        if (decision.node.empty()) return refuse(pod, decision.message(candidates.size()));
        assume(pod, decision.node);
        bind(pod, decision.node);
    }

    void assume(const PodPtr& pod, const std::string& node) {
        infos_[node].add(pod);
        assumed_[pod->metadata.uid] = node;
    }

    void schedule_with_claims(const PodPtr& pod, const std::vector<const NodeInfo*>& candidates) {
        const VolumeBinder::Look look{volumes_, *pod,
                                      [&](const auto& claim) { return in_use(claim, *pod); }};
        if (!look.needs.refusal.empty())
            return refuse(pod, concat("0/", candidates.size(),
                                      " nodes are available: ", look.needs.refusal, "."));
        const auto fit = [&](const NodeInfo& node) {
            return fit_volumes(look.needs, look.facts, *node.node);
        };
        const auto decision = decide(*pod, candidates, random_.number(),
                                     [&](const NodeInfo& node) { return fit(node).refusal; });
        if (decision.node.empty()) return refuse(pod, decision.message(candidates.size()));
        auto choices = fit(infos_[decision.node]).choices;
        assume(pod, decision.node);
        if (choices.empty()) return bind(pod, decision.node);
        volumes_.prepare(pod, decision.node, std::move(choices),
                         [this, pod, node = decision.node](Result<> done) {
                             if (done) return bind(pod, node);
                             volumes_failed(pod, node, done.error());
                         });
    }

    // Of a claim for one pod only.
    bool in_use(const view::PersistentVolumeClaim& claim, const view::Pod& asking) {
        return std::ranges::any_of(
            pods_.in_namespace(claim.metadata.namespace_.view()), [&](const PodPtr& pod) {
                const bool placed =
                    !pod->spec.nodeName.empty() || assumed_.contains(pod->metadata.uid);
                return placed && !finished(*pod) && pod->metadata.uid != asking.metadata.uid &&
                       std::ranges::any_of(pod->spec.volumes, [&](const auto& volume) {
                           return volume.persistentVolumeClaim &&
                                  volume.persistentVolumeClaim->claimName == claim.metadata.name;
                       });
            });
    }

    void volumes_failed(const PodPtr& pod, const std::string& node, const Error& why) {
        assumed_.erase(pod->metadata.uid);
        forget(*pod, node);
        queue_.remove(pod->metadata.uid);
        const auto now =
            pods_.find({.name_space = pod->metadata.namespace_.str(), .name = pod->metadata.name});
        if (!now || now->metadata.uid != pod->metadata.uid || !wanted(*now)) return;
        const auto time = executor_.clock().monotonic();
        queue_.put(now, time);
        refuse(now, concat("running PreBind plugin \"VolumeBinding\": ", why.message));
        queue_.wake(time);   // what it saw was old: after its back-off it is decided anew
        turn();
    }

    void bind(const PodPtr& pod, const std::string& node) {
        const auto& name = pod->metadata.name;
        const auto name_space = pod->metadata.namespace_.str();
        client::ApiRequest request{
            .method = "POST",
            .path = concat("/api/v1/namespaces/", name_space, "/pods/", name, "/binding"),
            .query = {},
            .content_type = "application/json",
            .body = {}};
        request.body =
            concat(R"({"kind":"Binding","apiVersion":"v1","metadata":{"name":")", name,
                   R"(","namespace":")", name_space, R"(","uid":")", pod->metadata.uid,
                   R"("},"target":{"kind":"Node","apiVersion":"v1","name":")", node, R"("}})");
        transport_.send(std::move(request), [weak = weak_from_this(), pod,
                                             node](Result<client::ApiResponse> answer) {
            const auto self = weak.lock();
            if (!self) return;
            self->post([pod, node,
                        failed = answer ? std::optional<Error>{} : std::optional{answer.error()}](
                           TheScheduler& owner) { owner.bound(pod, node, failed); });
        });
    }

    void bound(const PodPtr& pod, const std::string& node, const std::optional<Error>& failed) {
        if (!failed) {
            queue_.remove(pod->metadata.uid);
            events_.record(client::reference_to(*pod), client::EventType::Normal, "Scheduled",
                           concat("Successfully assigned ", pod->metadata.namespace_.view(), "/",
                                  pod->metadata.name, " to ", node));
            return;
        }
        const auto assumed = assumed_.find(pod->metadata.uid);
        if (assumed == assumed_.end() || assumed->second != node) return;   // the informer has told
        const auto now =
            pods_.find({.name_space = pod->metadata.namespace_.str(), .name = pod->metadata.name});
        if (!now || now->metadata.uid != pod->metadata.uid || !now->spec.nodeName.empty())
            return;   // it will tell
        // Without an answer the pod may be bound: its place stays taken, and only the same binding
        // can be tried again. One that is being deleted and has no node will not get one.
        const bool over = refused(*failed) || !wanted(*now);
        log_warn("a binding failed",
                 {{"pod", pod->metadata.name}, {"node", node}, {"error", failed->message}});
        if (!over) {
            executor_.after(bind_again, [weak = weak_from_this(), pod, node] {
                if (const auto self = weak.lock())
                    self->post(
                        [pod, node](TheScheduler& owner) { owner.bind_once_more(pod, node); });
            });
            return;
        }
        assumed_.erase(assumed);
        forget(*pod, node);
        queue_.remove(pod->metadata.uid);
        if (wanted(*now)) retry(now);
        queue_.wake(executor_.clock().monotonic());
        turn();
    }

    void bind_once_more(const PodPtr& pod, const std::string& node) {
        const auto assumed = assumed_.find(pod->metadata.uid);
        if (assumed != assumed_.end() && assumed->second == node) bind(pod, node);
    }

    void retry(const PodPtr& pod) {
        const auto now = executor_.clock().monotonic();
        queue_.put(pod, now);
        queue_.park(pod, now);
    }

    // The pod does not say why it waits: it is decided anew.
    void say_again(const std::string& uid) {
        queue_.wake_one(uid);
        turn();
    }

    void refuse(const PodPtr& pod, const std::string& why) {
        queue_.park(pod, executor_.clock().monotonic());
        for (const auto& condition : pod->status.conditions)
            if (condition.type == "PodScheduled" && condition.reason == "Unschedulable" &&
                condition.message == why)
                return;
        events_.record(client::reference_to(*pod), client::EventType::Warning, "FailedScheduling",
                       why);
        std::string message;
        codec::write_json_string(why, message);
        client::ApiRequest request{
            .method = "PATCH",
            .path = concat("/api/v1/namespaces/", pod->metadata.namespace_.view(), "/pods/",
                           pod->metadata.name, "/status"),
            .query = {},
            .content_type = "application/strategic-merge-patch+json",
            .body = {}};
        request.body = concat(
            R"({"metadata":{"uid":")", pod->metadata.uid,
            R"("},"status":{"conditions":[{"type":"PodScheduled",)",
            R"("status":"False","reason":"Unschedulable","lastProbeTime":null,"lastTransitionTime":")",
            rfc3339(executor_.clock().now()), R"(","message":)", message, "}]}}");
        transport_.send(std::move(request), [weak = weak_from_this(), uid = pod->metadata.uid](
                                                Result<client::ApiResponse> answer) {
            if (answer) return;
            log_debug("a pod's condition was not written", {{"error", answer.error().message}});
            if (const auto self = weak.lock())
                self->post([uid](TheScheduler& owner) { owner.say_again(uid); });
        });
    }

    Executor& executor_;
    Random& random_;
    client::Transport& transport_;
    client::Informer<view::Pod> pods_;
    client::Informer<view::Node> nodes_;
    VolumeBinder volumes_;
    client::EventRecorder events_;
    std::map<std::string, NodeInfo> infos_;
    std::unordered_map<std::string, std::string>
        assumed_;   // pod uid: node it was bound to, not yet seen
    PodQueue queue_;
    bool synced_ = false;
    TimerId timer_ = TimerId::None;
    Strand strand_;   // last: nothing runs on it when the rest goes
};

// Owns it and stops it; answers that come later find nobody.
class Handle final : public Scheduler {
  public:
    explicit Handle(std::shared_ptr<TheScheduler> scheduler) : scheduler_{std::move(scheduler)} {}
    ~Handle() override { scheduler_->stop(); }
    void start() override { scheduler_->start(); }

  private:
    std::shared_ptr<TheScheduler> scheduler_;
};

}   // namespace

std::unique_ptr<Scheduler> make_scheduler(Executor& executor, Random& random,
                                          client::Transport& transport) {
    return std::make_unique<Handle>(std::make_shared<TheScheduler>(executor, random, transport));
}

}   // namespace skiff::scheduler
