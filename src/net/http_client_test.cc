#include "net/http_client.h"

#include <future>

#include <gtest/gtest.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/executor.h"
#include "base/text.h"
#include "net/listen.h"
#include "net/test_support.h"

namespace skiff::net {
namespace {

using namespace test;

// Each test of exchanges runs over plain HTTP/1.1, TLS with HTTP/1.1 and TLS with HTTP/2.
enum class Over { Plain, Tls1, Tls2 };

struct World {
    const Certificates certificates;
    std::unique_ptr<Executor> executor = make_thread_pool(os_clock());
    LoopThread thread{os_clock(), "client"};
    TestServer server;
    std::unique_ptr<HttpClient> client;

    World(Over over, Handler handler, ServerOptions options = {})
        : server{std::move(handler), over == Over::Plain ? nullptr : certificates.server_tls(),
                 options} {
        client = make_http_client(thread.loop(),
                                  {.host = "127.0.0.1",
                                   .port = server.port(),
                                   .tls = over == Over::Plain ? nullptr : certificates.client_tls(),
                                   .prefer_http2 = over == Over::Tls2});
    }
    Result<WholeResponse> get(std::string target, Duration timeout = 20s) {
        return ask({.target = std::move(target), .timeout = timeout});
    }
    Result<WholeResponse> ask(ClientRequest request, size_t bytes_max = 64u << 20) {
        return fetch(*executor, thread.loop(), *client, std::move(request), bytes_max);
    }
    // Runs on the client's loop and waits for it.
    template <class F>
    auto on_loop(F function) {
        std::promise<decltype(function())> result;
        thread.loop().post([&] {
            if constexpr (std::is_void_v<decltype(function())>) {
                function();
                result.set_value();
            } else {
                result.set_value(function());
            }
        });
        return result.get_future().get();
    }
};

class NetClient : public testing::TestWithParam<Over> {};
std::string name_of(const testing::TestParamInfo<Over>& row) {
    if (row.param == Over::Plain) return "Plain";
    return row.param == Over::Tls1 ? "Tls1" : "Tls2";
}
INSTANTIATE_TEST_SUITE_P(Versions, NetClient, testing::Values(Over::Plain, Over::Tls1, Over::Tls2),
                         name_of);

TEST_P(NetClient, exchanges_follow_each_other_on_one_connection) {
    World world{GetParam(), [](Request request, std::shared_ptr<Responder> responder) {
                    EXPECT_TRUE(request.headers.find("host").has_value());
                    auto response =
                        text_response(concat(request.method, ' ', request.path, '?', request.query,
                                             ' ', request.body, ' ', request.http2 ? 2 : 1),
                                      201);
                    response.headers.add("x-a", "b");
                    responder->send(std::move(response));
                }};
    const char version = GetParam() == Over::Tls2 ? '2' : '1';
    for (int i = 0; i < 3; ++i) {
        const auto got = world.ask({.method = "POST", .target = "/p?q=1", .body = "text"});
        ASSERT_TRUE(got) << got.error().message;
        EXPECT_EQ(got->status, 201);
        EXPECT_EQ(got->headers.find("x-a"), "b");
        EXPECT_EQ(got->body, concat("POST /p?q=1 text ", version));
    }
    const auto head = world.ask({.method = "HEAD", .target = "/"});
    EXPECT_EQ(head->body, "");
    EXPECT_EQ(head->headers.find("content-length"), "10");
    EXPECT_EQ(world.server.server->connections(), 1u);
}

TEST_P(NetClient, large_bodies_pass_both_ways) {
    World world{GetParam(), [](Request request, std::shared_ptr<Responder> responder) {
                    responder->send(text_response(request.body));
                }};
    std::string body;
    for (int i = 0; body.size() < 3'000'000; ++i) append(body, i, ' ');
    const auto got = world.ask({.method = "PUT", .target = "/", .body = body});
    ASSERT_TRUE(got) << got.error().message;
    EXPECT_TRUE(got->body == body);
    const auto refused =
        world.ask({.method = "PUT", .target = "/", .body = std::string(4u << 20, 'x')});
    ASSERT_TRUE(refused) << refused.error().message;
    EXPECT_EQ(refused->status, 413);
    EXPECT_NE(refused->body.find("RequestEntityTooLarge"), std::string::npos);
    const auto cut = world.ask({.method = "PUT", .target = "/", .body = body}, 1'000'000);
    ASSERT_FALSE(cut);
    EXPECT_EQ(cut.error().reason, Reason::RequestEntityTooLarge);
    EXPECT_EQ(world.get("/")->status, 200);
}

TEST_P(NetClient, many_exchanges_at_once_get_their_own_answers) {
    World world{GetParam(), echo};
    constexpr int count = 200;
    std::promise<int> all;
    int ended = 0, right = 0;
    std::vector<std::unique_ptr<HttpClient::Exchange>> exchanges;
    std::vector<std::string> bodies(count);
    world.on_loop([&] {
        for (int i = 0; i < count; ++i)
            exchanges.push_back(world.client->start(
                {.target = concat("/", i)},
                {.head = nullptr,
                 .data = [&, i](std::string_view data) { bodies[static_cast<size_t>(i)] += data; },
                 .end =
                     [&, i](Result<> result) {
                         right +=
                             result && bodies[static_cast<size_t>(i)] == concat("GET /", i, "? ");
                         if (++ended == count) all.set_value(right);
                     }}));
    });
    EXPECT_EQ(all.get_future().get(), count);
    if (GetParam() == Over::Tls2) {
        EXPECT_EQ(world.server.server->connections(), 1u);
    }
    world.on_loop([&] { exchanges.clear(); });
}

TEST_P(NetClient, a_paused_exchange_holds_the_server_back_and_a_dropped_one_is_gone_there) {
    const auto pulled = std::make_shared<std::atomic<size_t>>(0);
    std::promise<void> gone;
    World world{GetParam(), [&](Request, std::shared_ptr<Responder> responder) {
                    responder->on_gone([&gone] { gone.set_value(); });
                    responder->send({.source = std::make_shared<Endless>(pulled)});
                }};
    std::unique_ptr<HttpClient::Exchange> exchange;
    std::atomic<size_t> read = 0;
    constexpr size_t between_bytes_max = 24u << 20;   // the kernel's buffers, mostly
    std::promise<void> enough;
    world.on_loop([&] {
        exchange = world.client->start(
            {.target = "/"}, {.head = nullptr,
                              .data =
                                  [&](std::string_view data) {
                                      const auto before = read.fetch_add(data.size());
                                      EXPECT_LT(pulled->load(), before + between_bytes_max);
                                      exchange->pause();
                                      world.thread.loop().post([&] {
                                          if (exchange) exchange->resume();
                                      });
                                      if (before < 8u << 20 && before + data.size() >= 8u << 20)
                                          enough.set_value();
                                  },
                              .end = nullptr});
    });
    enough.get_future().get();
    world.on_loop([&] { exchange.reset(); });
    gone.get_future().get();
    EXPECT_LT(pulled->load(), 64u << 20);
}

TEST_P(NetClient, an_answer_that_does_not_come_times_out_and_the_server_hears_of_it) {
    std::shared_ptr<Responder> held;
    std::promise<void> gone;
    World world{GetParam(), [&](Request request, std::shared_ptr<Responder> responder) {
                    if (request.path == "/") return responder->send(text_response("fine"));
                    held = responder;
                    held->on_gone([&gone] { gone.set_value(); });
                }};
    ASSERT_TRUE(world.get("/"));
    const auto got = world.get("/never", 20ms);
    ASSERT_FALSE(got);
    EXPECT_EQ(got.error().reason, Reason::Timeout);
    gone.get_future().get();
    EXPECT_EQ(world.get("/")->body, "fine");
}

TEST_P(NetClient, a_connection_that_the_server_closed_is_replaced) {
    World world{GetParam(), echo, {.idle_timeout = 10ms}};
    for (int i = 0; i < 5; ++i) {
        const auto got = world.get("/");
        ASSERT_TRUE(got) << got.error().message;
        while (world.server.server->connections() > 0) std::this_thread::yield();
    }
}

TEST_P(NetClient, a_cut_answer_is_an_error) {
    const auto lines = std::make_shared<Lines>();
    lines->add("some");
    lines->end(BodySource::State::Abort);
    World world{GetParam(), [&](Request, std::shared_ptr<Responder> responder) {
                    responder->send({.source = lines});
                }};
    const auto got = world.get("/");
    ASSERT_FALSE(got);
    EXPECT_EQ(got.error().reason, Reason::ServiceUnavailable);
}

TEST_P(NetClient, a_drain_ends_watches_and_lets_requests_finish) {
    const auto watch = std::make_shared<Lines>(true);
    watch->add("event");
    std::promise<std::shared_ptr<Responder>> pending;
    World world{GetParam(), [&](Request request, std::shared_ptr<Responder> responder) {
                    if (request.path == "/watch") return responder->send({.source = watch});
                    pending.set_value(std::move(responder));
                }};
    std::promise<bool> watch_ended, slow_ended;
    std::promise<void> seen;
    std::vector<std::unique_ptr<HttpClient::Exchange>> exchanges;
    world.on_loop([&] {
        exchanges.push_back(world.client->start(
            {.target = "/watch"},
            {.head = nullptr,
             .data = [&](std::string_view) { seen.set_value(); },
             .end = [&](Result<> result) { watch_ended.set_value(result.has_value()); }}));
        exchanges.push_back(world.client->start(
            {.target = "/slow"}, {.head = nullptr, .data = nullptr, .end = [&](Result<> result) {
                                      slow_ended.set_value(result.has_value());
                                  }}));
    });
    seen.get_future().get();
    const auto responder = pending.get_future().get();
    std::promise<void> drained;
    world.server.server->drain(10s, [&] { drained.set_value(); });
    EXPECT_TRUE(watch_ended.get_future().get());
    responder->send(text_response("done"));
    EXPECT_TRUE(slow_ended.get_future().get());
    drained.get_future().get();
    const auto refused = world.get("/");
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().reason, Reason::ServiceUnavailable);
    world.on_loop([&] { exchanges.clear(); });
}

TEST_P(NetClient, an_upgrade_carries_raw_bytes_or_brings_the_refusal) {
    struct Held {
        std::unique_ptr<RawStream> stream;
    };
    World world{GetParam(), [](Request request, std::shared_ptr<Responder> responder) {
                    EXPECT_FALSE(request.http2);
                    if (request.path == "/no")
                        return responder->send(text_response("not you", 403));
                    Headers headers;
                    headers.add("upgrade", "echo");
                    responder->upgrade(std::move(headers), [](std::unique_ptr<RawStream> stream) {
                        auto held = std::make_shared<Held>();
                        held->stream = std::move(stream);
                        held->stream->start(
                            [held](std::string_view data) { held->stream->write(data); },
                            [held] { held->stream.reset(); });
                    });
                }};
    ClientRequest request{.method = "POST", .target = "/echo"};
    request.headers.add("connection", "Upgrade");
    request.headers.add("upgrade", "echo");
    std::promise<std::string> echoed;
    std::string got;
    std::unique_ptr<RawStream> stream;
    world.on_loop([&] {
        world.client->upgrade(request, [&](Result<HttpClient::Upgraded> upgraded) {
            ASSERT_TRUE(upgraded) << upgraded.error().message;
            ASSERT_EQ(upgraded->status, 101);
            stream = std::move(upgraded->stream);
            stream->start(
                [&](std::string_view data) {
                    got += data;
                    if (got.size() == 100'000) echoed.set_value(got);
                },
                [] {});
            stream->write(std::string(100'000, 'e'));
        });
    });
    EXPECT_EQ(echoed.get_future().get(), std::string(100'000, 'e'));
    world.on_loop([&] { stream.reset(); });
    request.target = "/no";
    std::promise<std::pair<int, std::string>> refusal;
    world.on_loop([&] {
        world.client->upgrade(request, [&](Result<HttpClient::Upgraded> upgraded) {
            refusal.set_value({upgraded->status, upgraded->body});
        });
    });
    EXPECT_EQ(refusal.get_future().get(), (std::pair<int, std::string>{403, "not you"}));
}

TEST(NetHttp2, the_clients_certificate_is_its_identity) {
    World world{Over::Tls2, [](Request request, std::shared_ptr<Responder> responder) {
                    EXPECT_TRUE(request.http2);
                    responder->send(text_response(request.peer->certificate->common_name));
                }};
    EXPECT_EQ(world.get("/")->body, "jane");
}

TEST(NetHttp2, a_large_header_is_refused_with_431_and_the_connection_lives) {
    World world{Over::Tls2, echo};
    ClientRequest request{.target = "/"};
    for (int i = 0; i < 20; ++i) request.headers.add(concat("x-", i), std::string(3500, 'x'));
    const auto got = world.ask(request);
    ASSERT_TRUE(got) << got.error().message;
    EXPECT_EQ(got->status, 431);
    EXPECT_EQ(world.get("/")->status, 200);
    EXPECT_EQ(world.server.server->connections(), 1u);
}

TEST(NetHttp2, a_body_that_trickles_is_refused_and_the_connection_lives) {
    TestServer server{echo, nullptr, {.body_timeout = 50ms}};
    Client client{server.port()};
    client.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    client.send(std::string{"\0\0\0\4\0\0\0\0\0", 9});   // SETTINGS
    // POST, http, "/", authority "x", in HPACK's static table; no end of the stream.
    const std::string head = "\x83\x86\x84\x41\x01x";
    const auto headers = [&](char flags, char stream) {
        client.send(std::string{"\0\0\6\1", 4} + flags + std::string(3, '\0') + stream + head);
    };
    headers(4, 1);
    std::string answer;
    pollfd readable{.fd = client.transport().fd(), .events = POLLIN, .revents = 0};
    while (answer.find("did not arrive in time") == std::string::npos) {
        if (::poll(&readable, 1, 5) == 0) {
            client.send(std::string{"\0\0\1\0\0\0\0\0\1x", 10});   // DATA, a byte
            continue;
        }
        const auto piece = client.read_some();
        ASSERT_FALSE(piece.empty()) << "the connection ended";
        answer += piece;
    }
    headers(5, 3);   // a whole request
    while (answer.find("POST /?") == std::string::npos) {
        const auto piece = client.read_some();
        ASSERT_FALSE(piece.empty()) << "the connection ended";
        answer += piece;
    }
}

TEST(NetHttp2, plain_prior_knowledge_is_understood) {
    TestServer server{echo};
    Client client{server.port()};
    client.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    client.send(std::string{"\0\0\0\4\0\0\0\0\0", 9});   // SETTINGS
    EXPECT_EQ(client.read_exactly(9).substr(3, 1), "\4");
}

TEST(NetEndpoint, unix_sockets_and_names_are_dialled) {
    char folder[] = "/tmp/net_test_XXXXXX";
    ASSERT_NE(::mkdtemp(folder), nullptr);
    const std::string path = std::string{folder} + "/s";
    Fd listener{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    ASSERT_EQ(::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    ASSERT_EQ(::listen(listener.get(), 5), 0);
    const auto executor = make_thread_pool(os_clock());
    LoopThread thread{os_clock(), "client"};
    const auto server = make_server({&thread.loop()}, std::move(listener), nullptr, echo).value();
    const auto client = make_http_client(thread.loop(), {.unix_path = path});
    const auto got = fetch(*executor, thread.loop(), *client, {.target = "/u"});
    ASSERT_TRUE(got) << got.error().message;
    EXPECT_EQ(got->body, "GET /u? ");
    TestServer other{echo};
    const auto by_name =
        make_http_client(thread.loop(), {.host = "localhost", .port = other.port()});
    EXPECT_EQ(fetch(*executor, thread.loop(), *by_name, {.target = "/n"})->body, "GET /n? ");
    const auto nobody = make_http_client(thread.loop(), {.unix_path = path + "-none"});
    const auto refused = fetch(*executor, thread.loop(), *nobody, {.target = "/"});
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().message.find("No such file"), std::string::npos);
    ::unlink(path.c_str());
    ::rmdir(folder);
}

TEST(NetEndpoint, a_wrong_authority_is_named_in_the_error) {
    const Certificates certificates, others;
    TestServer server{echo, certificates.server_tls()};
    const auto executor = make_thread_pool(os_clock());
    LoopThread thread{os_clock(), "client"};
    const auto client = make_http_client(
        thread.loop(), {.host = "127.0.0.1", .port = server.port(), .tls = others.anonymous_tls()});
    const auto got = fetch(*executor, thread.loop(), *client, {.target = "/"});
    ASSERT_FALSE(got);
    EXPECT_NE(got.error().message.find("certificate"), std::string::npos) << got.error().message;
    EXPECT_NE(got.error().message.find(concat("127.0.0.1:", server.port())), std::string::npos);
}

TEST(NetEndpoint, connect_raw_gives_a_stream_or_the_reason) {
    TestServer server{echo};
    LoopThread thread{os_clock(), "client"};
    std::promise<std::string> answer;
    std::unique_ptr<RawStream> stream;
    std::string got;
    thread.loop().post([&] {
        connect_raw(thread.loop(), "127.0.0.1", server.port(), 10s, [&](auto made) {
            ASSERT_TRUE(made);
            stream = *std::move(made);
            stream->start([&](std::string_view data) { got += data; },
                          [&] {
                              stream.reset();
                              answer.set_value(got);
                          });
            stream->write("GET /raw HTTP/1.0\r\n\r\n");
        });
    });
    EXPECT_TRUE(answer.get_future().get().ends_with("GET /raw? "));
    const auto closed_port = port_of(listen_tcp("127.0.0.1", 0).value()).value();
    std::promise<Error> problem;
    thread.loop().post([&] {
        connect_raw(thread.loop(), "127.0.0.1", closed_port, 10s,
                    [&](auto made) { problem.set_value(made.error()); });
    });
    EXPECT_NE(problem.get_future().get().message.find("Connection refused"), std::string::npos);
}

TEST(NetEndpoint, closing_the_client_ends_what_is_under_way) {
    World world{Over::Tls2, [](Request, std::shared_ptr<Responder> responder) {
                    const auto loop = &responder->loop();
                    loop->after(1h, [responder] {});
                }};
    std::promise<Result<>> ended;
    std::unique_ptr<HttpClient::Exchange> exchange;
    world.on_loop([&] {
        exchange = world.client->start(
            {.target = "/"}, {.head = nullptr, .data = nullptr, .end = [&](Result<> result) {
                                  ended.set_value(std::move(result));
                              }});
    });
    world.client.reset();
    EXPECT_FALSE(ended.get_future().get());
    world.on_loop([&] { exchange.reset(); });
}

}   // namespace
}   // namespace skiff::net
