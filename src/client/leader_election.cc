#include "client/leader_election.h"

#include <atomic>
#include <utility>

#include "base/log.h"
#include "base/text.h"
#include "codec/json.h"

namespace skiff::client {
namespace {

constexpr ResourceName leases{"coordination.k8s.io", "v1", "leases"};
constexpr int64_t retry_jitter_percent = 120;   // upstream's JitterFactor of 1.2

int64_t whole_seconds(Duration duration) {
    return std::max<int64_t>(1, std::chrono::duration_cast<std::chrono::seconds>(duration).count());
}

}   // namespace

// A chain of requests on one strand: read, decide, write, wait. At most one is on its way.
class LeaderElection::Candidate : public std::enable_shared_from_this<Candidate> {
  public:
    Candidate(Executor& executor, Random& random, Transport& transport, ElectionOptions options,
              Handlers handlers)
        : executor_{executor},
          random_{random},
          transport_{transport},
          options_{std::move(options)},
          handlers_{std::move(handlers)},
          strand_{executor} {}

    void start() {
        enter([](Candidate& self) { self.read(); });
    }

    void stop() {
        strand_.close();
        executor_.cancel(next_);
        executor_.cancel(end_);
        next_ = end_ = TimerId::None;
        if (!std::exchange(leading_, false)) return;
        lead_until_.store(MonoTime::min(), std::memory_order_release);
        if (!lease_.empty()) send(write_request(lease_, Release::Yes), [](Result<ApiResponse>) {});
        if (handlers_.stopped) handlers_.stopped();
    }

    bool leads() const {
        return executor_.clock().monotonic() < lead_until_.load(std::memory_order_acquire);
    }

  private:
    enum class Release : bool { No, Yes };

    template <class F>
    void enter(F step) {
        strand_.post(
            [self = shared_from_this(), step = std::move(step)]() mutable { step(*self); });
    }
    // `then` runs on the strand, unless the election was left meanwhile.
    template <class F>
    void ask(ApiRequest request, F then) {
        send(std::move(request),
             [weak = weak_from_this(), then](Result<ApiResponse> answer) mutable {
                 const auto self = weak.lock();
                 if (!self) return;
                 self->enter([then, answer = std::move(answer)](Candidate& to) mutable {
                     then(to, std::move(answer));
                 });
             });
    }
    template <class F>
    void send(ApiRequest request, F done) {
        request.timeout = options_.renew_deadline / 2;
        transport_.send(std::move(request), std::move(done));
    }

    std::string path(std::string_view name) const {
        return path_of(leases, options_.lease.name_space, name);
    }

    void read() {
        ask({.path = path(options_.lease.name)}, [](Candidate& self, Result<ApiResponse> answer) {
            if (answer) return self.decide(std::string{answer->body.view()});
            if (answer.error().reason == Reason::NotFound) return self.write({});
            self.failed("read", answer.error());
        });
    }

    // Another's claim counts for its duration from when we saw it change: clocks are not compared.
    void decide(std::string lease) {
        const auto document = codec::parse_json(lease);
        if (!document) return failed("read", document.error());
        const auto* spec = document->root.find("spec");
        const std::string_view holder = spec ? spec->text_at({"holderIdentity"}) : "";
        const MonoTime now = executor_.clock().monotonic();
        const std::string_view version = document->root.text_at({"metadata", "resourceVersion"});
        if (seen_version_ != version) {
            seen_version_ = version;
            seen_at_ = now;
        }
        const auto* seconds = spec ? spec->find("leaseDurationSeconds") : nullptr;
        const Duration claim = seconds && seconds->is_integer()
                                   ? Duration{std::chrono::seconds{seconds->as_int()}}
                                   : options_.lease_duration;
        if (holder.empty() || holder == options_.identity || seen_at_ + claim <= now)
            return write(std::move(lease));
        if (leading_) lost();   // someone took it
        again(jittered());
    }

    void write(std::string lease) {
        const MonoTime asked = executor_.clock().monotonic();
        ask(write_request(lease, Release::No),
            [asked](Candidate& self, Result<ApiResponse> answer) {
                if (!answer) {
                    self.lease_.clear();   // read it first the next time
                    return self.failed("write", answer.error());
                }
                self.lease_ = answer->body.view();
                self.renewed(asked);
            });
    }

    // Counted from before the request was sent: others count from when they see it.
    void renewed(MonoTime asked) {
        const MonoTime until = asked + options_.renew_deadline;
        lead_until_.store(until, std::memory_order_release);
        executor_.cancel(end_);
        end_ = executor_.after(until - executor_.clock().monotonic(), [weak = weak_from_this()] {
            if (const auto self = weak.lock()) self->enter([](Candidate& to) { to.check_end(); });
        });
        if (!std::exchange(leading_, true)) {
            log_info("leading", {{"lease", options_.lease.text()}});
            if (handlers_.started) handlers_.started();
        }
        again(options_.retry_period);
    }

    void check_end() {
        if (leading_ && !leads()) lost();
    }

    void lost() {
        leading_ = false;
        lease_.clear();
        lead_until_.store(MonoTime::min(), std::memory_order_release);
        log_warn("no longer leading", {{"lease", options_.lease.text()}});
        if (handlers_.stopped) handlers_.stopped();
    }

    void failed(std::string_view what, const Error& error) {
        const bool raced =
            error.reason == Reason::Conflict || error.reason == Reason::AlreadyExists;
        log(raced ? LogLevel::Debug : LogLevel::Warn, concat("lease ", what, " failed"),
            {{"lease", options_.lease.text()}, {"error", error.message}});
        check_end();
        again(leading_ ? options_.retry_period : jittered());
    }

    void again(Duration delay) {
        next_ = executor_.after(delay, [weak = weak_from_this()] {
            if (const auto self = weak.lock())
                self->enter([](Candidate& to) {
                    if (to.lease_.empty())
                        to.read();
                    else
                        to.write(to.lease_);   // the leader's way: no read while nobody else writes
                });
        });
    }

    Duration jittered() {
        const auto extra = static_cast<int64_t>(random_.below(
            static_cast<uint64_t>(options_.retry_period.count()) * retry_jitter_percent / 100));
        return options_.retry_period + Duration{extra};
    }

    // `lease` is what was read, with its resourceVersion as the precondition, or "" to create it.
    ApiRequest write_request(const std::string& lease, Release release) const {
        auto document = codec::parse_json(lease.empty() ? "{}" : std::string_view{lease});
        codec::Document empty;
        auto& [arena, root] = document ? *document : empty;
        if (!root.is_object()) root = codec::Json::object();
        const auto text = [&](std::string_view value) { return codec::Json::string(arena, value); };
        root.set(arena, "apiVersion", text("coordination.k8s.io/v1"));
        root.set(arena, "kind", text("Lease"));
        auto& metadata = root.make_object(arena, "metadata");
        metadata.set(arena, "name", text(options_.lease.name));
        metadata.set(arena, "namespace", text(options_.lease.name_space));
        auto& spec = root.make_object(arena, "spec");
        const std::string now = rfc3339_micro(executor_.clock().now());
        const std::string before{spec.text_at({"holderIdentity"})};
        if (release == Release::No && before != options_.identity) {
            const auto* count = spec.find("leaseTransitions");
            const int64_t transitions = count && count->is_integer() ? count->as_int() + 1 : 0;
            spec.set(arena, "leaseTransitions", codec::Json::integer(transitions));
            spec.set(arena, "acquireTime", text(now));
        }
        spec.set(arena, "holderIdentity", text(release == Release::Yes ? "" : options_.identity));
        spec.set(arena, "leaseDurationSeconds",
                 codec::Json::integer(
                     release == Release::Yes ? 1 : whole_seconds(options_.lease_duration)));
        spec.set(arena, "renewTime", text(now));
        return {.method = lease.empty() ? "POST" : "PUT",
                .path = path(lease.empty() ? "" : options_.lease.name),
                .content_type = "application/json",
                .body = codec::to_json(root)};
    }

    Executor& executor_;
    Random& random_;
    Transport& transport_;
    const ElectionOptions options_;
    const Handlers handlers_;
    Strand strand_;
    std::atomic<MonoTime> lead_until_ = MonoTime::min();
    // Below: of the strand.
    bool leading_ = false;
    std::string lease_;   // as we wrote it last; "" when it must be read first
    std::string seen_version_;
    MonoTime seen_at_;
    TimerId next_ = TimerId::None;
    TimerId end_ = TimerId::None;
};

LeaderElection::LeaderElection(Executor& executor, Random& random, Transport& transport,
                               ElectionOptions options, Handlers handlers)
    : candidate_{std::make_shared<Candidate>(executor, random, transport, std::move(options),
                                             std::move(handlers))} {}
LeaderElection::~LeaderElection() { candidate_->stop(); }
void LeaderElection::start() { candidate_->start(); }
void LeaderElection::stop() { candidate_->stop(); }
bool LeaderElection::leads() const { return candidate_->leads(); }

}   // namespace skiff::client
