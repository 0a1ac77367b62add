#include "base/executor.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <vector>

#include <pthread.h>
#include <signal.h>

#include "base/result.h"

namespace skiff {
namespace {

constexpr unsigned thread_start_attempts_max = 200;
constexpr auto thread_start_pause = std::chrono::milliseconds{10};
constexpr int strand_tasks_per_turn_max = 32;

// Waits on `condition` until `deadline` of `clock`, which need not be the machine's own.
template <class Done>
bool wait_on(std::condition_variable& condition, std::unique_lock<std::mutex>& lock,
             const Clock& clock, std::optional<MonoTime> deadline, Done done) {
    while (!done()) {
        if (!deadline) {
            condition.wait(lock);
            continue;
        }
        const Duration left = *deadline - clock.monotonic();
        if (left <= Duration::zero()) return false;
        // Capped: libstdc++ adds the span to a clock and far deadlines would overflow.
        condition.wait_for(lock, std::min<Duration>(left, std::chrono::hours{24}));
    }
    return true;
}

class PoolWaiter final : public Waiter {
  public:
    explicit PoolWaiter(Clock& clock) : clock_{clock} {}
    void notify() override {
        const std::lock_guard lock{mutex_};
        notified_ = true;
        changed_.notify_all();
    }
    bool wait_until(std::optional<MonoTime> deadline) override {
        std::unique_lock lock{mutex_};
        return wait_on(changed_, lock, clock_, deadline, [this] { return notified_; });
    }

  private:
    Clock& clock_;
    std::mutex mutex_;
    std::condition_variable changed_;
    bool notified_ = false;
};

// Everything the threads touch. They share its ownership, so that the last one may still be
// leaving when the pool is gone.
class PoolState : public std::enable_shared_from_this<PoolState> {
  public:
    PoolState(Clock& clock, ThreadPoolOptions options) : clock_{clock}, options_{options} {}

    void post(Task task) {
        std::unique_lock lock{mutex_};
        if (stopping_) {
            lock.unlock();   // the task dies outside the lock: its captures may come back here
            return;
        }
        queue_.push_back(std::move(task));
        provide_worker(lock);
    }

    TimerId after(Duration delay, Task task) {
        const std::lock_guard lock{mutex_};
        if (stopping_) return TimerId::None;
        const auto id = static_cast<TimerId>(++last_timer_);
        // Not before now, not so late that the sum overflows.
        delay = std::clamp<Duration>(delay, Duration::zero(), std::chrono::hours{24 * 365 * 100});
        const TimerKey key{clock_.monotonic() + delay, last_timer_};
        const bool earliest = timers_.empty() || key < timers_.begin()->first;
        timers_.emplace(key, std::move(task));
        due_of_.emplace(id, key.first);
        if (!timer_thread_) {
            timer_thread_ = true;
            start_thread([](PoolState& state) { state.run_timers(); });
        } else if (earliest) {
            timers_changed_.notify_one();
        }
        return id;
    }

    bool cancel(TimerId id) {
        Task dropped;   // dies outside the lock
        const std::lock_guard lock{mutex_};
        const auto due = due_of_.find(id);
        if (due == due_of_.end()) return false;
        const auto timer = timers_.find({due->second, static_cast<uint64_t>(id)});
        dropped = std::move(timer->second);
        timers_.erase(timer);
        due_of_.erase(due);
        if (timers_.empty()) timers_changed_.notify_one();   // its thread may go
        return true;
    }

    void stop() {
        std::deque<Task> queue;
        std::map<TimerKey, Task> timers;
        std::unique_lock lock{mutex_};
        stopping_ = true;
        queue.swap(queue_);
        timers.swap(timers_);
        due_of_.clear();
        for (Idle* idle : idle_) idle->wake.notify_one();
        timers_changed_.notify_one();
        thread_left_.wait(lock, [this] { return threads_ == 0 && !timer_thread_; });
        lock.unlock();
    }

    Clock& clock() { return clock_; }

  private:
    using TimerKey = std::pair<MonoTime, uint64_t>;
    struct Idle {
        std::condition_variable wake;
        bool woken = false;
    };

    // One waiting thread is woken, the last that fell asleep first, so that the others grow old.
    void provide_worker(std::unique_lock<std::mutex>&) {
        if (!idle_.empty()) {
            Idle* idle = idle_.back();
            idle_.pop_back();
            idle->woken = true;
            idle->wake.notify_one();
        } else if (threads_ < options_.threads_max) {
            ++threads_;
            start_thread([](PoolState& state) { state.run_tasks(); });
        }
    }

    void run_tasks() {
        std::unique_lock lock{mutex_};
        while (!stopping_) {
            if (!queue_.empty()) {
                Task task = std::move(queue_.front());
                queue_.pop_front();
                lock.unlock();
                task();
                task = nullptr;   // its captures die before the lock is taken
                lock.lock();
            } else if (!sleep(lock)) {
                break;
            }
        }
        --threads_;
        thread_left_.notify_all();
    }

    bool sleep(std::unique_lock<std::mutex>& lock) {   // false: nothing came for the idle timeout
        Idle self;
        idle_.push_back(&self);
        const MonoTime deadline = clock_.monotonic() + options_.idle_timeout;
        const bool work =
            wait_on(self.wake, lock, clock_, deadline, [&] { return self.woken || stopping_; });
        std::erase(idle_, &self);
        return work;
    }

    void run_timers() {
        std::unique_lock lock{mutex_};
        while (!timers_.empty() && !stopping_) {
            const auto first = timers_.begin();
            const TimerKey key = first->first;
            if (key.first <= clock_.monotonic()) {
                due_of_.erase(static_cast<TimerId>(key.second));
                queue_.push_back(std::move(first->second));
                timers_.erase(first);
                provide_worker(lock);
                continue;
            }
            wait_on(timers_changed_, lock, clock_, key.first,
                    [&] { return stopping_ || timers_.empty() || timers_.begin()->first != key; });
        }
        timer_thread_ = false;
        thread_left_.notify_all();
    }

    struct Start {
        std::shared_ptr<PoolState> state;
        void (*run)(PoolState&);
    };
    static void* thread_main(void* argument) {
        const std::unique_ptr<Start> start{static_cast<Start*>(argument)};
        ::pthread_setname_np(::pthread_self(), start->state->options_.name);
        start->run(*start->state);
        return nullptr;
    }

    // Signals stay with the threads that main() chose for them.
    void start_thread(void (*run)(PoolState&)) {
        auto start = std::make_unique<Start>(Start{shared_from_this(), run});
        pthread_attr_t attributes;
        ::pthread_attr_init(&attributes);
        ::pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
        ::pthread_attr_setstacksize(&attributes, options_.stack_bytes);
        sigset_t all, before;
        ::sigfillset(&all);
        ::pthread_sigmask(SIG_SETMASK, &all, &before);
        // EAGAIN: the machine is out of threads or memory for the moment.
        int problem = EAGAIN;
        for (unsigned i = 0; problem == EAGAIN && i < thread_start_attempts_max; ++i) {
            if (i > 0) std::this_thread::sleep_for(thread_start_pause);
            pthread_t thread;
            problem = ::pthread_create(&thread, &attributes, thread_main, start.get());
        }
        ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
        ::pthread_attr_destroy(&attributes);
        ASSERT(problem == 0);
        [[maybe_unused]] auto* taken_by_the_thread = start.release();
    }

    Clock& clock_;
    const ThreadPoolOptions options_;
    std::mutex mutex_;
    std::condition_variable timers_changed_;
    std::condition_variable thread_left_;
    std::deque<Task> queue_;
    std::vector<Idle*> idle_;
    unsigned threads_ = 0;   // of tasks, idle ones too
    bool stopping_ = false;
    bool timer_thread_ = false;
    uint64_t last_timer_ = 0;
    std::map<TimerKey, Task> timers_;
    std::unordered_map<TimerId, MonoTime> due_of_;
};

class ThreadPool final : public Executor {
  public:
    ThreadPool(Clock& clock, ThreadPoolOptions options)
        : state_{std::make_shared<PoolState>(clock, options)} {}
    ~ThreadPool() override { state_->stop(); }
    void post(Task task) override { state_->post(std::move(task)); }
    TimerId after(Duration delay, Task task) override {
        return state_->after(delay, std::move(task));
    }
    bool cancel(TimerId id) override { return state_->cancel(id); }
    std::shared_ptr<Waiter> make_waiter() override {
        return std::make_shared<PoolWaiter>(state_->clock());
    }
    Clock& clock() override { return state_->clock(); }

  private:
    std::shared_ptr<PoolState> state_;
};

}   // namespace

std::unique_ptr<Executor> make_thread_pool(Clock& clock, ThreadPoolOptions options) {
    return std::make_unique<ThreadPool>(clock, options);
}

// `running` is true from the moment a turn is posted until a turn finds nothing to do.
struct Strand::State : std::enable_shared_from_this<Strand::State> {
    explicit State(Executor& behind) : executor{behind} {}

    void post(Task task) {
        std::unique_lock lock{mutex};
        if (dead) {
            lock.unlock();
            return;
        }
        tasks.push_back(std::move(task));
        if (std::exchange(running, true)) return;
        lock.unlock();
        executor.post([self = shared_from_this()] { self->turn(); });
    }

    void turn() {
        std::unique_lock lock{mutex};
        for (int done = 0; !tasks.empty(); ++done) {
            if (done == strand_tasks_per_turn_max) {   // others want the thread too
                lock.unlock();
                executor.post([self = shared_from_this()] { self->turn(); });
                return;
            }
            Task task = std::move(tasks.front());
            tasks.pop_front();
            runner = std::this_thread::get_id();
            lock.unlock();
            task();
            task = nullptr;
            lock.lock();
            runner = std::thread::id{};
            if (finished) finished->notify();
        }
        running = false;
    }

    Executor& executor;
    std::mutex mutex;
    std::deque<Task> tasks;
    bool running = false;
    bool dead = false;
    std::thread::id runner;   // the thread inside a task, if one is
    std::shared_ptr<Waiter> finished;
};

Strand::Strand(Executor& executor)
    : executor_{executor}, state_{std::make_shared<State>(executor)} {}

Strand::~Strand() { close(); }

void Strand::close() {
    std::deque<Task> dropped;
    std::shared_ptr<Waiter> finished;
    {
        const std::lock_guard lock{state_->mutex};
        state_->dead = true;
        dropped.swap(state_->tasks);
        const auto runner = state_->runner;
        if (runner != std::thread::id{} && runner != std::this_thread::get_id())
            finished = state_->finished = executor_.make_waiter();
    }
    if (finished) finished->wait();
}

void Strand::post(Task task) { state_->post(std::move(task)); }

TimerId Strand::after(Duration delay, Task task) {
    return executor_.after(delay, [state = state_, task = std::move(task)]() mutable {
        state->post(std::move(task));
    });
}

}   // namespace skiff
