// The world itself: its time, its order, its budget.
#include <mutex>
#include <set>

#include <gtest/gtest.h>

#include "sim/world.h"

namespace skiff::sim {
namespace {

TEST(World, time_passes_only_when_nobody_can_run) {
    World world{1, 10'000};
    world.run([&] {
        Process process{world};
        const auto began = world.now();
        std::vector<std::string> order;
        process.after(2h, [&] { order.push_back("late"); });
        process.after(1h, [&] { order.push_back("early"); });
        const auto cancelled = process.after(90min, [&] { order.push_back("never"); });
        process.post([&] {
            order.push_back("now");
            EXPECT_EQ(world.now(), began);
        });
        EXPECT_TRUE(process.cancel(cancelled));
        EXPECT_FALSE(process.cancel(cancelled));
        world.sleep(3h);
        EXPECT_EQ(world.now(), began + 3h);
        EXPECT_EQ(order, (std::vector<std::string>{"now", "early", "late"}));
    });
}

TEST(World, a_wait_ends_by_its_notice_or_its_deadline) {
    World world{1, 10'000};
    world.run([&] {
        Process process{world};
        const auto never = process.make_waiter();
        const auto began = world.now();
        EXPECT_FALSE(never->wait_until(began + 5s));
        EXPECT_EQ(world.now(), began + 5s);
        const auto soon = process.make_waiter();
        process.after(1s, [&] { soon->notify(); });
        EXPECT_TRUE(soon->wait_until(began + 1h));
        EXPECT_EQ(world.now(), began + 6s);
        EXPECT_TRUE(soon->wait_until(began));
    });
}

TEST(World, a_lock_that_is_held_lets_others_run) {
    for (uint64_t seed = 1; seed <= 20; ++seed) {
        World world{seed, 10'000};
        world.run([&] {
            Process process{world};
            std::mutex mutex;
            int inside = 0, done = 0;
            for (int i = 0; i < 5; ++i) {
                process.post([&] {
                    const std::lock_guard lock{mutex};
                    EXPECT_EQ(++inside, 1);
                    world.sleep(1s);
                    --inside;
                    ++done;
                });
            }
            process.settle();
            EXPECT_EQ(done, 5);
        });
    }
}

TEST(World, the_end_of_a_process_drops_what_has_not_begun) {
    World world{1, 10'000};
    world.run([&] {
        int begun = 0;
        {
            Process process{world};
            const auto waiter = process.make_waiter();
            process.post([&, waiter] {
                ++begun;
                waiter->notify();
                world.sleep(1s);
                ++begun;
                process.post([&] { ++begun; });
            });
            waiter->wait();
            process.after(500ms, [&] { ++begun; });
        }
        EXPECT_EQ(begun, 2) << "what runs is finished, nothing else begins";
    });
}

TEST(World, the_seed_makes_the_order) {
    const auto order_of = [](uint64_t seed) {
        std::string order;
        World world{seed, 10'000};
        world.run([&] {
            Process process{world};
            for (char name = 'a'; name < 'h'; ++name)
                process.post([&order, name] { order += name; });
            process.settle();
        });
        return order;
    };
    std::set<std::string> orders;
    for (uint64_t seed = 1; seed <= 20; ++seed) {
        EXPECT_EQ(order_of(seed), order_of(seed));
        orders.insert(order_of(seed));
    }
    EXPECT_GT(orders.size(), 10u);
}

void never_rest() {
    World world{7, 1000};
    world.run([&] {
        Process process{world};
        std::function<void()> again = [&] { process.post([&] { again(); }); };
        again();
        process.settle();
    });
}

void wait_for_ever() {
    World world{7, 1000};
    world.run([&] {
        Process process{world};
        process.make_waiter()->wait();
    });
}

TEST(WorldDeathTest, who_never_comes_to_rest_is_a_runaway) {
    EXPECT_EXIT(never_rest(), testing::ExitedWithCode(3), "seed 7: runaway.*\n.*x sim --seed 7");
}

TEST(WorldDeathTest, when_all_wait_for_ever_it_is_said) {
    EXPECT_EXIT(wait_for_ever(), testing::ExitedWithCode(3), "deadlock");
}

}   // namespace
}   // namespace skiff::sim
