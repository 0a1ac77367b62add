#include "net/raw_stream.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/channel.h"
#include "net/loop.h"

namespace skiff::net {
namespace {

using namespace std::chrono_literals;

// The writer is told to wait, the reader takes all, and the next write empties the rest: no event
// of the socket will come for that, yet who waits must hear of it.
TEST(NetRawStream, a_write_that_empties_a_full_stream_is_told) {
    int fds[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    const Fd reader{fds[1]};
    const auto loop = make_loop(os_clock());
    struct Nobody final : Channel::User {
        void opened() override {}
        void received(std::string_view) override {}
        void writable() override {}
        void ended(const Error*) override {}
    };
    Nobody nobody;   // the stream takes its place
    const auto channel = Channel::make(*loop, Transport{Fd{fds[0]}}, nullptr);
    channel->start(nobody);
    auto stream = make_raw_stream(channel, "");
    int drained = 0;
    constexpr size_t amount = 4u << 20;
    size_t taken = 0;
    const auto take_all = [&] {
        static char buffer[65536];
        for (ssize_t got = 0; (got = ::read(reader.get(), buffer, sizeof buffer)) > 0;)
            taken += static_cast<size_t>(got);
    };
    loop->post([&] {
        stream->on_drain([&] {
            ++drained;
            loop->stop();
        });
        stream->start([](std::string_view) {}, [] {});
        loop->after(20ms, [&] {
            EXPECT_FALSE(stream->write(std::string(amount, 'x')));
            size_t written = amount;
            while (taken < amount) {   // all of it between two looks at the sockets
                take_all();
                stream->write("y");
                ++written;
            }
            take_all();
            EXPECT_EQ(taken, written);
        });
        loop->after(5s, [&] { loop->stop(); });
    });
    loop->run();
    EXPECT_EQ(drained, 1);
    stream.reset();
}

}   // namespace
}   // namespace skiff::net
