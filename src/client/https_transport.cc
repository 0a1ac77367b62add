#include "client/https_transport.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <utility>

#include "base/guarded.h"
#include "base/text.h"
#include "client/json_scan.h"

namespace skiff::client {
namespace {

constexpr size_t answer_bytes_max = 256u << 20;
constexpr size_t error_bytes_max = 64u << 10;
constexpr size_t frame_bytes_max = 16u << 20;   // an object of 1.5 MiB, escaped at the worst
// Servers send a bookmark every minute; a watch that is silent for longer has lost its connection
// without a sign.
constexpr Duration watch_silence_max = 3min;

// What a path may hold as it is (RFC 3986, 3.3); a name such as "system:node" stays readable.
std::string encoded_path(std::string_view path) {
    constexpr std::string_view plain = "/-._~!$&'()*+,;=:@";
    std::string out;
    for (const char c : path) {
        const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (letter || (c >= '0' && c <= '9') || plain.find(c) != std::string_view::npos)
            out += c;
        else
            out += net::percent_encoded({&c, 1});
    }
    return out;
}

Error refusal(int status, const net::Headers& headers, std::string_view body) {
    Error error = error_from_status(status, body);
    if (const auto after = headers.find("retry-after"); after && !error.retry_after)
        if (const auto seconds = parse_number<uint32_t>(*after))
            error.retry_after = std::chrono::seconds{*seconds};
    return error;
}

struct Call {
    ApiRequest request;
    std::move_only_function<void(Result<ApiResponse>)> done;
    std::unique_ptr<net::HttpClient::Exchange> exchange;
    TimerId timer = TimerId::None;
    size_t attempts_left = 0;
    size_t server = 0;
    int status = 0;   // 0: no head yet
    net::Headers headers;
    std::string body;
};

struct WatchCall {
    explicit WatchCall(std::shared_ptr<WatchSink> to) : sink{std::move(to)} {}

    // On the loop. The lock is held during the call, so that who closes from another thread knows
    // that none begins any more.
    template <class F>
    void tell(F call) {
        sink.use([&](std::shared_ptr<WatchSink>& to) {
            if (to && !closed) call(*to);
        });
    }
    void close(bool in_loop) {
        closed = true;
        if (!in_loop) sink.use([](std::shared_ptr<WatchSink>& to) { to.reset(); });
    }

    Guarded<std::shared_ptr<WatchSink>> sink;
    std::atomic<bool> closed = false;
    std::unique_ptr<net::HttpClient::Exchange> exchange;
    TimerId timer = TimerId::None;
    MonoTime last_heard;
    size_t server = 0;
    int status = 0;
    net::Headers headers;
    std::string refusal;
    FrameSplitter frames{frame_bytes_max};
};

// Everything here is of the loop's thread.
class Session : public std::enable_shared_from_this<Session> {
  public:
    Session(net::Loop& loop, HttpsOptions options) : loop_{loop}, options_{std::move(options)} {
        ASSERT(!options_.servers.empty());
        clients_.resize(options_.servers.size());
    }

    void send(ApiRequest request, std::move_only_function<void(Result<ApiResponse>)> done) {
        if (closed_) return done(fail(Reason::ServiceUnavailable, "the client is closed"));
        const uint64_t id = ++last_id_;
        Call& call = calls_[id];
        // Reading twice harms nobody; whether a write was done is not known when its answer is
        // lost.
        if (request.method == "GET")
            call.attempts_left = std::max<size_t>(2, clients_.size());
        else
            call.attempts_left = 1;
        const Duration timeout = request.timeout;
        call.request = std::move(request);
        call.done = std::move(done);
        call.timer = loop_.after(timeout, [weak = weak_from_this(), id] {
            if (const auto self = weak.lock())
                self->finish(id, fail(Reason::Timeout, "the server did not answer in time"));
        });
        attempt(id, call);
    }

    std::shared_ptr<WatchCall> new_watch(std::shared_ptr<WatchSink> sink) {
        return std::make_shared<WatchCall>(std::move(sink));
    }

    void start_watch(const std::shared_ptr<WatchCall>& watch, const ApiRequest& request) {
        if (watch->closed) return;
        if (closed_)
            return watch->tell([](WatchSink& sink) {
                sink.ended(fail(Reason::ServiceUnavailable, "the client is closed"));
            });
        watch->server = current_;
        watch->last_heard = loop_.clock().monotonic();
        watches_.push_back(watch);
        const std::weak_ptr<Session> weak = weak_from_this();
        net::ExchangeSink sink;
        sink.head = [watch](int status, const net::Headers& headers) {
            watch->status = status;
            watch->headers = headers;
        };
        sink.data = [weak, watch](std::string_view bytes) {
            if (const auto self = weak.lock()) self->watch_data(watch, bytes);
        };
        sink.end = [weak, watch](Result<> how) {
            if (const auto self = weak.lock()) self->watch_closed(watch, std::move(how));
        };
        watch->exchange = client(current_).start(message(request), std::move(sink));
        guard(watch);
    }

    // The end the caller asked for, or the one after ended().
    void drop_watch(const std::shared_ptr<WatchCall>& watch) {
        watch->closed = true;
        if (watch->timer != TimerId::None) loop_.cancel(std::exchange(watch->timer, TimerId::None));
        bury(std::move(watch->exchange));
        std::erase(watches_, watch);
    }

    void close() {
        closed_ = true;
        while (!calls_.empty())
            finish(calls_.begin()->first, fail(Reason::ServiceUnavailable, "the client is closed"));
        for (const auto& watch : std::vector{watches_}) drop_watch(watch);
        for (auto& client : clients_) bury(std::move(client));
    }

  private:
    net::HttpClient& client(size_t server) {
        auto& made = clients_[server];
        if (!made) made = options_.connect(loop_, options_.servers[server]);
        return *made;
    }

    // Neither an exchange nor a client may end inside one of its own callbacks.
    template <class T>
    void bury(std::unique_ptr<T> ended) {
        if (ended) loop_.post([ended = std::move(ended)] {});
    }

    void server_is_gone(size_t server) {
        if (server == current_) current_ = (current_ + 1) % clients_.size();
    }

    net::ClientRequest message(const ApiRequest& request) const {
        net::ClientRequest out{.method = request.method,
                               .target = encoded_path(request.path),
                               .body = request.body,
                               .timeout = request.timeout};
        if (!request.query.empty()) append(out.target, "?", request.query);
        out.headers.add("accept", "application/json");
        out.headers.add("user-agent", options_.user_agent);
        if (!request.content_type.empty()) out.headers.add("content-type", request.content_type);
        const std::string token = options_.bearer_token ? options_.bearer_token() : std::string{};
        if (!token.empty()) out.headers.add("authorization", concat("Bearer ", token));
        return out;
    }

    void attempt(uint64_t id, Call& call) {
        --call.attempts_left;
        call.server = current_;
        call.status = 0;
        call.body.clear();
        const std::weak_ptr<Session> weak = weak_from_this();
        net::ExchangeSink sink;
        sink.head = [weak, id](int status, const net::Headers& headers) {
            const auto self = weak.lock();
            if (!self || !self->calls_.contains(id)) return;
            self->calls_[id].status = status;
            self->calls_[id].headers = headers;
        };
        sink.data = [weak, id](std::string_view bytes) {
            if (const auto self = weak.lock()) self->call_data(id, bytes);
        };
        sink.end = [weak, id](Result<> how) {
            if (const auto self = weak.lock()) self->call_ended(id, std::move(how));
        };
        auto exchange = client(current_).start(message(call.request), std::move(sink));
        const auto known = calls_.find(id);   // it may have failed at once
        if (known != calls_.end())
            known->second.exchange = std::move(exchange);
        else
            bury(std::move(exchange));
    }

    void call_data(uint64_t id, std::string_view bytes) {
        const auto known = calls_.find(id);
        if (known == calls_.end()) return;
        known->second.body += bytes;
        if (known->second.body.size() > answer_bytes_max)
            finish(id, fail(Reason::RequestEntityTooLarge, "the server's answer is too large"));
    }

    void call_ended(uint64_t id, Result<> how) {
        const auto known = calls_.find(id);
        if (known == calls_.end()) return;
        Call& call = known->second;
        if (how) {
            if (call.status >= 200 && call.status < 300)
                return finish(id, ApiResponse{call.status, Bytes{call.body}});
            return finish(id, std::unexpected{refusal(call.status, call.headers, call.body)});
        }
        server_is_gone(call.server);
        if (call.attempts_left == 0) {
            Error error = std::move(how).error();
            if (error.reason == Reason::Unknown || error.reason == Reason::InternalError)
                error.reason = Reason::ServiceUnavailable;
            return finish(id, std::unexpected{std::move(error)});
        }
        bury(std::move(call.exchange));
        loop_.post([weak = weak_from_this(), id] {
            const auto self = weak.lock();
            if (!self) return;
            if (const auto again = self->calls_.find(id); again != self->calls_.end())
                self->attempt(id, again->second);
        });
    }

    void finish(uint64_t id, Result<ApiResponse> answer) {
        const auto known = calls_.find(id);
        if (known == calls_.end()) return;
        Call call = std::move(known->second);
        calls_.erase(known);
        loop_.cancel(call.timer);
        bury(std::move(call.exchange));
        if (!answer) {
            auto what = concat(call.request.method, " ", call.request.path);
            // What the server said stands for itself; what went wrong on the way needs the context.
            if (answer.error().http_code == 0) answer.error() = std::move(answer.error()).in(what);
        }
        call.done(std::move(answer));
    }

    void guard(const std::shared_ptr<WatchCall>& watch) {
        if (watch->closed) return;
        const Duration left = watch->last_heard + watch_silence_max - loop_.clock().monotonic();
        if (left <= Duration::zero())
            return watch_failed(watch, fail(Reason::ServiceUnavailable, "the watch fell silent"));
        watch->timer = loop_.after(left, [weak = weak_from_this(), watch] {
            watch->timer = TimerId::None;
            if (const auto self = weak.lock()) self->guard(watch);
        });
    }

    void watch_data(const std::shared_ptr<WatchCall>& watch, std::string_view bytes) {
        if (watch->closed) return;
        watch->last_heard = loop_.clock().monotonic();
        if (watch->status != 200) {
            watch->refusal += bytes.substr(0, error_bytes_max - watch->refusal.size());
            return;
        }
        const auto fed = watch->frames.feed(bytes, [&](std::string_view frame) {
            if (!watch->closed) watch_frame(watch, frame);
        });
        if (!fed) watch_failed(watch, fed);
    }

    void watch_frame(const std::shared_ptr<WatchCall>& watch, std::string_view frame) {
        std::string_view type, object;
        for (JsonCursor member{frame}; member.next();) {
            if (member.key() == "type")
                type = member.value();
            else if (member.key() == "object")
                object = member.value();
        }
        WatchEvent event{.object = Bytes{object}};
        if (type == "\"ADDED\"")
            event.type = WatchEvent::Type::Added;
        else if (type == "\"MODIFIED\"")
            event.type = WatchEvent::Type::Modified;
        else if (type == "\"DELETED\"")
            event.type = WatchEvent::Type::Deleted;
        else if (type == "\"BOOKMARK\"")
            event.type = WatchEvent::Type::Bookmark;
        else if (type == "\"ERROR\"")
            return watch_failed(watch, std::unexpected{error_from_status(500, object)});
        else
            return watch_failed(watch, fail(Reason::InternalError, "a watch event without type"));
        watch->tell([&](WatchSink& sink) { sink.event(std::move(event)); });
    }

    void watch_closed(const std::shared_ptr<WatchCall>& watch, Result<> how) {
        if (watch->closed) return;
        if (!how) {
            server_is_gone(watch->server);
            Error error = std::move(how).error().in("watch");
            error.reason = Reason::ServiceUnavailable;
            return watch_failed(watch, std::unexpected{std::move(error)});
        }
        if (watch->status != 200)
            return watch_failed(
                watch, std::unexpected{refusal(watch->status, watch->headers, watch->refusal)});
        watch_failed(watch, {});
    }

    void watch_failed(const std::shared_ptr<WatchCall>& watch, Result<> how) {
        watch->tell([&](WatchSink& sink) { sink.ended(std::move(how)); });
        drop_watch(watch);
    }

    net::Loop& loop_;
    const HttpsOptions options_;
    std::vector<std::unique_ptr<net::HttpClient>> clients_;   // made when first needed
    size_t current_ = 0;
    uint64_t last_id_ = 0;
    std::map<uint64_t, Call> calls_;
    std::vector<std::shared_ptr<WatchCall>> watches_;
    bool closed_ = false;
};

class HttpsTransport final : public Transport {
  public:
    HttpsTransport(net::Loop& loop, HttpsOptions options)
        : loop_{loop}, session_{std::make_shared<Session>(loop, std::move(options))} {}
    ~HttpsTransport() override {
        loop_.post([session = session_] { session->close(); });
    }

    void send(ApiRequest request,
              std::move_only_function<void(Result<ApiResponse>)> done) override {
        loop_.post(
            [session = session_, request = std::move(request), done = std::move(done)]() mutable {
                session->send(std::move(request), std::move(done));
            });
    }

    std::unique_ptr<Stream> watch(ApiRequest request, std::shared_ptr<WatchSink> sink) override {
        auto watch = session_->new_watch(std::move(sink));
        loop_.post([session = session_, watch, request = std::move(request)] {
            session->start_watch(watch, request);
        });
        return std::make_unique<WatchStream>(loop_, session_, std::move(watch));
    }

  private:
    class WatchStream final : public Stream {
      public:
        WatchStream(net::Loop& loop, std::shared_ptr<Session> session,
                    std::shared_ptr<WatchCall> watch)
            : loop_{loop}, session_{std::move(session)}, watch_{std::move(watch)} {}
        ~WatchStream() override {
            watch_->close(loop_.in_loop());
            loop_.post([session = session_, watch = watch_] { session->drop_watch(watch); });
        }

      private:
        net::Loop& loop_;
        std::shared_ptr<Session> session_;
        std::shared_ptr<WatchCall> watch_;
    };

    net::Loop& loop_;
    std::shared_ptr<Session> session_;
};

}   // namespace

std::unique_ptr<Transport> make_https_transport(net::Loop& loop, HttpsOptions options) {
    return std::make_unique<HttpsTransport>(loop, std::move(options));
}

}   // namespace skiff::client
