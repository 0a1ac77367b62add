#include "net/server.h"
#include "net/listen.h"

#include <future>
#include <set>
#include <thread>

#include <gtest/gtest.h>
#include <poll.h>

#include "base/guarded.h"
#include "base/text.h"
#include "net/test_support.h"

namespace skiff::net {
namespace {

using namespace test;
using namespace std::string_view_literals;

TEST(NetHttp1, requests_are_answered_and_the_connection_is_kept) {
    TestServer server{echo};
    Client client{server.port()};
    client.send("GET /a%20b?x=1 HTTP/1.1\r\nHost: x\r\n\r\n");
    auto answer = client.read_answer();
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.body, "GET /a%20b?x=1 ");
    EXPECT_EQ(answer.headers.find("content-length"), "15");
    EXPECT_TRUE(answer.headers.find("date").has_value());
    client.send("POST /p HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhe");
    client.send("llo");
    EXPECT_EQ(client.read_answer().body, "POST /p? hello");
    client.send(
        "POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        "3;ext=1\r\nabc\r\n2\r\nde\r\n0\r\nX-Trailer: y\r\n\r\n");
    EXPECT_EQ(client.read_answer().body, "POST /c? abcde");
    client.send("HEAD /h HTTP/1.1\r\nHost: x\r\n\r\n");
    answer = client.read_answer("HEAD");
    EXPECT_EQ(answer.headers.find("content-length"), "9");
    client.send("GET /last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    EXPECT_EQ(client.read_answer().headers.find("connection"), "close");
    EXPECT_EQ(client.read_to_end(), "");
}

TEST(NetHttp1, pipelined_requests_are_answered_in_order_whoever_answers_first) {
    std::vector<std::shared_ptr<Responder>> waiting;
    std::promise<std::shared_ptr<Responder>> first;
    TestServer server{[&](Request request, std::shared_ptr<Responder> responder) {
        if (request.path == "/slow") {
            first.set_value(std::move(responder));
        } else {
            echo(std::move(request), std::move(responder));
        }
    }};
    Client client{server.port()};
    client.send("GET /slow HTTP/1.1\r\nHost: x\r\n\r\nGET /fast HTTP/1.1\r\nHost: x\r\n\r\n");
    first.get_future().get()->send(text_response("slow"));   // from another thread
    EXPECT_EQ(client.read_answer().body, "slow");
    EXPECT_EQ(client.read_answer().body, "GET /fast? ");
}

struct BadRequest {
    const char* what;
    std::string sent;
    int status;
};

TEST(NetHttp1, ambiguous_or_malformed_messages_are_refused_and_the_connection_closed) {
    const std::string host = "Host: x\r\n";
    const std::string post = "POST / HTTP/1.1\r\n" + host;
    const std::string chunked = post + "Transfer-Encoding: chunked\r\n\r\n";
    const BadRequest rows[] = {
        {"both lengths", post + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
         400},
        {"two lengths", post + "Content-Length: 4\r\nContent-Length: 4\r\n\r\nabcd", 400},
        {"list of lengths", post + "Content-Length: 4, 4\r\n\r\nabcd", 400},
        {"signed length", post + "Content-Length: +4\r\n\r\nabcd", 400},
        {"negative length", post + "Content-Length: -4\r\n\r\nabcd", 400},
        {"hex length", post + "Content-Length: 0x4\r\n\r\nabcd", 400},
        {"huge length", post + "Content-Length: 99999999999999999999\r\n\r\n", 400},
        {"empty length", post + "Content-Length:\r\n\r\n", 400},
        {"other coding", post + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400},
        {"disguised coding", post + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 400},
        {"two codings", post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n",
         400},
        {"coding in 1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
        {"blank before colon", post + "Content-Length : 4\r\n\r\nabcd", 400},
        {"folded line", "GET / HTTP/1.1\r\n" + host + "X-A: 1\r\n 2\r\n\r\n", 400},
        {"leading blank", "GET / HTTP/1.1\r\n " + host + "\r\n", 400},
        {"no colon", "GET / HTTP/1.1\r\n" + host + "nonsense\r\n\r\n", 400},
        {"empty name", "GET / HTTP/1.1\r\n" + host + ": x\r\n\r\n", 400},
        {"bare LF", "GET / HTTP/1.1\nHost: x\n\n", 400},
        {"bare LF inside", "GET / HTTP/1.1\r\n" + host + "X: 1\nY: 2\r\n\r\n", 400},
        {"NUL in a value", "GET / HTTP/1.1\r\n" + host + std::string{"X: a\0b\r\n\r\n", 10}, 400},
        {"CR in a value", "GET / HTTP/1.1\r\n" + host + "X: a\rb\r\n\r\n", 400},
        {"no host", "GET / HTTP/1.1\r\n\r\n", 400},
        {"two hosts", "GET / HTTP/1.1\r\n" + host + host + "\r\n", 400},
        {"no version", "GET /\r\n" + host + "\r\n", 400},
        {"blank in target", "GET /a b HTTP/1.1\r\n" + host + "\r\n", 400},
        {"relative target", "GET a HTTP/1.1\r\n" + host + "\r\n", 400},
        {"bad method", "G(T / HTTP/1.1\r\n" + host + "\r\n", 400},
        {"other version", "GET / HTTP/3.0\r\n" + host + "\r\n", 505},
        {"no hex chunk size", chunked + "xyz\r\n", 400},
        {"signed chunk size", chunked + "+1\r\na\r\n0\r\n\r\n", 400},
        {"prefixed chunk size", chunked + "0x1\r\na\r\n0\r\n\r\n", 400},
        {"empty chunk size", chunked + "\r\na\r\n0\r\n\r\n", 400},
        {"blank before chunk size", chunked + " 1\r\na\r\n0\r\n\r\n", 400},
        {"blank after chunk size", chunked + "1 \r\na\r\n0\r\n\r\n", 400},
        {"huge chunk size", chunked + "fffffffffffffffff\r\n", 400},
        {"long chunk", chunked + "1\r\nab\r\n0\r\n\r\n", 400},
        {"bare LF after chunk size", chunked + "1\na\r\n0\r\n\r\n", 400},
        {"long chunk extension", chunked + "1;" + std::string(300, 'x') + "\r\n", 400},
        {"bad trailer", chunked + "0\r\nContent-Length : 3\r\n\r\n", 400},
        {"other expectation", post + "Expect: tea\r\nContent-Length: 4\r\n\r\n", 417},
        {"large header", "GET / HTTP/1.1\r\n" + host + "X: " + std::string(70000, 'x') + "\r\n\r\n",
         431},
        {"endless header line", "GET / HTTP/1.1\r\n" + host + "X: " + std::string(70000, 'x'), 431},
    };
    TestServer server{echo};
    for (const auto& row : rows) {
        SCOPED_TRACE(row.what);
        Client client{server.port()};
        client.send(row.sent + "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n");
        const auto answer = client.read_answer();
        EXPECT_EQ(answer.status, row.status);
        EXPECT_EQ(answer.headers.find("connection"), "close");
        EXPECT_NE(answer.body.find(concat("\"code\":", row.status)), std::string::npos);
        EXPECT_NE(answer.body.find("\"kind\":\"Status\""), std::string::npos);
        EXPECT_EQ(client.read_to_end(), "");   // the smuggled request is not answered
    }
}

TEST(NetHttp1, a_body_above_the_limit_gets_413_that_the_client_can_read) {
    TestServer server{echo, nullptr, {.body_bytes_max = 100'000}};
    const std::string large(5'000'000, 'x');
    for (const bool chunked : {false, true}) {
        Client client{server.port()};
        client.send("POST / HTTP/1.1\r\nHost: x\r\n");
        client.send(chunked ? concat("Transfer-Encoding: chunked\r\n\r\n4c4b40\r\n")
                            : concat("Content-Length: ", large.size(), "\r\n\r\n"));
        client.send(large);   // all of it, before reading: a reset would lose the answer
        const auto answer = client.read_answer();
        EXPECT_EQ(answer.status, 413);
        EXPECT_NE(answer.body.find("\"reason\":\"RequestEntityTooLarge\""), std::string::npos);
        EXPECT_EQ(client.read_to_end(), "");
    }
    Client client{server.port()};
    client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n");
    client.send(large.substr(0, 100'000));
    EXPECT_EQ(client.read_answer().status, 200);
}

TEST(NetHttp1, expect_100_continue_is_told_to_go_on_or_refused_before_the_body) {
    TestServer server{echo, nullptr, {.body_bytes_max = 10}};
    Client client{server.port()};
    client.send("POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    EXPECT_EQ(client.read_answer().status, 100);
    client.send("hi");
    EXPECT_EQ(client.read_answer().body, "POST /? hi");
    client.send("POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 11\r\n\r\n");
    EXPECT_EQ(client.read_answer().status, 413);
}

TEST(NetHttp1, http_1_0_is_answered_and_closed_unless_it_asks_to_keep) {
    TestServer server{echo};
    Client client{server.port()};
    client.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    EXPECT_EQ(client.read_answer().headers.find("connection"), "keep-alive");
    client.send("GET / HTTP/1.0\r\n\r\n");
    EXPECT_EQ(client.read_answer().status, 200);
    EXPECT_EQ(client.read_to_end(), "");
}

TEST(NetHttp1, an_upgrade_hands_over_bytes_that_came_with_the_head) {
    struct Echo {
        std::unique_ptr<RawStream> stream;
    };
    TestServer server{[](Request request, std::shared_ptr<Responder> responder) {
        EXPECT_TRUE(request.headers.has_token("connection", "upgrade"));
        Headers headers;
        headers.add("upgrade", *request.headers.find("upgrade"));
        responder->upgrade(std::move(headers), [](std::unique_ptr<RawStream> stream) {
            auto held = std::make_shared<Echo>();
            held->stream = std::move(stream);
            held->stream->start(
                [held](std::string_view data) {
                    held->stream->write(data);
                    if (data.ends_with("bye")) held->stream->finish();
                },
                [held] { held->stream.reset(); });
        });
    }};
    Client client{server.port()};
    client.send(
        "POST /exec HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n"
        "Content-Length: 0\r\n\r\nearly");
    const auto answer = client.read_answer();
    EXPECT_EQ(answer.status, 101);
    EXPECT_EQ(answer.headers.find("upgrade"), "SPDY/3.1");
    EXPECT_TRUE(answer.headers.has_token("connection", "upgrade"));
    EXPECT_EQ(client.read_exactly(5), "early");
    client.send("later");
    EXPECT_EQ(client.read_exactly(5), "later");
    client.send("bye");
    EXPECT_EQ(client.read_to_end(), "bye");
}

TEST(NetHttp1, a_slow_reader_holds_the_source_back) {
    const auto pulled = std::make_shared<std::atomic<size_t>>(0);
    std::promise<void> gone;
    TestServer server{[&](Request, std::shared_ptr<Responder> responder) {
        responder->on_gone([&gone] { gone.set_value(); });
        responder->send({.source = std::make_shared<Endless>(pulled)});
    }};
    size_t read = 0;
    {
        Client client{server.port(), 64 << 10};
        client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        constexpr size_t between_bytes_max = 12u << 20;   // the kernel's buffers, mostly
        while (read < 8u << 20) {
            read += client.read_some().size();
            ASSERT_LT(pulled->load(), read + between_bytes_max);
        }
    }
    gone.get_future().get();   // the closed connection is noticed though the source never waits
    EXPECT_LT(pulled->load(), 64u << 20);
}

TEST(NetHttp1, a_streamed_answer_flows_as_its_source_wakes) {
    const auto lines = std::make_shared<Lines>();
    TestServer server{
        [&](Request, std::shared_ptr<Responder> responder) { responder->send({.source = lines}); }};
    Client client{server.port()};
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.0\r\n\r\n");
    lines->add("one\n");
    const std::string head = "HTTP/1.1 200 OK\r\n";
    EXPECT_EQ(client.read_exactly(head.size()), head);
    std::string got;
    while (!got.ends_with("4\r\none\n\r\n")) got += client.read_some();
    EXPECT_NE(got.find("Transfer-Encoding: chunked\r\n"), std::string::npos);
    lines->add("two\n");
    EXPECT_EQ(client.read_exactly(9), "4\r\ntwo\n\r\n");
    lines->end();
    // The second, of HTTP/1.0, ends with the connection.
    got = client.read_to_end();
    EXPECT_TRUE(got.starts_with("0\r\n\r\nHTTP/1.1 200 OK\r\n")) << got;
    EXPECT_TRUE(got.ends_with("\r\n\r\n")) << got;
}

TEST(NetHttp1, an_aborted_source_is_seen_as_a_cut_body) {
    const auto lines = std::make_shared<Lines>();
    lines->add("some");
    lines->end(BodySource::State::Abort);
    TestServer server{
        [&](Request, std::shared_ptr<Responder> responder) { responder->send({.source = lines}); }};
    Client client{server.port()};
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_EQ(client.read_answer().status, 0);
}

TEST(NetHttp1, a_dropped_responder_answers_500) {
    TestServer server{[](Request, std::shared_ptr<Responder>) {}};
    Client client{server.port()};
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    const auto answer = client.read_answer();
    EXPECT_EQ(answer.status, 500);
    EXPECT_NE(answer.body.find("\"reason\":\"InternalError\""), std::string::npos);
}

TEST(NetHttp1, a_client_that_shut_its_side_still_gets_a_finite_answer_but_is_told_gone) {
    std::promise<void> gone;
    std::promise<std::shared_ptr<Responder>> pending;
    TestServer server{[&](Request, std::shared_ptr<Responder> responder) {
        responder->on_gone([&gone] { gone.set_value(); });
        pending.set_value(std::move(responder));
    }};
    Client client{server.port()};
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    const auto responder = pending.get_future().get();
    ::shutdown(client.transport().fd(), SHUT_WR);
    gone.get_future().get();
    responder->send(text_response("all the same"));
    EXPECT_EQ(client.read_answer().body, "all the same");
    EXPECT_EQ(client.read_to_end(), "");
}

TEST(NetHttp1, header_values_cannot_add_headers) {
    TestServer server{[](Request, std::shared_ptr<Responder> responder) {
        Response response = text_response("x");
        response.headers.add("warning", "a\r\nset-cookie: b");
        responder->send(std::move(response));
    }};
    Client client{server.port()};
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    const auto answer = client.read_answer();
    EXPECT_EQ(answer.headers.find("warning"), "a  set-cookie: b");
    EXPECT_FALSE(answer.headers.find("set-cookie"));
}

TEST(NetHttp1, a_slow_head_is_cut_and_an_idle_connection_closed) {
    TestServer server{echo, nullptr, {.header_timeout = 20ms, .idle_timeout = 20ms}};
    Client silent{server.port()};
    EXPECT_EQ(silent.read_to_end(), "");
    Client slow{server.port()};
    slow.send("GET / HT");
    EXPECT_TRUE(slow.read_to_end().starts_with("HTTP/1.1 408 "));
    Client idle{server.port()};
    idle.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_EQ(idle.read_answer().status, 200);
    EXPECT_EQ(idle.read_to_end(), "");
}

TEST(NetHttp1, a_body_that_trickles_is_cut) {
    TestServer server{echo, nullptr, {.body_timeout = 50ms}};
    for (const std::string_view head :
         {"Content-Length: 100000\r\n\r\n"sv, "Transfer-Encoding: chunked\r\n\r\n186a0\r\n"sv}) {
        Client client{server.port()};
        client.send(concat("POST / HTTP/1.1\r\nHost: x\r\n", head));
        pollfd answered{.fd = client.transport().fd(), .events = POLLIN, .revents = 0};
        while (::poll(&answered, 1, 5) == 0) client.send("x");   // it never stops
        const auto answer = client.read_some();
        EXPECT_TRUE(answer.starts_with("HTTP/1.1 408 ")) << answer;
    }
}

TEST(NetTls, client_certificates_are_asked_for_but_not_demanded) {
    const Certificates certificates;
    const Certificates others;
    TestServer server{[](Request request, std::shared_ptr<Responder> responder) {
                          const auto& peer = *request.peer;
                          EXPECT_EQ(peer.address, "127.0.0.1");
                          EXPECT_TRUE(peer.tls);
                          responder->send(text_response(
                              peer.certificate ? concat(peer.certificate->common_name, ": ",
                                                        join(peer.certificate->organizations, " "))
                                               : concat("nobody ", peer.certificate_problem)));
                      },
                      certificates.server_tls()};
    const auto ask = [&](const std::shared_ptr<TlsContext>& tls) {
        Client client{server.port(), tls, {.server_name = "127.0.0.1"}};
        EXPECT_TRUE(client.connected()) << client.transport().problem();
        EXPECT_EQ(client.transport().alpn(), "http/1.1");
        client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        return client.read_answer().body;
    };
    EXPECT_EQ(ask(certificates.client_tls()), "jane: devs ops");
    EXPECT_EQ(ask(certificates.anonymous_tls()), "nobody ");
    const auto stranger = make_client_tls(certificates.ca.certificate_pem,
                                          others.client.certificate_pem, others.client.key_pem);
    EXPECT_NE(ask(*stranger).find("issuer"), std::string::npos);   // and the connection lives
}

TEST(NetTls, without_alpn_http_1_1_is_spoken) {
    const Certificates certificates;
    TestServer server{echo, certificates.server_tls()};
    Client client{server.port(),
                  certificates.anonymous_tls(),
                  {.server_name = "localhost", .offer_any = false}};
    ASSERT_TRUE(client.connected());
    EXPECT_EQ(client.transport().alpn(), "");
    client.send("GET /x HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_EQ(client.read_answer().body, "GET /x? ");
}

TEST(NetTls, the_client_checks_name_address_and_authority) {
    const Certificates certificates;
    const Certificates others;
    TestServer server{echo, certificates.server_tls()};
    const auto connects = [&](const std::shared_ptr<TlsContext>& tls, const char* name) {
        return Client{server.port(), tls, {.server_name = name}}.connected();
    };
    EXPECT_TRUE(connects(certificates.anonymous_tls(), "127.0.0.1"));
    EXPECT_TRUE(connects(certificates.anonymous_tls(), "localhost"));
    EXPECT_FALSE(connects(certificates.anonymous_tls(), "127.0.0.2"));
    EXPECT_FALSE(connects(certificates.anonymous_tls(), "elsewhere"));
    EXPECT_FALSE(connects(others.anonymous_tls(), "127.0.0.1"));
    EXPECT_TRUE(connects(make_unverified_client_tls().value(), "elsewhere"));
}

TEST(NetTls, certificate_and_roots_are_swapped_while_running) {
    const Certificates before;
    const Certificates after;
    const auto tls = before.server_tls();
    TestServer server{
        [](Request request, std::shared_ptr<Responder> responder) {
            responder->send(text_response(request.peer->certificate ? "known" : "unknown"));
        },
        tls};
    Client old{server.port(), before.client_tls(), {.server_name = "127.0.0.1"}};
    ASSERT_TRUE(tls->use(after.server.certificate_pem, after.server.key_pem));
    ASSERT_TRUE(tls->trust(after.ca.certificate_pem));
    EXPECT_FALSE(tls->use(after.server.certificate_pem, before.server.key_pem));   // no pair: kept
    Client fresh{server.port(), after.client_tls(), {.server_name = "127.0.0.1"}};
    ASSERT_TRUE(fresh.connected());
    for (auto* client : {&old, &fresh}) {   // the old connection lives on as it was made
        client->send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        EXPECT_EQ(client->read_answer().body, "known");
    }
    EXPECT_FALSE(
        (Client{server.port(), before.client_tls(), {.server_name = "127.0.0.1"}}.connected()));
}

TEST(NetTls, a_handshake_that_does_not_come_is_cut) {
    const Certificates certificates;
    TestServer server{echo, certificates.server_tls(), {.header_timeout = 20ms}};
    Client silent{server.port()};
    EXPECT_EQ(silent.read_to_end(), "");
}

TEST(NetTls, plain_http_on_the_tls_port_is_told_so) {
    const Certificates certificates;
    TestServer server{echo, certificates.server_tls()};
    Client client{server.port()};
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_NE(client.read_to_end().find("HTTP request to an HTTPS server"), std::string::npos);
}

TEST(NetServer, drain_finishes_requests_ends_watches_and_cuts_the_rest_at_the_deadline) {
    const auto watch = std::make_shared<Lines>(true);
    const auto log = std::make_shared<Lines>(false);
    watch->add("event");
    log->add("line");
    std::promise<std::shared_ptr<Responder>> pending;
    TestServer server{[&](Request request, std::shared_ptr<Responder> responder) {
        if (request.path == "/watch") responder->send({.source = watch});
        if (request.path == "/log") responder->send({.source = log});
        if (request.path == "/slow") pending.set_value(std::move(responder));
    }};
    Client idle{server.port()}, watching{server.port()};
    Client logging{server.port()}, slow{server.port()};
    watching.send("GET /watch HTTP/1.1\r\nHost: x\r\n\r\n");
    while (watching.read_some().find("event") == std::string::npos) {}
    logging.send("GET /log HTTP/1.1\r\nHost: x\r\n\r\n");
    while (logging.read_some().find("line") == std::string::npos) {}
    slow.send("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n");
    const auto responder = pending.get_future().get();
    std::promise<void> drained;
    server.server->drain(100ms, [&] { drained.set_value(); });
    EXPECT_EQ(idle.read_to_end(), "");
    EXPECT_EQ(watching.read_to_end(), "0\r\n\r\n");   // a proper end
    responder->send(text_response("done"));
    EXPECT_EQ(slow.read_answer().body, "done");
    EXPECT_EQ(slow.read_to_end(), "");
    EXPECT_EQ(logging.read_to_end(), "");   // cut
    drained.get_future().get();
    EXPECT_EQ(server.server->connections(), 0u);
}

TEST(NetServer, its_end_closes_every_connection_and_tells_who_holds_one) {
    std::promise<void> gone, stream_ended, upgraded;
    std::unique_ptr<RawStream> stream;   // dies before the loop
    TestServer server{[&](Request request, std::shared_ptr<Responder> responder) {
        if (request.path == "/wait") {
            responder->on_gone([&gone] { gone.set_value(); });
            responder->send({.source = std::make_shared<Lines>()});
            return;
        }
        responder->upgrade({}, [&](std::unique_ptr<RawStream> taken) {
            stream = std::move(taken);
            stream->start([](std::string_view) {},
                          [&] {
                              stream.reset();
                              stream_ended.set_value();
                          });
            upgraded.set_value();
        });
    }};
    Client waiting{server.port()}, raw{server.port()}, idle{server.port()};
    waiting.send("GET /wait HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_NE(waiting.read_some(), "");
    raw.send("GET /raw HTTP/1.1\r\nHost: x\r\n\r\n");
    upgraded.get_future().get();
    server.server.reset();
    gone.get_future().get();
    stream_ended.get_future().get();
    EXPECT_EQ(waiting.read_to_end(), "");
    EXPECT_EQ(idle.read_to_end(), "");
    while (!raw.read_some().empty()) {}
}

TEST(NetServer, connections_are_spread_over_loops) {
    LoopThread one{os_clock(), "one"}, two{os_clock(), "two"};
    const auto server =
        make_server({&one.loop(), &two.loop()}, listen_tcp("::", 0).value(), nullptr,
                    [&](Request request, std::shared_ptr<Responder> responder) {
                        EXPECT_EQ(request.peer->address, "127.0.0.1");   // not ::ffff:127.0.0.1
                        const bool first = &responder->loop() == &one.loop();
                        responder->send(text_response(first ? "one" : "two"));
                    })
            .value();
    std::set<std::string> seen;
    std::vector<std::unique_ptr<Client>> clients;
    for (int i = 0; i < 4; ++i) {
        clients.push_back(std::make_unique<Client>(server->port()));
        clients.back()->send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        seen.insert(clients.back()->read_answer().body);
    }
    EXPECT_EQ(seen, (std::set<std::string>{"one", "two"}));
}

TEST(NetServer, two_listeners_on_one_port_fail_with_the_port_in_the_message) {
    const auto first = listen_tcp("127.0.0.1", 0).value();
    const auto port = port_of(first).value();
    const auto second = listen_tcp("127.0.0.1", port);
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().reason, Reason::AlreadyExists);
    EXPECT_NE(second.error().message.find(concat("port ", port)), std::string::npos);
}

}   // namespace
}   // namespace skiff::net
