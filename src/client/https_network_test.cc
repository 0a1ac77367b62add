// The transport over real sockets, TLS and HTTP/2: what the fakes of https_transport_test.cc cannot
// show.
#include <gtest/gtest.h>

#include "base/log.h"
#include "client/https_transport.h"
#include "client/informer_core.h"
#include "net/test_support.h"

namespace skiff::client {
namespace {

using net::test::Certificates;
using net::test::Lines;
using net::test::TestServer;

std::string thing(std::string_view name, int revision) {
    return concat(R"({"metadata":{"name":")", name, R"(","namespace":"x","uid":"u-)", name,
                  R"(","resourceVersion":")", revision, "\"}}");
}
std::string frame(std::string_view type, std::string_view object) {
    return concat("{\"type\":\"", type, "\",\"object\":", object, "}\n");
}

// One list, then watches that the test feeds; keeps what it was asked.
struct Api {
    net::Handler handler() {
        return [this](net::Request request, std::shared_ptr<net::Responder> responder) {
            const bool watch = request.query.find("watch=true") != std::string::npos;
            seen.use([&](auto& all) { all.push_back(std::move(request)); });
            if (watch) {
                responder->send({.source = lines});
                return;
            }
            responder->send(net::test::text_response(
                concat(R"({"metadata":{"resourceVersion":"5"},"items":[)", thing("a", 3), "]}")));
        };
    }
    std::string watch_query() {
        return seen.use([](auto& all) {
            for (const auto& request : all)
                if (request.query.starts_with("watch=true")) return request.query;
            return std::string{};
        });
    }
    std::shared_ptr<Lines> lines = std::make_shared<Lines>(true);
    Guarded<std::vector<net::Request>> seen;
};

struct NetworkTest : ::testing::Test {
    NetworkTest() { set_log_level(LogLevel::Error); }
    ~NetworkTest() override { set_log_level(LogLevel::Info); }
    net::Endpoint endpoint(uint16_t port) const {
        return {.host = "127.0.0.1", .port = port, .tls = certificates.client_tls()};
    }
    Certificates certificates;
    std::unique_ptr<Executor> executor = make_thread_pool(os_clock());
    net::LoopThread client_loop{os_clock(), "client"};
};

TEST_F(NetworkTest, an_informer_follows_over_tls_and_moves_to_another_server) {
    Api first, second;
    auto one = std::make_unique<TestServer>(first.handler(), certificates.server_tls());
    TestServer two{second.handler(), certificates.server_tls()};
    auto transport = make_https_transport(client_loop.loop(),
                                          {.servers = {endpoint(one->port()), endpoint(two.port())},
                                           .bearer_token = [] { return std::string{"token"}; }});
    std::map<std::string, std::shared_ptr<Waiter>> waits;
    for (const char* name : {"a", "b", "c"}) waits[name] = executor->make_waiter();
    InformerCore informer{{*executor,
                           os_random(),
                           *transport,
                           {"", "v1", "things"},
                           [](std::string_view json) -> Result<AnyObject> {
                               return AnyObject{std::make_shared<std::string>(json)};
                           }},
                          {}};
    informer.on_change([&](const AnyObject&, const AnyObject& now) {
        waits.at(identity_of(*static_cast<const std::string*>(now.get()))->name)->notify();
    });
    informer.start();
    const auto arrives = [&](const char* name) {
        return waits[name]->wait_until(os_clock().monotonic() + 20s);
    };
    ASSERT_TRUE(arrives("a"));
    first.lines->add(frame("ADDED", thing("b", 6)));
    ASSERT_TRUE(arrives("b"));
    first.seen.use([](auto& all) {
        EXPECT_EQ(all[0].headers.find("authorization"), "Bearer token");
        EXPECT_TRUE(all[0].http2);
        ASSERT_TRUE(all[0].peer->certificate);
        EXPECT_EQ(all[0].peer->certificate->common_name, "jane");
    });
    one.reset();
    second.lines->add(frame("ADDED", thing("c", 7)));
    ASSERT_TRUE(arrives("c"));
    EXPECT_NE(second.watch_query().find("resourceVersion=6&"), std::string::npos);
    EXPECT_EQ(informer.cache().size(), 3u);
}

TEST_F(NetworkTest, a_call_without_a_server_fails_and_says_why) {
    uint16_t port = 0;
    {
        TestServer gone{net::test::echo};
        port = gone.port();
    }
    auto transport = make_https_transport(client_loop.loop(), {.servers = {endpoint(port)}});
    const auto answer = send_and_wait(*executor, *transport, {.path = "/api"});
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().reason, Reason::ServiceUnavailable);
    EXPECT_NE(answer.error().message.find("refused"), std::string::npos) << answer.error().message;
}

// For the thread sanitizer: streams end on other threads while events arrive.
TEST_F(NetworkTest, watches_may_end_at_any_moment_from_any_thread) {
    Api api;
    TestServer server{api.handler()};
    auto transport = make_https_transport(
        client_loop.loop(), {.servers = {{.host = "127.0.0.1", .port = server.port()}}});
    struct Sink final : WatchSink {
        void event(WatchEvent) override { EXPECT_FALSE(stopped); }
        void ended(Result<>) override { EXPECT_FALSE(stopped); }
        std::atomic<bool> stopped = false;
    };
    for (int i = 0; i < 50; ++i) {
        auto sink = std::make_shared<Sink>();
        auto stream = transport->watch({.path = "/api/v1/things", .query = "watch=true"}, sink);
        for (int line = 0; line < 5; ++line) api.lines->add(frame("ADDED", "{}"));
        (void)send_and_wait(*executor, *transport, {.path = "/api"});
        stream.reset();
        sink->stopped = true;
    }
}

}   // namespace
}   // namespace skiff::client
