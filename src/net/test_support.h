// For tests: a blocking client that says exactly what it is told to, and a server to talk to.
#pragma once

#include <array>
#include <atomic>
#include <cstring>
#include <optional>
#include <string>

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "base/guarded.h"
#include "base/text.h"
#include "net/http1_message.h"
#include "net/listen.h"
#include "net/loop.h"
#include "net/server.h"
#include "net/transport.h"

namespace skiff::net::test {

constexpr int timeout_seconds = 20;   // only a failing test waits so long

inline Fd connect_to(uint16_t port, int receive_buffer_bytes = 0) {
    Fd fd{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    const timeval timeout{.tv_sec = timeout_seconds, .tv_usec = 0};
    ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
    if (receive_buffer_bytes)
        ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUF, &receive_buffer_bytes,
                     sizeof receive_buffer_bytes);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    return fd;
}

struct Answer {
    int status = 0;
    Headers headers;
    std::string body;
};

class Client {
  public:
    explicit Client(uint16_t port, int receive_buffer_bytes = 0)
        : transport_{connect_to(port, receive_buffer_bytes)} {}
    Client(uint16_t port, const std::shared_ptr<TlsContext>& tls, Transport::ClientTls options)
        : transport_{Transport::client(connect_to(port), tls->native(), options).value()} {
        handshake_ = transport_.handshake();
    }

    Transport& transport() { return transport_; }
    bool connected() const { return handshake_ == Transport::Status::Ok; }

    void send(std::string_view bytes) {
        while (!bytes.empty()) {
            const auto outcome = transport_.write(bytes);
            if (outcome.status != Transport::Status::Ok) return;   // the reading side will tell
            bytes.remove_prefix(outcome.bytes);
        }
    }

    // "" at the end of the connection.
    std::string read_some(size_t most = 16384) {
        if (!rest_.empty()) return std::exchange(rest_, {});
        std::string buffer(most, '\0');
        const auto outcome = transport_.read(buffer);
        buffer.resize(outcome.status == Transport::Status::Ok ? outcome.bytes : 0);
        return buffer;
    }

    std::string read_exactly(size_t size) {
        std::string got;
        while (got.size() < size) {
            const auto piece = read_some();
            if (piece.empty()) break;
            got += piece;
        }
        rest_ = got.size() > size ? got.substr(size) : std::string{};
        got.resize(std::min(size, got.size()));
        return got;
    }

    std::string read_to_end() {
        std::string got;
        while (true) {
            const auto piece = read_some();
            if (piece.empty()) return got;
            got += piece;
        }
    }

    // Status 0 when the connection ends instead.
    Answer read_answer(std::string_view method = "GET") {
        std::string input;
        HeadScanner scanner;
        size_t head_size = 0;
        while (head_size == 0) {
            const auto piece = read_some();
            if (piece.empty()) return {};
            input += piece;
            head_size = scanner.find_end(input).value_or(0);
        }
        auto head = parse_response_head(std::string_view{input}.substr(0, head_size)).value();
        Answer answer{head.status, head.headers, {}};
        rest_ = input.substr(head_size);
        if (head.status == 101) return answer;
        const auto framing = response_framing(head, method).value();
        if (framing.kind == Framing::Kind::Length)
            answer.body = read_exactly(static_cast<size_t>(framing.length));
        if (framing.kind == Framing::Kind::UntilClose) answer.body = read_to_end();
        if (framing.kind == Framing::Kind::Chunked) read_chunks(answer);
        return answer;
    }

  private:
    void read_chunks(Answer& answer) {
        ChunkedDecoder decoder;
        while (!decoder.done()) {
            const auto piece = read_some();
            if (piece.empty()) {
                answer.status = 0;   // cut
                return;
            }
            const auto used =
                decoder.feed(piece, [&](std::string_view data) { answer.body += data; }).value();
            rest_ = piece.substr(used);
        }
    }

    Transport transport_;
    Transport::Status handshake_ = Transport::Status::Ok;
    std::string rest_;
};

// An authority, a server certificate for 127.0.0.1 and a client's.
struct Certificates {
    KeyPair ca, server, client;
    Certificates() {
        const auto now = os_clock().now();
        const CertificateProfile base{.not_before = now - 1h, .not_after = now + 1h};
        auto serving = base;
        serving.server_auth = true;
        auto using_it = base;
        using_it.client_auth = true;
        ca = make_ca("test-ca", base.not_before, base.not_after).value();
        server =
            issue(ca,
                  {.common_name = "server", .dns_names = {"localhost"}, .addresses = {"127.0.0.1"}},
                  serving)
                .value();
        client =
            issue(ca, {.common_name = "jane", .organizations = {"devs", "ops"}}, using_it).value();
    }
    std::shared_ptr<TlsContext> server_tls() const {
        return make_server_tls(server.certificate_pem, server.key_pem, ca.certificate_pem).value();
    }
    std::shared_ptr<TlsContext> client_tls() const {
        return make_client_tls(ca.certificate_pem, client.certificate_pem, client.key_pem).value();
    }
    std::shared_ptr<TlsContext> anonymous_tls() const {
        return make_client_tls(ca.certificate_pem).value();
    }
};

struct TestServer {
    LoopThread thread{os_clock(), "server"};
    std::unique_ptr<Server> server;
    explicit TestServer(Handler handler, std::shared_ptr<TlsContext> tls = nullptr,
                        ServerOptions options = {}) {
        server = make_server({&thread.loop()}, listen_tcp("127.0.0.1", 0).value(), std::move(tls),
                             std::move(handler), options)
                     .value();
    }
    uint16_t port() const { return server->port(); }
};

inline Response text_response(std::string_view text, int status = 200) {
    Response response{.status = status};
    response.headers.add("content-type", "text/plain");
    response.body.emplace_back(Bytes{text});
    return response;
}

// Says what it saw: "GET /a?b=c body".
inline void echo(Request request, std::shared_ptr<Responder> responder) {
    responder->send(text_response(
        concat(request.method, ' ', request.path, '?', request.query, ' ', request.body)));
}

// Endless data, counted; the slow reader must hold it back.
class Endless final : public BodySource {
  public:
    explicit Endless(std::shared_ptr<std::atomic<size_t>> pulled) : pulled_{std::move(pulled)} {}
    State pull(std::vector<Slice>& out, size_t want) override {
        if (*pulled_ >= 256u << 20) return State::End;
        out.emplace_back(Bytes{std::string(want, 'x')});
        *pulled_ += want;
        return State::More;
    }
    void on_wake(std::function<void()>) override {}

  private:
    std::shared_ptr<std::atomic<size_t>> pulled_;
};

// Waits for its test to add lines, from the test's thread.
class Lines final : public BodySource {
  public:
    explicit Lines(bool early = false) : early_{early} {}
    void add(std::string line) {
        std::function<void()> wake;
        state_.use([&](Shared& shared) {
            shared.lines.push_back(std::move(line));
            wake = shared.wake;
        });
        if (wake) wake();
    }
    void end(State how = State::End) {
        std::function<void()> wake;
        state_.use([&](Shared& shared) {
            shared.end = how;
            wake = shared.wake;
        });
        if (wake) wake();
    }
    State pull(std::vector<Slice>& out, size_t) override {
        return state_.use([&](Shared& shared) {
            if (shared.lines.empty()) return shared.end;
            out.emplace_back(Bytes{shared.lines.front()});
            shared.lines.erase(shared.lines.begin());
            return State::More;
        });
    }
    void on_wake(std::function<void()> wake) override {
        state_.use([&](Shared& shared) { shared.wake = std::move(wake); });
    }
    bool may_end_early() const override { return early_; }

  private:
    struct Shared {
        std::vector<std::string> lines;
        State end = State::Wait;
        std::function<void()> wake;
    };
    Guarded<Shared> state_;
    const bool early_;
};

}   // namespace skiff::net::test
