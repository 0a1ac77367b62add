// Where work runs. Components are handed an Executor and never start a thread, sleep or block on
// anything but a Waiter, so that the simulated world can run them one at a time under virtual time.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "base/time.h"

namespace skiff {

using Task = std::move_only_function<void()>;

// A one-shot flag a task can block on. Safe to notify from any thread, before or after the wait.
class Waiter {
  public:
    virtual ~Waiter() = default;
    virtual void notify() = 0;
    virtual bool wait_until(std::optional<MonoTime> deadline) = 0;   // false: the deadline passed
    void wait() { wait_until(std::nullopt); }
};

enum class TimerId : uint64_t { None = 0 };

// Tasks may block on a Waiter or in a system call that is bounded; the pool has room for that.
// Tasks posted from one thread may run in any order and at once: order is made by a Strand.
class Executor {
  public:
    virtual ~Executor() = default;
    virtual void post(Task task) = 0;
    virtual TimerId after(Duration delay, Task task) = 0;   // runs like a posted task
    virtual bool cancel(TimerId id) = 0;                    // true: it will not run
    virtual std::shared_ptr<Waiter> make_waiter() = 0;
    virtual Clock& clock() = 0;
};

// Runs its tasks one at a time, in the order they were posted, on the executor behind it.
// Tasks that are queued when it dies are dropped; the one that runs is finished.
class Strand {
  public:
    explicit Strand(Executor& executor);
    ~Strand();
    Strand(const Strand&) = delete;
    Strand& operator=(const Strand&) = delete;
    void post(Task task);
    TimerId after(Duration delay, Task task);   // enters the strand when due
    // What the destructor does, for owners whose strand outlives their end: drops what is queued
    // and to come, waits for the task that runs unless called by it.
    void close();
    Executor& executor() { return executor_; }

  private:
    struct State;
    Executor& executor_;
    std::shared_ptr<State> state_;
};

struct ThreadPoolOptions {
    unsigned threads_max = 16;                          // started on demand
    Duration idle_timeout = std::chrono::seconds{10};   // a thread without work ends after this
    size_t stack_bytes = 256 * 1024;
    const char* name = "pool";   // shown by top -H, at most 15 characters
};

// Production's executor: threads that come with the load and go with it, one more for timers that
// exists only while a timer is set. The destructor runs nothing new and joins what runs.
std::unique_ptr<Executor> make_thread_pool(Clock& clock, ThreadPoolOptions options = {});

}   // namespace skiff
