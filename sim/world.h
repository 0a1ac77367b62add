// The simulated world: virtual time, seeded chance, and tasks of which exactly one runs. Each task
// that has begun has a thread of its own; the seed chooses who is next at every post, wait, client
// call and contended lock. The same seed gives the same run, which trace() tells.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <semaphore>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/executor.h"
#include "base/random.h"

namespace skiff::sim {

class SeededRandom final : public Random {
  public:
    explicit SeededRandom(uint64_t seed) : state_{seed} {}
    void fill(std::span<unsigned char> bytes) override;
    uint64_t next();

  private:
    uint64_t state_;
};

class Process;

class World {
  public:
    World(uint64_t seed, uint64_t steps_max);
    ~World();
    World(const World&) = delete;
    World& operator=(const World&) = delete;

    // Runs `main` as the first task, on the calling thread. Processes must be gone when it ends.
    void run(const std::function<void()>& main);

    uint64_t seed() const { return seed_; }
    Random& random() { return random_; }                              // what components are handed
    uint64_t below(uint64_t bound) { return choice_.below(bound); }   // what the world decides
    bool chance(double probability) { return choice_.fraction() < probability; }
    Duration between(Duration least, Duration most);
    MonoTime now() const { return now_; }
    uint64_t steps() const { return steps_; }
    uint64_t trace() const { return trace_; }
    void note(std::string_view what);   // goes into the trace
    void note(uint64_t number);

    void pass();                 // others may run now
    void sleep(Duration span);   // of the calling task
    // Ends the program, with what was wrong and how to see it again.
    [[noreturn]] void give_up(std::string_view why);

    // The world whose task calls; null on any other thread.
    static World* current();
    void pass_before_lock();   // in some worlds others may run there too
    void wait_for_lock();      // somebody else holds it

  private:
    friend class Process;
    friend class WorldWaiter;
    struct Thread {
        std::binary_semaphore turn{0};
        Task task;
        Process* process = nullptr;
        bool ends = false;
        std::thread thread;
    };
    struct Ready {
        Thread* thread = nullptr;   // goes on; else a task that begins
        Task task;
        Process* process = nullptr;
        bool wants_lock = false;
    };
    struct Timer {
        Thread* thread = nullptr;   // a wait's deadline; else a task
        Task task;
        Process* process = nullptr;
    };
    using TimerKey = std::pair<MonoTime, uint64_t>;

    Ready pick();
    void begin(Ready& next, Thread& self);
    void switch_away();   // the caller has put itself where it will be found
    void work(Thread& self);
    void run_task(Thread& self);
    uint64_t add_timer(MonoTime at, Timer timer);
    void remove_timer(uint64_t id);

    const uint64_t seed_;
    const uint64_t steps_max_;
    SeededRandom random_;
    SeededRandom choice_;
    MonoTime now_{std::chrono::hours{1}};
    uint64_t steps_ = 0;
    double lock_pass_probability_ = 0;
    uint64_t trace_ = 1469598103934665603u;
    std::vector<Ready> ready_;
    std::vector<Ready> locked_out_;
    std::map<TimerKey, Timer> timers_;
    std::map<uint64_t, MonoTime> timer_times_;
    uint64_t last_timer_ = 0;
    std::vector<std::unique_ptr<Thread>> threads_;
    std::vector<Thread*> idle_;
    Thread main_;
    Thread* running_ = nullptr;
};

// What runs or dies together: an executor whose end drops what has not begun and waits for the
// rest.
class Process final : public Executor, private Clock {
  public:
    Process(World& world, Duration clock_skew = {}) : world_{world}, skew_{clock_skew} {}
    ~Process() override;

    void post(Task task) override;
    TimerId after(Duration delay, Task task) override;
    bool cancel(TimerId id) override;
    std::shared_ptr<Waiter> make_waiter() override;
    Clock& clock() override { return *this; }
    void settle();   // returns when none of its tasks runs or is ready
    World& world() { return world_; }

  private:
    friend class World;
    WallTime now() const override;
    MonoTime monotonic() const override { return world_.now_; }
    void task_ended();

    World& world_;
    const Duration skew_;
    size_t unfinished_ = 0;   // ready or begun
    bool ending_ = false;
    std::shared_ptr<Waiter> settled_;
};

}   // namespace skiff::sim
