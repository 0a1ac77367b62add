#include "client/work_queue.h"

#include <deque>
#include <map>
#include <set>
#include <vector>

#include "base/guarded.h"
#include "base/log.h"
#include "client/backoff.h"

namespace skiff::client {

// No call to the executor is made under the lock: in the simulated world it may be a turning point.
class WorkQueue::Core : public std::enable_shared_from_this<WorkQueue::Core> {
  public:
    Core(Executor& executor, Reconcile reconcile, WorkQueueOptions options)
        : executor_{executor}, reconcile_{std::move(reconcile)}, options_{options} {}

    void add(const ObjectKey& key) {
        if (state_.use([&](State& state) { return enqueue(state, key); })) post_worker();
    }

    void add_after(const ObjectKey& key, Duration delay) {
        if (delay <= Duration::zero()) return add(key);
        const MonoTime due = executor_.clock().monotonic() + delay;
        const auto token = state_.use([&](State& state) -> uint64_t {
            if (state.stopping) return 0;
            const auto known = state.delayed.find(key);
            if (known != state.delayed.end() && known->second.due <= due) return 0;
            state.delayed[key] = {due, ++state.last_token, TimerId::None};
            return state.last_token;
        });
        if (token == 0) return;
        const TimerId timer = executor_.after(delay, [weak = weak_from_this(), key, token] {
            if (const auto self = weak.lock()) self->delayed_is_due(key, token);
        });
        state_.use([&](State& state) {
            const auto known = state.delayed.find(key);
            if (known != state.delayed.end() && known->second.token == token)
                known->second.timer = timer;
        });
    }

    void start() {
        const size_t workers = state_.use([&](State& state) {
            state.started = true;
            size_t count = 0;
            while (take_worker(state)) ++count;
            return count;
        });
        for (size_t i = 0; i < workers; ++i) post_worker();
    }

    void stop() {
        std::vector<TimerId> timers;
        const auto waiter = executor_.make_waiter();
        const bool wait = state_.use([&](State& state) {
            state.stopping = true;
            for (const auto& [key, delayed] : state.delayed) timers.push_back(delayed.timer);
            state.delayed.clear();
            state.queue.clear();
            state.dirty.clear();
            if (!state.processing.empty()) state.stopped.push_back(waiter);
            return !state.processing.empty();
        });
        for (const TimerId timer : timers) executor_.cancel(timer);
        if (wait) waiter->wait();
    }

    size_t size() const {
        return state_.use([](const State& state) { return state.queue.size(); });
    }
    unsigned failures(const ObjectKey& key) const {
        return state_.use([&](const State& state) {
            const auto known = state.failures.find(key);
            return known == state.failures.end() ? 0u : known->second;
        });
    }

  private:
    struct Delayed {
        MonoTime due;
        uint64_t token = 0;   // tells this timer from one that an earlier time replaced
        TimerId timer = TimerId::None;
    };
    struct State {
        std::deque<ObjectKey> queue;
        std::set<ObjectKey> dirty;   // in the queue, or to be when its reconcile is done
        std::set<ObjectKey> processing;
        std::map<ObjectKey, Delayed> delayed;
        std::map<ObjectKey, unsigned> failures;
        unsigned workers = 0;   // posted or running
        uint64_t last_token = 0;
        bool started = false;
        bool stopping = false;
        std::vector<std::shared_ptr<Waiter>> stopped;
    };

    // Both: true when the caller must post a worker.
    bool enqueue(State& state, const ObjectKey& key) {
        if (state.stopping || !state.dirty.insert(key).second) return false;
        if (state.processing.contains(key)) return false;
        state.queue.push_back(key);
        return take_worker(state);
    }
    bool take_worker(State& state) {
        if (!state.started || state.workers >= options_.workers) return false;
        if (state.queue.size() <= state.workers - state.processing.size()) return false;
        ++state.workers;
        return true;
    }

    void post_worker() {
        executor_.post([self = shared_from_this()] { self->work(); });
    }

    void delayed_is_due(const ObjectKey& key, uint64_t token) {
        const bool post = state_.use([&](State& state) {
            const auto known = state.delayed.find(key);
            if (known == state.delayed.end() || known->second.token != token) return false;
            state.delayed.erase(known);
            return enqueue(state, key);
        });
        if (post) post_worker();
    }

    // One key a turn, so that other tasks of the executor get theirs.
    void work() {
        const auto key = state_.use([](State& state) -> std::optional<ObjectKey> {
            if (state.stopping || state.queue.empty()) {
                --state.workers;
                return std::nullopt;
            }
            ObjectKey next = std::move(state.queue.front());
            state.queue.pop_front();
            state.dirty.erase(next);
            state.processing.insert(next);
            return next;
        });
        if (!key) return;
        finish(*key, reconcile_(*key));
    }

    void finish(const ObjectKey& key, Result<Requeue> result) {
        std::optional<Duration> again;
        std::vector<std::shared_ptr<Waiter>> stopped;
        const bool more = state_.use([&](State& state) {
            if (result) {
                state.failures.erase(key);
                again = result->after;
            } else {
                again = exponential(options_.backoff_first, options_.backoff_max,
                                    state.failures[key]++);
            }
            state.processing.erase(key);
            if (state.dirty.contains(key)) state.queue.push_back(key);
            if (state.processing.empty()) stopped.swap(state.stopped);
            if (!state.stopping && !state.queue.empty()) return true;
            --state.workers;
            return false;
        });
        if (!result) report(key, result.error(), *again);
        if (again) add_after(key, *again);
        if (more) post_worker();
        for (const auto& waiter : stopped) waiter->notify();
    }

    // What has changed or gone meanwhile is no fault: the cache was behind, the next attempt sees
    // more.
    void report(const ObjectKey& key, const Error& error, Duration again) const {
        const bool behind = error.reason == Reason::Conflict || error.reason == Reason::NotFound;
        log(behind ? LogLevel::Debug : LogLevel::Warn, "reconcile failed",
            {{"queue", options_.name},
             {"key", key.text()},
             {"error", error.message},
             {"again_in", go_duration(again)}});
    }

    Executor& executor_;
    const Reconcile reconcile_;
    const WorkQueueOptions options_;
    Guarded<State> state_;
};

WorkQueue::WorkQueue(Executor& executor, Reconcile reconcile, WorkQueueOptions options)
    : core_{std::make_shared<Core>(executor, std::move(reconcile), options)} {}
WorkQueue::~WorkQueue() { core_->stop(); }
void WorkQueue::add(const ObjectKey& key) { core_->add(key); }
void WorkQueue::add_after(const ObjectKey& key, Duration delay) { core_->add_after(key, delay); }
void WorkQueue::start() { core_->start(); }
void WorkQueue::stop() { core_->stop(); }
size_t WorkQueue::size() const { return core_->size(); }
unsigned WorkQueue::failures(const ObjectKey& key) const { return core_->failures(key); }

}   // namespace skiff::client
