#include "net/loop.h"

#include <future>
#include <vector>

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

namespace skiff::net {
namespace {

struct SocketPair {
    Fd left, right;
    SocketPair() {
        int fds[2];
        EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
        left = Fd{fds[0]};
        right = Fd{fds[1]};
    }
};

TEST(NetLoop, tasks_run_in_order_and_those_posted_before_stop_still_run) {
    const auto loop = make_loop(os_clock());
    std::vector<int> seen;
    loop->post([&] {
        seen.push_back(1);
        loop->post([&] {
            seen.push_back(3);
            loop->stop();
        });
    });
    loop->post([&] { seen.push_back(2); });
    loop->run();
    EXPECT_EQ(seen, (std::vector{1, 2, 3}));
}

struct SetClock final : Clock {
    MonoTime at{};
    WallTime now() const override { return {}; }
    MonoTime monotonic() const override { return at; }
};

TEST(NetLoop, timers_run_by_time_then_by_age_and_a_cancelled_one_does_not) {
    SetClock clock;
    const auto loop = make_loop(clock);
    std::vector<int> seen;
    loop->after(2ms, [&] {
        seen.push_back(3);
        loop->stop();
    });
    loop->after(1ms, [&] { seen.push_back(1); });
    loop->after(1ms, [&] { seen.push_back(2); });
    const auto never = loop->after(1ms, [&] { seen.push_back(99); });
    EXPECT_TRUE(loop->cancel(never));
    EXPECT_FALSE(loop->cancel(never));
    clock.at += 5ms;
    loop->run();
    EXPECT_EQ(seen, (std::vector{1, 2, 3}));
}

TEST(NetLoop, a_watch_reports_data_and_hang_up_and_zero_pauses_it) {
    const auto loop = make_loop(os_clock());
    SocketPair pair;
    std::vector<unsigned> seen;
    std::unique_ptr<Loop::Watch> watch;
    watch = loop->watch(pair.left.get(), Loop::Readable, [&](unsigned events) {
        seen.push_back(events);
        char byte = 0;
        if (::read(pair.left.get(), &byte, 1) == 1) {
            watch->want(0);
            pair.right.reset();   // a hang-up that must not be seen while paused
            loop->after(1ms, [&] { watch->want(Loop::Readable | Loop::HangUp); });
        } else {
            loop->stop();
        }
    });
    ASSERT_EQ(::write(pair.right.get(), "x", 1), 1);
    loop->run();
    EXPECT_EQ(seen, (std::vector<unsigned>{Loop::Readable, Loop::Readable | Loop::HangUp}));
}

TEST(NetLoop, a_callback_may_destroy_its_own_watch_and_one_of_the_same_batch) {
    const auto loop = make_loop(os_clock());
    SocketPair one, two;
    std::unique_ptr<Loop::Watch> first, second;
    int calls = 0;
    const auto end_both = [&](unsigned) {
        ++calls;
        first.reset();
        second.reset();
        loop->stop();
    };
    first = loop->watch(one.left.get(), Loop::Readable, end_both);
    second = loop->watch(two.left.get(), Loop::Readable, end_both);
    ASSERT_EQ(::write(one.right.get(), "x", 1), 1);
    ASSERT_EQ(::write(two.right.get(), "x", 1), 1);
    loop->run();
    EXPECT_EQ(calls, 1);
}

TEST(NetLoop, other_threads_reach_it_by_post_alone) {
    LoopThread thread{os_clock(), "loop-test"};
    EXPECT_FALSE(thread.loop().in_loop());
    std::promise<bool> inside;
    thread.loop().post([&] { inside.set_value(thread.loop().in_loop()); });
    EXPECT_TRUE(inside.get_future().get());
}

// Channels own their watch and are owned by its callback: the loop's end must free both.
TEST(NetLoop, what_callbacks_hold_is_freed_with_the_loop) {
    struct Holder {
        std::unique_ptr<Loop::Watch> watch;
    };
    SocketPair pair;
    std::weak_ptr<Holder> seen;
    {
        LoopThread thread{os_clock(), "loop-test"};
        std::promise<void> made;
        thread.loop().post([&] {
            auto holder = std::make_shared<Holder>();
            seen = holder;
            holder->watch =
                thread.loop().watch(pair.left.get(), Loop::Readable, [holder](unsigned) {});
            thread.loop().after(1h, [holder] {});
            made.set_value();
        });
        made.get_future().get();
        EXPECT_FALSE(seen.expired());
    }
    EXPECT_TRUE(seen.expired());
}

}   // namespace
}   // namespace skiff::net
