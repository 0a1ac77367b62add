#include "agent/log_stream.h"

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

#include "base/guarded.h"
#include "base/text.h"

namespace skiff::agent {
namespace {

// A stream on a loop of its own, pulled as a connection would: whenever it wakes.
struct LogStreamTest : testing::Test {
    void SetUp() override {
        char pattern[] = "/tmp/skiff-stream-XXXXXX";
        folder = ::mkdtemp(pattern);
        path = folder + "/0.log";
        add(1);
    }
    void TearDown() override {
        on_loop([this] { source.reset(); });
        std::filesystem::remove_all(folder);
    }
    void add(int n) {
        std::ofstream{path, std::ios::app}
            << concat("2026-01-02T15:04:05.000000000Z stdout F line ", n, "\n");
    }
    void on_loop(const std::function<void()>& call) {
        const auto waiter = executor->make_waiter();
        loop.loop().post([&] {
            call();
            waiter->notify();
        });
        waiter->wait();
    }
    void follow() {
        on_loop([this] {
            source = stream_log(
                loop.loop(), followers,
                {.container_id = "c", .path = path, .options = {.follow = true}, .running = [this] {
                     return running.load();
                 }});
            source->on_wake([this] { loop.loop().post([this] { pull(); }); });
            pull();
        });
    }
    void pull() {
        while (source && !ended) {
            std::vector<Slice> out;
            const auto state = source->pull(out, 10);
            shown.use([&](std::string& text) {
                for (const auto& slice : out) text += slice.view();
            });
            if (state == net::BodySource::State::End) ended = true;
            if (state != net::BodySource::State::More) return;
        }
    }
    bool eventually(const std::function<bool()>& check) {
        const auto deadline = os_clock().monotonic() + 10s;
        while (!check()) {
            if (os_clock().monotonic() > deadline) return false;
            executor->make_waiter()->wait_until(os_clock().monotonic() + 2ms);
        }
        return true;
    }
    bool shows(const std::string& wanted) {
        return eventually(
            [&] { return shown.use([](std::string& text) { return text; }) == wanted; });
    }

    std::string folder;
    std::string path;
    std::unique_ptr<Executor> executor = make_thread_pool(os_clock());
    net::LoopThread loop{os_clock(), "log-test"};
    LogFollowers followers;
    std::atomic<bool> running = true;
    std::atomic<bool> ended = false;
    Guarded<std::string> shown;
    std::unique_ptr<net::BodySource> source;
};

TEST_F(LogStreamTest, following_shows_new_lines_across_a_rotation) {
    follow();
    EXPECT_TRUE(shows("line 1\n"));
    add(2);
    EXPECT_TRUE(shows("line 1\nline 2\n"));
    std::filesystem::rename(path, path + ".20260102-150405");
    add(3);
    EXPECT_TRUE(shows("line 1\nline 2\nline 3\n"));
    EXPECT_FALSE(ended);
}

TEST_F(LogStreamTest, following_ends_with_the_container) {
    follow();
    EXPECT_TRUE(shows("line 1\n"));
    add(2);
    running = false;
    followers.ended("other");
    followers.ended("c");
    EXPECT_TRUE(eventually([&] { return ended.load(); }));
    EXPECT_TRUE(shows("line 1\nline 2\n"));
}

}   // namespace
}   // namespace skiff::agent
