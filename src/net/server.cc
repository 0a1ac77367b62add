#include "net/server.h"
#include "net/listen.h"

#include <atomic>
#include <cerrno>
#include <latch>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"
#include "net/connection.h"

namespace skiff::net {
namespace {

constexpr int accepts_per_round_max = 64;
constexpr Duration accept_retry = 100ms;   // out of descriptors
constexpr std::string_view http2_preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
constexpr Duration drain_check = 20ms;

// Runs a function on the loop and waits for it; at once when the loop is ours or does not run.
template <class F>
void run_on(Loop& loop, F function) {
    if (loop.in_loop()) {
        function();
        return;
    }
    std::latch done{1};
    loop.post([&] {
        function();
        done.count_down();
    });
    done.wait();
}

void describe_address(const sockaddr_storage& address, Peer& peer) {
    char text[INET6_ADDRSTRLEN] = "";
    if (address.ss_family == AF_INET) {
        const auto& four = reinterpret_cast<const sockaddr_in&>(address);
        ::inet_ntop(AF_INET, &four.sin_addr, text, sizeof text);
        peer.port = ntohs(four.sin_port);
    } else if (address.ss_family == AF_INET6) {
        const auto& six = reinterpret_cast<const sockaddr_in6&>(address);
        if (IN6_IS_ADDR_V4MAPPED(&six.sin6_addr)) {
            ::inet_ntop(AF_INET, &six.sin6_addr.s6_addr[12], text, sizeof text);
        } else {
            ::inet_ntop(AF_INET6, &six.sin6_addr, text, sizeof text);
        }
        peer.port = ntohs(six.sin6_port);
    }
    peer.address = text;
}

void set_socket_options(int fd) {
    const int on = 1;
    const int idle_seconds = 60;
    const int interval_seconds = 15;
    const int probes = 4;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    // A watch may be silent for hours: dead peers must still be noticed.
    ::setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_seconds, sizeof idle_seconds);
    ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_seconds, sizeof interval_seconds);
    ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
}

// The first user of a new channel: waits for the handshake and the protocol, then steps aside.
class Greeter final : public Connection {
  public:
    Greeter(std::shared_ptr<Hub> hub, std::shared_ptr<Channel> channel, Peer peer)
        : hub_{std::move(hub)},
          channel_{std::move(channel)},
          peer_{std::move(peer)},
          deadline_{hub_->loop, [this] { cut(); }} {}

    void begin(std::string_view) override {
        deadline_.set(hub_->options.header_timeout);
        channel_->start(*this);
    }
    void opened() override {
        if (!channel_->transport().tls()) return;   // plain: the first bytes decide
        channel_->transport().describe_peer(peer_);
        hand_over(channel_->transport().alpn() == "h2", {});
    }
    void received(std::string_view bytes) override {
        early_.append(bytes);
        const auto seen = std::string_view{early_}.substr(0, http2_preface.size());
        if (!http2_preface.starts_with(seen)) {
            hand_over(false, early_);
        } else if (seen.size() == http2_preface.size()) {
            hand_over(true, early_);
        }
    }
    void writable() override {}
    void ended(const Error*) override { cut(); }
    void drain() override { cut(); }
    void cut() override {
        const auto self = shared_from_this();
        deadline_.clear();
        channel_->set_user(nullptr);
        channel_->close();
        hub_->release(this);
    }
    void answer(uint32_t, Response) override {}
    void upgrade(uint32_t, Headers, Take) override {}
    void watch_gone(uint32_t, std::function<void()>) override {}
    void wake(uint32_t) override {}

  private:
    void hand_over(bool http2, const std::string& early) {
        const auto self = shared_from_this();
        deadline_.clear();
        auto peer = std::make_shared<const Peer>(std::move(peer_));
        auto next = http2 ? make_http2_connection(hub_, channel_, std::move(peer))
                          : make_http1_connection(hub_, channel_, std::move(peer));
        hub_->release(this);
        hub_->adopt(next);
        next->begin(early);
    }

    const std::shared_ptr<Hub> hub_;
    const std::shared_ptr<Channel> channel_;
    Peer peer_;
    std::string early_;
    Deadline deadline_;
};

// Counts a channel for as long as it is open: its destruction is the end of the connection.
struct Token {
    std::shared_ptr<Hub> hub;
    std::shared_ptr<std::atomic<size_t>> count;
    Channel* channel = nullptr;
    ~Token() {
        hub->channels.erase(channel);
        --*count;
    }
};

void adopt_socket(const std::shared_ptr<Hub>& hub, Fd fd, const std::shared_ptr<TlsContext>& tls,
                  Peer peer, const std::shared_ptr<std::atomic<size_t>>& count) {
    const auto token = std::make_shared<Token>(hub, count);
    if (hub->draining) return;
    auto transport =
        tls ? Transport::server(std::move(fd), tls->native()) : Transport{std::move(fd)};
    const auto channel = Channel::make(hub->loop, std::move(transport), token);
    token->channel = channel.get();
    hub->channels.emplace(channel.get(), channel);
    const auto greeter = std::make_shared<Greeter>(hub, channel, std::move(peer));
    hub->adopt(greeter);
    greeter->begin({});
}

// The accepting half, on the first loop only. Owned by tasks and the server together.
class Acceptor : public std::enable_shared_from_this<Acceptor> {
  public:
    Acceptor(std::vector<std::shared_ptr<Hub>> hubs, Fd listener, std::shared_ptr<TlsContext> tls)
        : hubs_{std::move(hubs)}, listener_{std::move(listener)}, tls_{std::move(tls)} {}

    void start() {
        watch_ = loop().watch(listener_.get(), Loop::Readable, [this](unsigned) {
            const auto self = shared_from_this();
            accept_some();
        });
    }
    void stop() {
        watch_.reset();
        if (retry_ != TimerId::None) loop().cancel(std::exchange(retry_, TimerId::None));
        listener_.reset();
    }
    size_t connections() const { return *count_; }
    Loop& loop() { return hubs_.front()->loop; }

  private:
    void accept_some() {
        for (int i = 0; i < accepts_per_round_max && watch_; ++i) {
            if (*count_ >= limits::connections_max) {
                pause("connection limit reached");
                return;
            }
            sockaddr_storage address{};
            socklen_t size = sizeof address;
            Fd fd{::accept4(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size,
                            SOCK_NONBLOCK | SOCK_CLOEXEC)};
            if (!fd) {
                const int problem = errno;
                if (problem == EMFILE || problem == ENFILE || problem == ENOBUFS ||
                    problem == ENOMEM)
                    pause("out of file descriptors or memory");
                if (problem == EINTR || problem == ECONNABORTED) continue;
                return;
            }
            set_socket_options(fd.get());
            Peer peer;
            describe_address(address, peer);
            hand_out(std::move(fd), std::move(peer));
        }
    }

    void hand_out(Fd fd, Peer peer) {
        ++*count_;   // the token takes it off again
        const auto& hub = hubs_[next_++ % hubs_.size()];
        if (hub == hubs_.front()) {
            adopt_socket(hub, std::move(fd), tls_, std::move(peer), count_);
            return;
        }
        hub->loop.post([hub, fd = std::move(fd), tls = tls_, peer = std::move(peer),
                        count = count_]() mutable {
            adopt_socket(hub, std::move(fd), tls, std::move(peer), count);
        });
    }

    // Those that wait stay in the kernel's queue meanwhile.
    void pause(std::string_view why) {
        if (!warned_) log_warn("not accepting connections", {{"why", why}});
        warned_ = true;
        watch_->want(0);
        if (retry_ != TimerId::None) return;
        retry_ = loop().after(accept_retry, [self = shared_from_this()] {
            self->retry_ = TimerId::None;
            if (self->watch_) self->watch_->want(Loop::Readable);
        });
    }

    const std::vector<std::shared_ptr<Hub>> hubs_;
    Fd listener_;
    const std::shared_ptr<TlsContext> tls_;
    std::unique_ptr<Loop::Watch> watch_;
    TimerId retry_ = TimerId::None;
    size_t next_ = 0;
    bool warned_ = false;
    const std::shared_ptr<std::atomic<size_t>> count_ = std::make_shared<std::atomic<size_t>>(0);
};

void cut_all(Hub& hub) {
    hub.draining = true;
    const auto connections = hub.connections;
    for (const auto& [key, connection] : connections) connection->cut();
    // What is left was upgraded or lingers. An upgraded stream's user hears that it ended.
    const auto channels = hub.channels;
    for (const auto& [key, weak] : channels) {
        const auto channel = weak.lock();
        if (channel) channel->abandon();
    }
}

void drain_all(Hub& hub) {
    hub.draining = true;
    const auto connections = hub.connections;
    for (const auto& [key, connection] : connections) connection->drain();
}

class HttpServer final : public Server {
  public:
    HttpServer(std::vector<std::shared_ptr<Hub>> hubs, std::shared_ptr<Acceptor> acceptor,
               uint16_t port)
        : hubs_{std::move(hubs)}, acceptor_{std::move(acceptor)}, port_{port} {}

    ~HttpServer() override {
        run_on(acceptor_->loop(), [&] { acceptor_->stop(); });
        for (const auto& hub : hubs_) run_on(hub->loop, [&] { cut_all(*hub); });
    }
    HttpServer(const HttpServer&) = delete;
    HttpServer& operator=(const HttpServer&) = delete;

    uint16_t port() const override { return port_; }
    size_t connections() const override { return acceptor_->connections(); }

    void drain(Duration deadline, std::function<void()> done) override {
        auto& loop = acceptor_->loop();
        loop.post([acceptor = acceptor_, hubs = hubs_, deadline, done = std::move(done)]() mutable {
            acceptor->stop();
            for (const auto& hub : hubs) hub->loop.post([hub] { drain_all(*hub); });
            const auto until = acceptor->loop().clock().monotonic() + deadline;
            await_drained(std::move(acceptor), std::move(hubs), until, std::move(done));
        });
    }

  private:
    // The end of a drain is the one thing here that is polled: it happens once in a process' life.
    static void await_drained(std::shared_ptr<Acceptor> acceptor,
                              std::vector<std::shared_ptr<Hub>> hubs, MonoTime until,
                              std::function<void()> done) {
        auto& loop = acceptor->loop();
        if (acceptor->connections() == 0) {
            done();
            return;
        }
        if (loop.clock().monotonic() >= until) {
            for (const auto& hub : hubs) hub->loop.post([hub] { cut_all(*hub); });
            until = MonoTime::max();
        }
        loop.after(drain_check, [acceptor = std::move(acceptor), hubs = std::move(hubs), until,
                                 done = std::move(done)]() mutable {
            await_drained(std::move(acceptor), std::move(hubs), until, std::move(done));
        });
    }

    const std::vector<std::shared_ptr<Hub>> hubs_;
    const std::shared_ptr<Acceptor> acceptor_;
    const uint16_t port_;
};

}   // namespace

Result<std::unique_ptr<Server>> make_server(std::vector<Loop*> loops, Fd listener,
                                            std::shared_ptr<TlsContext> tls, Handler handler,
                                            ServerOptions options) {
    ASSERT(!loops.empty());
    TRY(const auto port, port_of(listener));
    // A listener that was handed down may be a blocking one.
    const int flags = ::fcntl(listener.get(), F_GETFL);
    if (flags < 0 || ::fcntl(listener.get(), F_SETFL, flags | O_NONBLOCK) != 0)
        return fail_errno("prepare the listener", errno);
    std::vector<std::shared_ptr<Hub>> hubs;
    for (auto* loop : loops) hubs.push_back(std::make_shared<Hub>(*loop, handler, options));
    auto acceptor = std::make_shared<Acceptor>(hubs, std::move(listener), std::move(tls));
    run_on(*loops.front(), [&] { acceptor->start(); });
    return std::make_unique<HttpServer>(std::move(hubs), std::move(acceptor), port);
}

}   // namespace skiff::net
