#include "net/http_client.h"

#include <algorithm>
#include <deque>
#include <optional>
#include <vector>

#include "base/text.h"
#include "net/client_connection.h"
#include "net/opening.h"
#include "net/raw_stream.h"

namespace skiff::net {
namespace {

constexpr Duration connect_timeout = 10s;   // and as much again for the TLS handshake
constexpr Duration idle_timeout = 90s;
constexpr size_t http1_connections_max = 64;
constexpr size_t refused_upgrade_body_bytes_max = 64u << 10;

Error closed_client() {
    return {.reason = Reason::ServiceUnavailable, .message = "the client was closed"};
}

std::string authority_of(const Endpoint& endpoint) {
    if (!endpoint.unix_path.empty()) return endpoint.host.empty() ? "localhost" : endpoint.host;
    const bool six = endpoint.host.find(':') != std::string::npos;
    auto authority = six ? concat('[', endpoint.host, ']') : endpoint.host;
    const uint16_t usual = endpoint.tls ? 443 : 80;
    return endpoint.port == usual ? authority : concat(authority, ':', endpoint.port);
}

// All connections to one endpoint, and the calls that wait for one. Loop thread only.
class Pool final : public ClientOwner, public std::enable_shared_from_this<Pool> {
  public:
    Pool(Loop& on, Endpoint endpoint)
        : loop{on},
          endpoint_{std::move(endpoint)},
          authority_{authority_of(endpoint_)},
          only_http1_{!endpoint_.tls || !endpoint_.prefer_http2} {}
    ~Pool() override {
        if (idle_timer_ != TimerId::None) loop.cancel(idle_timer_);
    }
    Pool(const Pool&) = delete;
    Pool& operator=(const Pool&) = delete;

    Loop& loop;

    void start(const std::shared_ptr<Call>& call) {
        if (closed_) return call->end(std::unexpected{closed_client()});
        waiting_.push_back(call);
        serve_waiting();
    }

    // Always a connection of its own, without ALPN: no peer can choose HTTP/2 then.
    void upgrade(const std::shared_ptr<Call>& call) {
        if (closed_) return call->end(std::unexpected{closed_client()});
        upgrades_.push_back(call);
        open({.server_name = server_name(), .offer_any = false},
             [this, call](Result<std::shared_ptr<Channel>> channel) {
                 std::erase(upgrades_, call);
                 if (!channel) return call->end(std::unexpected{std::move(channel).error()});
                 if (call->ended) return (*channel)->close();
                 adopt(make_http1_client(*std::move(channel), weak_from_this(), authority_))
                     ->start(call);
             });
    }

    void close() {
        if (std::exchange(closed_, true)) return;
        const auto self = shared_from_this();
        openings_.clear();
        for (const auto& entry : std::exchange(connections_, {}))
            entry.connection->cut(closed_client());
        fail_waiting(closed_client());
        for (const auto& call : std::exchange(upgrades_, {}))
            call->end(std::unexpected{closed_client()});
    }

    void idle(ClientConnection& connection) override {
        auto* entry = find(connection);
        if (!entry) return;
        entry->idle_since = loop.clock().monotonic();
        arm_idle_timer();
        serve_later();
    }

    void retired(ClientConnection& connection) override {
        if (auto* entry = find(connection)) entry->retired = true;
        serve_later();   // what waits for this connection's place may dial now
    }

    void closed(ClientConnection& connection) override {
        std::erase_if(connections_,
                      [&](const Entry& entry) { return entry.connection.get() == &connection; });
        serve_later();
    }

    void retry(std::shared_ptr<Call> call) override {
        loop.post([self = shared_from_this(), call = std::move(call)] {
            if (!call->ended) self->start(call);
        });
    }

  private:
    struct Entry {
        std::shared_ptr<ClientConnection> connection;
        std::optional<MonoTime> idle_since;
        bool retired = false;
    };

    Entry* find(const ClientConnection& connection) {
        for (auto& entry : connections_)
            if (entry.connection.get() == &connection) return &entry;
        return nullptr;
    }

    // The newest first, so that those not needed grow old.
    Entry* usable_connection() {
        for (auto at = connections_.rbegin(); at != connections_.rend(); ++at)
            if (!at->retired && at->connection->usable()) return &*at;
        return nullptr;
    }

    std::shared_ptr<ClientConnection> adopt(std::shared_ptr<ClientConnection> connection) {
        connections_.push_back({.connection = connection});
        connection->begin();
        return connection;
    }

    std::string server_name() const {
        return endpoint_.server_name.empty() ? endpoint_.host : endpoint_.server_name;
    }

    // Connections end their calls before they are done themselves: look again in a later round.
    void serve_later() {
        if (closed_ || waiting_.empty()) return;
        loop.post([weak = weak_from_this()] {
            if (const auto self = weak.lock()) self->serve_waiting();
        });
    }

    void serve_waiting() {
        if (closed_) return;
        std::erase_if(waiting_, [](const auto& call) { return call->ended; });
        while (!waiting_.empty()) {
            auto* entry = usable_connection();
            if (!entry) break;
            entry->idle_since.reset();
            const auto connection = entry->connection;
            const auto call = std::move(waiting_.front());
            waiting_.pop_front();
            connection->start(call);
        }
        // Until it is known what the server speaks one connection is tried: it may serve all.
        const size_t wanted = only_http1_ ? waiting_.size() : std::min<size_t>(waiting_.size(), 1);
        while (dialling_ < wanted && dialling_ + connections_.size() < http1_connections_max)
            dial_one();
    }

    void dial_one() {
        ++dialling_;
        open({.server_name = server_name(), .offer_http2 = endpoint_.prefer_http2},
             [this](Result<std::shared_ptr<Channel>> channel) {
                 --dialling_;
                 if (!channel) return fail_waiting(channel.error());
                 const bool http2 = (*channel)->transport().alpn() == "h2";
                 only_http1_ = !http2;
                 auto made =
                     http2 ? make_http2_client(*std::move(channel), weak_from_this(), authority_,
                                               endpoint_.tls != nullptr)
                           : make_http1_client(*std::move(channel), weak_from_this(), authority_);
                 idle(*adopt(std::move(made)));
                 serve_waiting();
             });
    }

    void open(Transport::ClientTls tls, Opening::Done done) {
        auto opening = std::make_shared<Opening>(loop, endpoint_, std::move(tls));
        openings_.push_back(opening);
        opening->start(connect_timeout, [this, key = opening.get(), done = std::move(done)](
                                            Result<std::shared_ptr<Channel>> channel) {
            const auto self = shared_from_this();
            std::erase_if(openings_, [key](const auto& other) { return other.get() == key; });
            done(std::move(channel));
        });
    }

    void fail_waiting(const Error& problem) {
        for (const auto& call : std::exchange(waiting_, {})) call->end(std::unexpected{problem});
    }

    void arm_idle_timer() {
        if (idle_timer_ != TimerId::None || closed_) return;
        idle_timer_ = loop.after(idle_timeout, [weak = weak_from_this()] {
            const auto self = weak.lock();
            if (!self) return;
            self->idle_timer_ = TimerId::None;
            self->close_idle();
        });
    }

    void close_idle() {
        const auto now = loop.clock().monotonic();
        bool some_left = false;
        const auto connections = connections_;
        for (const auto& entry : connections) {
            if (!entry.idle_since) continue;
            if (now - *entry.idle_since >= idle_timeout) {
                entry.connection->cut(closed_client());
            } else {
                some_left = true;
            }
        }
        if (some_left) arm_idle_timer();
    }

    const Endpoint endpoint_;
    const std::string authority_;
    bool only_http1_;
    bool closed_ = false;
    size_t dialling_ = 0;   // openings_ less those of upgrades
    std::vector<Entry> connections_;
    std::vector<std::shared_ptr<Opening>> openings_;
    std::vector<std::shared_ptr<Call>> upgrades_;
    std::deque<std::shared_ptr<Call>> waiting_;
    TimerId idle_timer_ = TimerId::None;
};

class CallExchange final : public HttpClient::Exchange {
  public:
    explicit CallExchange(std::shared_ptr<Call> call) : call_{std::move(call)} {}
    ~CallExchange() override {
        call_->forget();
        if (const auto connection = call_->connection.lock()) connection->cancel(*call_);
    }
    CallExchange(const CallExchange&) = delete;
    CallExchange& operator=(const CallExchange&) = delete;
    void pause() override { set_paused(true); }
    void resume() override { set_paused(false); }

  private:
    void set_paused(bool paused) {
        if (call_->paused == paused) return;
        call_->paused = paused;
        if (const auto connection = call_->connection.lock())
            connection->set_paused(*call_, paused);
    }

    const std::shared_ptr<Call> call_;
};

class PooledClient final : public HttpClient {
  public:
    PooledClient(Loop& loop, Endpoint endpoint)
        : pool_{std::make_shared<Pool>(loop, std::move(endpoint))} {}
    ~PooledClient() override {
        if (pool_->loop.in_loop()) {
            pool_->close();
        } else {
            auto& loop = pool_->loop;
            loop.post([pool = std::move(pool_)] { pool->close(); });
        }
    }
    PooledClient(const PooledClient&) = delete;
    PooledClient& operator=(const PooledClient&) = delete;

    std::unique_ptr<Exchange> start(ClientRequest request, ExchangeSink sink) override {
        auto call = std::make_shared<Call>(pool_->loop);
        call->request = std::move(request);
        call->sink = std::move(sink);
        call->limit_time();
        pool_->start(call);
        return std::make_unique<CallExchange>(std::move(call));
    }

    void upgrade(ClientRequest request, std::function<void(Result<Upgraded>)> done) override {
        auto call = std::make_shared<Call>(pool_->loop);
        call->request = std::move(request);
        call->upgraded = [done](const Headers& headers, std::unique_ptr<RawStream> stream) {
            done(Upgraded{101, headers, {}, std::move(stream)});
        };
        const auto refused = std::make_shared<Upgraded>();
        call->sink.head = [refused](int status, const Headers& headers) {
            refused->status = status;
            refused->headers = headers;
        };
        call->sink.data = [refused](std::string_view data) {
            refused->body.append(
                data.substr(0, refused_upgrade_body_bytes_max - refused->body.size()));
        };
        call->sink.end = [refused, done](Result<> result) {
            if (result || refused->status) return done(std::move(*refused));
            done(std::unexpected{std::move(result).error()});
        };
        call->limit_time();
        pool_->upgrade(call);
    }

  private:
    std::shared_ptr<Pool> pool_;
};

}   // namespace

void Call::limit_time() {
    if (request.timeout <= Duration::zero()) return;
    timer = loop.after(request.timeout, [weak = weak_from_this()] {
        const auto self = weak.lock();
        if (!self) return;
        self->timer = TimerId::None;
        const auto carrier = self->connection.lock();
        self->end(fail(Reason::Timeout, "no answer within " + go_duration(self->request.timeout)));
        if (carrier) carrier->cancel(*self);
    });
}

void Call::stop_timer() {
    if (timer != TimerId::None) loop.cancel(std::exchange(timer, TimerId::None));
}

void Call::head(int status, const Headers& headers) {
    if (ended) return;
    head_seen = true;
    stop_timer();
    if (sink.head) sink.head(status, headers);
}

void Call::data(std::string_view bytes) {
    if (!ended && sink.data) sink.data(bytes);
}

void Call::end(Result<> result) {
    if (std::exchange(ended, true)) return;
    const auto self = shared_from_this();
    stop_timer();
    // The sink may hold the exchange, and with it this.
    const auto told = std::exchange(sink, {});
    upgraded = nullptr;
    if (told.end) told.end(std::move(result));
}

void Call::forget() {
    ended = true;
    stop_timer();
    const auto dropped = std::exchange(sink, {});
    upgraded = nullptr;
}

std::unique_ptr<HttpClient> make_http_client(Loop& loop, Endpoint endpoint) {
    return std::make_unique<PooledClient>(loop, std::move(endpoint));
}

void connect_raw(Loop& loop, const std::string& host, uint16_t port, Duration timeout,
                 std::function<void(Result<std::unique_ptr<RawStream>>)> done) {
    const Endpoint endpoint{.host = host, .port = port};
    const auto opening = std::make_shared<Opening>(loop, endpoint, Transport::ClientTls{});
    // The timer is what keeps it alive: so it also ends with the loop.
    const auto keeper = loop.after(3 * timeout, [opening] {});
    opening->start(
        timeout, [&loop, keeper, done = std::move(done)](Result<std::shared_ptr<Channel>> channel) {
            loop.cancel(keeper);
            if (!channel) return done(std::unexpected{std::move(channel).error()});
            done(make_raw_stream(*std::move(channel), {}));
        });
}

}   // namespace skiff::net
