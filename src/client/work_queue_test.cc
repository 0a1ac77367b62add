#include "client/work_queue.h"

#include <set>

#include <gtest/gtest.h>

#include "base/log.h"
#include "client/backoff.h"
#include "client/testing.h"

namespace skiff::client {
namespace {

using testing::FakeExecutor;

ObjectKey key(const char* name) { return {"default", name}; }

struct Quiet : ::testing::Test {
    Quiet() { set_log_level(LogLevel::Error); }
    ~Quiet() override { set_log_level(LogLevel::Info); }
};
struct WorkQueueTest : Quiet {
    FakeExecutor executor;
    std::vector<std::string> done;
};

TEST_F(WorkQueueTest, a_key_added_many_times_is_reconciled_once) {
    WorkQueue queue{executor, [&](const ObjectKey& k) -> Result<Requeue> {
                        done.push_back(k.name);
                        return Requeue::no();
                    }};
    for (const char* name : {"a", "b", "a", "a", "b"}) queue.add(key(name));
    EXPECT_EQ(queue.size(), 2u);
    executor.settle();
    EXPECT_TRUE(done.empty());   // not started yet
    queue.start();
    executor.settle();
    EXPECT_EQ(done, (std::vector<std::string>{"a", "b"}));
    queue.add(key("a"));
    executor.settle();
    EXPECT_EQ(done.size(), 3u);
}

TEST_F(WorkQueueTest, a_key_added_while_it_is_reconciled_comes_again_but_never_twice_at_once) {
    std::shared_ptr<Waiter> gate = executor.make_waiter();
    int running = 0, most = 0, runs = 0;
    WorkQueue queue{executor,
                    [&](const ObjectKey&) -> Result<Requeue> {
                        most = std::max(most, ++running);
                        if (++runs == 1) gate->wait();   // the others get their turns meanwhile
                        --running;
                        return Requeue::no();
                    },
                    {.workers = 4}};
    queue.start();
    queue.add(key("a"));
    executor.post([&] {
        queue.add(key("a"));
        queue.add(key("a"));
        gate->notify();
    });
    executor.settle();
    EXPECT_EQ(runs, 2);
    EXPECT_EQ(most, 1);
}

TEST_F(WorkQueueTest, no_more_than_the_workers_run_at_once) {
    int running = 0, most = 0, runs = 0;
    auto gate = executor.make_waiter();
    WorkQueue queue{executor,
                    [&](const ObjectKey&) -> Result<Requeue> {
                        most = std::max(most, ++running);
                        ++runs;
                        gate->wait_until(executor.at() + 1s);
                        --running;
                        return Requeue::no();
                    },
                    {.workers = 3}};
    queue.start();
    for (const char* name : {"a", "b", "c", "d", "e", "f", "g"}) queue.add(key(name));
    executor.advance(1h);
    EXPECT_EQ(runs, 7);
    EXPECT_EQ(most, 3);
}

TEST_F(WorkQueueTest, failures_come_again_ever_later_until_one_succeeds) {
    std::vector<Duration> times;
    bool healthy = false;
    WorkQueue queue{executor, [&](const ObjectKey&) -> Result<Requeue> {
                        times.push_back(executor.at().time_since_epoch());
                        if (healthy) return Requeue::no();
                        return fail(Reason::Conflict, "no");
                    }};
    queue.start();
    queue.add(key("a"));
    executor.advance(74ms);   // 0, 5, 15, 35, next 75
    EXPECT_EQ(times, (std::vector<Duration>{0ms, 5ms, 15ms, 35ms}));
    EXPECT_EQ(queue.failures(key("a")), 4u);
    executor.advance(10000s);
    const size_t count = times.size();
    EXPECT_EQ(times[count - 1] - times[count - 2], 1000s);
    healthy = true;
    executor.advance(1000s);
    EXPECT_EQ(queue.failures(key("a")), 0u);
    EXPECT_EQ(executor.timers(), 0u);
    EXPECT_EQ(exponential(5ms, 1000s, 4'000'000'000u), 1000s);
}

TEST_F(WorkQueueTest, of_several_times_the_earliest_holds) {
    std::vector<Duration> times;
    WorkQueue queue{executor, [&](const ObjectKey&) -> Result<Requeue> {
                        times.push_back(executor.at().time_since_epoch());
                        return times.size() == 1 ? Requeue::in(1min) : Requeue::no();
                    }};
    queue.start();
    queue.add_after(key("a"), 10s);
    queue.add_after(key("a"), 5s);
    queue.add_after(key("a"), 20s);
    executor.advance(1h);
    EXPECT_EQ(times, (std::vector<Duration>{5s, 65s}));
}

TEST_F(WorkQueueTest, nothing_starts_after_stop) {
    int runs = 0;
    WorkQueue queue{executor, [&](const ObjectKey&) -> Result<Requeue> {
                        ++runs;
                        return Requeue::no();
                    }};
    queue.start();
    queue.add(key("a"));
    queue.add_after(key("b"), 1s);
    queue.stop();
    queue.add(key("c"));
    executor.advance(1h);
    EXPECT_EQ(runs, 0);
    EXPECT_EQ(executor.timers(), 0u);
}

TEST(WorkQueueStress, many_threads_reconcile_every_key_and_none_twice_at_once) {
    constexpr unsigned every_key = (1u << 10) - 1;
    std::atomic<unsigned> overlaps = 0, reconciled = 0;   // a bit for each key
    std::atomic<bool> busy[10] = {};
    auto pool = make_thread_pool(os_clock(), {.threads_max = 4});
    const auto all = pool->make_waiter();
    {
        WorkQueue queue{*pool,
                        [&](const ObjectKey& k) -> Result<Requeue> {
                            auto& mine = busy[k.name[0] - '0'];
                            if (mine.exchange(true)) ++overlaps;
                            mine = false;
                            const unsigned bit = 1u << (k.name[0] - '0');
                            if ((reconciled.fetch_or(bit) | bit) == every_key) all->notify();
                            return Requeue::no();
                        },
                        {.workers = 4}};
        queue.start();
        auto left = std::make_shared<std::atomic<int>>(4);
        auto added = pool->make_waiter();
        for (int thread = 0; thread < 4; ++thread)
            pool->post([&queue, left, added] {
                for (int i = 0; i < 500; ++i)
                    queue.add({"", std::string(1, static_cast<char>('0' + i % 10))});
                if (--*left == 0) added->notify();
            });
        added->wait();
        all->wait_until(os_clock().monotonic() + 10s);
    }
    EXPECT_EQ(overlaps, 0u);
    EXPECT_EQ(reconciled, every_key);
}

}   // namespace
}   // namespace skiff::client
