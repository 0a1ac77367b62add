#include "base/executor.h"

#include <algorithm>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "base/guarded.h"

namespace skiff {
namespace {

TEST(Executor, every_posted_task_runs_once) {
    std::atomic<int> runs = 0;
    auto pool = make_thread_pool(os_clock(), {.threads_max = 4});
    auto done = pool->make_waiter();
    for (int i = 0; i < 1000; ++i)
        pool->post([&] {
            if (++runs == 1000) done->notify();
        });
    done->wait();
    EXPECT_EQ(runs, 1000);
}

TEST(Executor, a_blocked_task_does_not_hold_the_others_up) {
    auto pool = make_thread_pool(os_clock(), {.threads_max = 2});
    auto first = pool->make_waiter();
    auto second = pool->make_waiter();
    pool->post([&] {
        first->wait();
        second->notify();
    });
    pool->post([&] { first->notify(); });
    second->wait();
}

TEST(Executor, threads_without_work_end_and_come_back) {
    auto pool = make_thread_pool(os_clock(), {.threads_max = 2, .idle_timeout = 1ns});
    for (int i = 0; i < 50; ++i) {
        auto done = pool->make_waiter();
        pool->post([&] { done->notify(); });
        done->wait();
    }
}

TEST(Executor, timers_run_in_the_order_they_are_due) {
    Guarded<std::vector<int>> order;
    auto pool = make_thread_pool(os_clock(), {.threads_max = 1});
    auto done = pool->make_waiter();
    pool->after(30ms, [&] {
        order.use([](auto& list) { list.push_back(3); });
        done->notify();
    });
    pool->after(1ms, [&] { order.use([](auto& list) { list.push_back(1); }); });
    pool->after(15ms, [&] { order.use([](auto& list) { list.push_back(2); }); });
    done->wait();
    order.use([](auto& list) { EXPECT_EQ(list, (std::vector<int>{1, 2, 3})); });
}

TEST(Executor, a_cancelled_timer_does_not_run) {
    std::atomic<bool> ran = false;
    auto pool = make_thread_pool(os_clock(), {.threads_max = 1});
    const auto far = pool->after(Duration::max(), [&] { ran = true; });
    const auto near = pool->after(1h, [&] { ran = true; });
    EXPECT_TRUE(pool->cancel(near));
    EXPECT_FALSE(pool->cancel(near));
    EXPECT_TRUE(pool->cancel(far));
    auto done = pool->make_waiter();
    const auto soon = pool->after(0s, [&] { done->notify(); });
    done->wait();
    EXPECT_FALSE(pool->cancel(soon));
    EXPECT_FALSE(pool->cancel(TimerId::None));
    EXPECT_FALSE(ran);
}

TEST(Executor, the_end_drops_what_waits_and_finishes_what_runs) {
    std::atomic<bool> finished = false, dropped_ran = false;
    struct Posting {   // a capture that comes back to the pool while it dies
        Executor* pool;
        explicit Posting(Executor* p) : pool{p} {}
        Posting(Posting&& other) noexcept : pool{std::exchange(other.pool, nullptr)} {}
        ~Posting() {
            if (pool) pool->post([] {});
        }
    };
    auto pool = make_thread_pool(os_clock(), {.threads_max = 1});
    auto started = pool->make_waiter();
    pool->post([&] {
        started->notify();
        std::this_thread::yield();
        finished = true;
    });
    pool->after(1h, [&] { dropped_ran = true; });
    started->wait();
    pool->post([&dropped_ran, posting = Posting{pool.get()}] { dropped_ran = !!posting.pool; });
    auto* raw = pool.get();
    raw->post([&finished] { finished = true; });
    pool.reset();
    EXPECT_TRUE(finished);
}

TEST(Executor, a_waiter_keeps_its_notice_and_knows_its_deadline) {
    auto pool = make_thread_pool(os_clock());
    auto waiter = pool->make_waiter();
    EXPECT_FALSE(waiter->wait_until(os_clock().monotonic() - 1s));
    EXPECT_FALSE(waiter->wait_until(os_clock().monotonic() + 2ms));
    waiter->notify();
    EXPECT_TRUE(waiter->wait_until(os_clock().monotonic() - 1s));
    EXPECT_TRUE(waiter->wait_until(std::nullopt));
}

TEST(Strand, tasks_run_one_at_a_time_in_order) {
    auto pool = make_thread_pool(os_clock(), {.threads_max = 8});
    Strand strand{*pool};
    std::vector<int> order;   // unguarded: the strand is the guard, as tsan can tell
    auto done = pool->make_waiter();
    for (int i = 0; i < 500; ++i) strand.post([&, i] { order.push_back(i); });
    strand.post([&] { done->notify(); });
    done->wait();
    ASSERT_EQ(order.size(), 500u);
    EXPECT_TRUE(std::ranges::is_sorted(order));
}

TEST(Strand, its_end_waits_for_the_running_task_and_drops_the_rest) {
    auto pool = make_thread_pool(os_clock(), {.threads_max = 4});
    for (int round = 0; round < 100; ++round) {
        auto running = pool->make_waiter();
        int touched = 0;
        {
            Strand strand{*pool};
            strand.post([&] {
                running->notify();
                std::this_thread::yield();
                ++touched;
            });
            for (int i = 0; i < 1000; ++i) strand.post([&] { ++touched; });
            strand.after(0s, [&] { ++touched; });
            running->wait();
        }
        const int after = touched;   // nothing writes any more
        EXPECT_GE(after, 1);
    }
}

TEST(Strand, a_task_may_destroy_its_own_strand) {
    auto pool = make_thread_pool(os_clock());
    auto done = pool->make_waiter();
    auto strand = std::make_unique<Strand>(*pool);
    auto* raw = strand.get();
    raw->post([&] {
        strand.reset();
        done->notify();
    });
    done->wait();
}

TEST(Strand, a_closed_strand_drops_what_is_posted) {
    auto pool = make_thread_pool(os_clock());
    auto running = pool->make_waiter();
    bool finished = false, wrong = false;
    Strand strand{*pool};
    strand.post([&] {
        running->notify();
        finished = true;
    });
    running->wait();
    strand.close();
    EXPECT_TRUE(finished);
    strand.post([&] { wrong = true; });
    strand.close();
    auto done = pool->make_waiter();
    pool->post([&] { done->notify(); });
    done->wait();
    EXPECT_FALSE(wrong);
}

TEST(Strand, a_timer_enters_the_strand_and_can_be_cancelled) {
    auto pool = make_thread_pool(os_clock());
    auto done = pool->make_waiter();
    Strand strand{*pool};
    bool wrong = false;
    const auto id = strand.after(1h, [&] { wrong = true; });
    strand.after(1ms, [&] { done->notify(); });
    done->wait();
    EXPECT_TRUE(pool->cancel(id));
    EXPECT_FALSE(wrong);
}

}   // namespace
}   // namespace skiff
