#include "sim/world.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include <pthread.h>

#include "base/result.h"
#include "base/text.h"

extern "C" int __real_pthread_mutex_lock(pthread_mutex_t* mutex);
extern "C" int __wrap_pthread_mutex_lock(pthread_mutex_t* mutex);

// The linker sends every lock of the program's own code here (--wrap): who would block lets
// others run instead, because the thread that holds the lock is not running.
extern "C" int __wrap_pthread_mutex_lock(pthread_mutex_t* mutex) {
    auto* world = skiff::sim::World::current();
    if (!world) return __real_pthread_mutex_lock(mutex);
    world->pass_before_lock();
    int got = EBUSY;
    while ((got = pthread_mutex_trylock(mutex)) == EBUSY) world->wait_for_lock();
    return got;
}

namespace skiff::sim {
namespace {

constexpr double pass_probability = 0.2;
thread_local World* world_here = nullptr;

}   // namespace

uint64_t SeededRandom::next() {   // splitmix64
    uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

void SeededRandom::fill(std::span<unsigned char> bytes) {
    for (auto& byte : bytes) byte = static_cast<unsigned char>(next() >> 56);
}

World::World(uint64_t seed, uint64_t steps_max)
    : seed_{seed}, steps_max_{steps_max}, random_{seed * 2 + 1}, choice_{seed * 2} {
    lock_pass_probability_ = seed % 3 == 0 ? 0.02 : 0;   // finer steps cost more of them
}

World::~World() {
    for (const auto& thread : threads_) {
        thread->ends = true;
        thread->turn.release();
        thread->thread.join();
    }
}

World* World::current() { return world_here; }

void World::run(const std::function<void()>& main) {
    world_here = this;
    running_ = &main_;
    main();
    running_ = nullptr;
    world_here = nullptr;
    if (idle_.size() != threads_.size()) give_up("a task outlived its process");
}

Duration World::between(Duration least, Duration most) {
    return least +
           Duration{static_cast<int64_t>(below(static_cast<uint64_t>((most - least).count()) + 1))};
}

void World::note(uint64_t number) { trace_ = (trace_ ^ number) * 1099511628211u; }
void World::note(std::string_view what) {
    for (const char c : what) note(static_cast<unsigned char>(c));
}

void World::give_up(std::string_view why) {
    std::fprintf(
        stderr, "seed %llu: %.*s (virtual time %s, step %llu)\nsee it again: ./x sim --seed %llu\n",
        static_cast<unsigned long long>(seed_), static_cast<int>(why.size()), why.data(),
        go_duration(now_.time_since_epoch()).c_str(), static_cast<unsigned long long>(steps_),
        static_cast<unsigned long long>(seed_));
    std::fflush(nullptr);
    std::_Exit(3);
}

World::Ready World::pick() {
    if (++steps_ > steps_max_) give_up("runaway: the step budget is used up");
    while (ready_.empty()) {
        if (timers_.empty()) give_up("deadlock: everybody waits and no time will come");
        now_ = std::max(now_, timers_.begin()->first.first);
        while (!timers_.empty() && timers_.begin()->first.first <= now_) {
            auto timer = std::move(timers_.begin()->second);
            timer_times_.erase(timers_.begin()->first.second);
            timers_.erase(timers_.begin());
            if (timer.process) ++timer.process->unfinished_;
            ready_.push_back(
                {.thread = timer.thread, .task = std::move(timer.task), .process = timer.process});
        }
    }
    const auto index = below(ready_.size());
    note(index);
    note(static_cast<uint64_t>(now_.time_since_epoch().count()));
    auto chosen = std::move(ready_[index]);
    ready_.erase(ready_.begin() + static_cast<ptrdiff_t>(index));
    // Whoever runs now may let go of the lock.
    if (!chosen.wants_lock) {
        std::ranges::move(locked_out_, std::back_inserter(ready_));
        locked_out_.clear();
    }
    return chosen;
}

void World::run_task(Thread& self) {
    Process* const process = self.process;
    self.task();
    self.task = nullptr;
    self.process = nullptr;
    process->task_ended();
}

// Gives `next` its turn, on a thread other than `self`.
void World::begin(Ready& next, Thread& self) {
    Thread* thread = next.thread;
    if (!thread) {
        if (idle_.empty()) {
            auto& fresh = *threads_.emplace_back(std::make_unique<Thread>());
            fresh.thread = std::thread{[this, &fresh] { work(fresh); }};
            idle_.push_back(&fresh);
        }
        thread = idle_.back();
        idle_.pop_back();
        thread->task = std::move(next.task);
        thread->process = next.process;
    }
    ASSERT(thread != &self);
    running_ = thread;
    thread->turn.release();
}

void World::switch_away() {
    Thread& self = *running_;
    auto next = pick();
    if (next.thread == &self) return;
    begin(next, self);
    self.turn.acquire();
}

void World::work(Thread& self) {
    world_here = this;
    self.turn.acquire();
    while (!self.ends) {
        run_task(self);
        auto next = pick();
        if (!next.thread) {   // begins on this thread
            self.task = std::move(next.task);
            self.process = next.process;
            continue;
        }
        idle_.push_back(&self);
        begin(next, self);
        self.turn.acquire();
    }
}

void World::pass() {
    if (!chance(pass_probability)) return;
    ready_.push_back({.thread = running_});
    switch_away();
}

void World::pass_before_lock() {
    if (!running_ || !chance(lock_pass_probability_)) return;
    ready_.push_back({.thread = running_});
    switch_away();
}

void World::wait_for_lock() {
    locked_out_.push_back({.thread = running_, .wants_lock = true});
    switch_away();
}

uint64_t World::add_timer(MonoTime at, Timer timer) {
    const uint64_t id = ++last_timer_;
    timers_.emplace(TimerKey{at, id}, std::move(timer));
    timer_times_.emplace(id, at);
    return id;
}

void World::remove_timer(uint64_t id) {
    const auto at = timer_times_.find(id);
    if (at == timer_times_.end()) return;
    timers_.erase({at->second, id});
    timer_times_.erase(at);
}

void World::sleep(Duration span) {
    add_timer(now_ + span, {.thread = running_});
    switch_away();
}

class WorldWaiter final : public Waiter {
  public:
    explicit WorldWaiter(World& world) : world_{world} {}
    void notify() override {
        notified_ = true;
        for (auto& [thread, timer] : std::exchange(waiting_, {})) {
            if (timer && !world_.timer_times_.contains(timer))
                continue;   // its time has come already
            if (timer) world_.remove_timer(timer);
            world_.ready_.push_back({.thread = thread});
        }
    }
    bool wait_until(std::optional<MonoTime> deadline) override {
        if (notified_) {
            world_.pass();
            return true;
        }
        if (deadline && *deadline <= world_.now()) return false;
        auto* const self = world_.running_;
        waiting_.emplace_back(self, deadline ? world_.add_timer(*deadline, {.thread = self}) : 0);
        world_.switch_away();
        std::erase_if(waiting_, [&](const auto& one) { return one.first == self; });
        return notified_;
    }

  private:
    World& world_;
    bool notified_ = false;
    std::vector<std::pair<World::Thread*, uint64_t>> waiting_;
};

Process::~Process() {
    ending_ = true;
    std::vector<World::Ready> tasks;
    std::vector<World::Timer> timers;
    std::erase_if(world_.ready_, [&](auto& one) {
        if (one.process != this || one.thread) return false;
        tasks.push_back(std::move(one));
        return true;
    });
    for (auto timer = world_.timers_.begin(); timer != world_.timers_.end();) {
        if (timer->second.process != this || timer->second.thread) {
            ++timer;
            continue;
        }
        world_.timer_times_.erase(timer->first.second);
        timers.push_back(std::move(timer->second));
        timer = world_.timers_.erase(timer);
    }
    unfinished_ -= tasks.size();
    tasks.clear();   // what they held may come back here, and finds it ending
    timers.clear();
    settle();
}

void Process::post(Task task) {
    if (ending_) return;
    ++unfinished_;
    world_.ready_.push_back({.task = std::move(task), .process = this});
    world_.pass();
}

TimerId Process::after(Duration delay, Task task) {
    if (ending_) return TimerId::None;
    delay = std::clamp<Duration>(delay, Duration::zero(), std::chrono::hours{24 * 365});
    return static_cast<TimerId>(
        world_.add_timer(world_.now_ + delay, {.task = std::move(task), .process = this}));
}

bool Process::cancel(TimerId id) {
    const auto number = static_cast<uint64_t>(id);
    const auto at = world_.timer_times_.find(number);
    if (at == world_.timer_times_.end()) return false;
    const World::TimerKey key{at->second, number};
    auto dropped = std::move(world_.timers_.at(key));
    world_.remove_timer(number);
    return true;
}

std::shared_ptr<Waiter> Process::make_waiter() { return std::make_shared<WorldWaiter>(world_); }

WallTime Process::now() const {
    return WallTime{std::chrono::seconds{1'700'000'000}} + world_.now_.time_since_epoch() + skew_;
}

void Process::settle() {
    while (unfinished_ > 0) {
        settled_ = make_waiter();
        settled_->wait();
        settled_ = nullptr;
    }
}

void Process::task_ended() {
    if (--unfinished_ == 0 && settled_) settled_->notify();
}

}   // namespace skiff::sim
