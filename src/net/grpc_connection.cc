#include "net/grpc_connection.h"

#include <cerrno>
#include <cstring>

#include <nghttp2/nghttp2.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include "base/text.h"

namespace skiff::net {
namespace {

constexpr int32_t stream_window_bytes = 4 << 20;
constexpr int32_t connection_window_bytes = 16 << 20;
constexpr size_t out_buffer_bytes_max = 256u << 10;   // then the socket is written first
constexpr size_t read_buffer_bytes = 32u << 10;
constexpr size_t status_message_bytes_max = 64u << 10;
constexpr int attempts_max = 3;

// RFC 9113 §7 codes as gRPC statuses (grpc/doc/PROTOCOL-HTTP2.md, "Errors").
int status_of_reset(uint32_t code) {
    switch (code) {
    case NGHTTP2_REFUSED_STREAM: return 14;
    case NGHTTP2_CANCEL: return 1;
    case NGHTTP2_ENHANCE_YOUR_CALM: return 8;
    case NGHTTP2_INADEQUATE_SECURITY: return 7;
    default: return 13;
    }
}

// For answers of something that is no gRPC server (grpc/doc/http-grpc-status-mapping.md).
int status_of_http(int http_status) {
    switch (http_status) {
    case 400: return 13;
    case 401: return 16;
    case 403: return 7;
    case 404: return 12;
    case 429:
    case 502:
    case 503:
    case 504: return 14;
    default: return 2;
    }
}

std::string timeout_header(Duration left) {   // at most eight digits and a unit
    const int64_t whole = std::chrono::ceil<std::chrono::milliseconds>(left).count();
    const int64_t ms = std::max<int64_t>(1, whole);
    if (ms < 100'000'000) return concat(ms, "m");
    return concat(std::min<int64_t>(ms / 1000, 99'999'999), "S");
}

nghttp2_nv header(std::string_view name, std::string_view value) {
    return {.name = reinterpret_cast<uint8_t*>(const_cast<char*>(name.data())),
            .value = reinterpret_cast<uint8_t*>(const_cast<char*>(value.data())),
            .namelen = name.size(),
            .valuelen = value.size(),
            .flags = NGHTTP2_NV_FLAG_NONE};
}

}   // namespace

void GrpcRpc::end(Result<> result) {
    if (ended) return;
    ended = true;
    const auto tell = std::move(sink.end);
    sink.message = nullptr;
    if (tell) tell(std::move(result));
}

std::unexpected<Error> grpc_failure(int status, std::string message) {
    static constexpr Reason reasons[] = {
        Reason::Unknown,              // 0 OK
        Reason::InternalError,        // 1 CANCELLED
        Reason::InternalError,        // 2 UNKNOWN
        Reason::Invalid,              // 3 INVALID_ARGUMENT
        Reason::Timeout,              // 4 DEADLINE_EXCEEDED
        Reason::NotFound,             // 5
        Reason::AlreadyExists,        // 6
        Reason::Forbidden,            // 7 PERMISSION_DENIED
        Reason::TooManyRequests,      // 8 RESOURCE_EXHAUSTED
        Reason::Conflict,             // 9 FAILED_PRECONDITION
        Reason::Conflict,             // 10 ABORTED
        Reason::Expired,              // 11 OUT_OF_RANGE
        Reason::MethodNotAllowed,     // 12 UNIMPLEMENTED
        Reason::InternalError,        // 13 INTERNAL
        Reason::ServiceUnavailable,   // 14 UNAVAILABLE
        Reason::InternalError,        // 15 DATA_LOSS
        Reason::Unauthorized,         // 16 UNAUTHENTICATED
    };
    const bool known = status > 0 && static_cast<size_t>(status) < std::size(reasons);
    if (message.empty()) message = concat("gRPC status ", status);
    return fail(known ? reasons[status] : Reason::InternalError, std::move(message));
}

void append_grpc_message(std::string& out, std::string_view message) {
    const auto size = static_cast<uint32_t>(message.size());
    out.push_back('\0');   // not compressed
    for (int shift = 24; shift >= 0; shift -= 8)
        out.push_back(static_cast<char>((size >> shift) & 0xff));
    out += message;
}

// What nghttp2 calls. Nothing here enters the session again but by submitting.
struct GrpcConnection::Callbacks {
    static GrpcRpc* rpc_of(void* user, int32_t stream_id) {
        auto& self = *static_cast<GrpcConnection*>(user);
        const auto at = self.streams_.find(stream_id);
        return at == self.streams_.end() ? nullptr : at->second.get();
    }

    static int on_header(nghttp2_session*, const nghttp2_frame* frame, const uint8_t* name,
                         size_t name_size, const uint8_t* value, size_t value_size, uint8_t,
                         void* user) {
        GrpcRpc* rpc = rpc_of(user, frame->hd.stream_id);
        if (!rpc) return 0;
        const std::string_view key{reinterpret_cast<const char*>(name), name_size};
        const std::string_view text{reinterpret_cast<const char*>(value), value_size};
        if (key == ":status") rpc->http_status = parse_number<int>(text).value_or(0);
        if (key == "grpc-status") rpc->status = parse_number<int>(text).value_or(2);
        if (key == "grpc-message")
            rpc->message = percent_decoded(text.substr(0, status_message_bytes_max));
        return 0;
    }

    static int on_frame(nghttp2_session*, const nghttp2_frame* frame, void* user) {
        auto& self = *static_cast<GrpcConnection*>(user);
        if (frame->hd.type == NGHTTP2_GOAWAY && self.state_ == State::Open) {
            self.state_ = State::Draining;
            self.stop_using();
        }
        if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) return 0;
        const auto at = self.streams_.find(frame->hd.stream_id);
        if (at == self.streams_.end()) return 0;
        const auto rpc = at->second;   // outlives its sink
        rpc->answered = true;
        if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) self.response_ended(*rpc);
        return 0;
    }

    static int on_data(nghttp2_session*, uint8_t, int32_t stream_id, const uint8_t* data,
                       size_t size, void* user) {
        auto& self = *static_cast<GrpcConnection*>(user);
        const auto at = self.streams_.find(stream_id);
        if (at == self.streams_.end()) return 0;
        const auto rpc = at->second;
        self.received(*rpc, {reinterpret_cast<const char*>(data), size});
        return 0;
    }

    static int on_close(nghttp2_session*, int32_t stream_id, uint32_t error_code, void* user) {
        static_cast<GrpcConnection*>(user)->stream_closed(stream_id, error_code);
        return 0;
    }

    static ssize_t read_outgoing(nghttp2_session*, int32_t stream_id, uint8_t* buffer, size_t size,
                                 uint32_t* flags, nghttp2_data_source*, void* user) {
        GrpcRpc* rpc = rpc_of(user, stream_id);
        if (!rpc) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
        const size_t part = std::min(size, rpc->outgoing.size() - rpc->sent);
        std::memcpy(buffer, rpc->outgoing.data() + rpc->sent, part);
        rpc->sent += part;
        const bool all = rpc->sent == rpc->outgoing.size();
        if (all && !rpc->unary) rpc->outgoing.clear(), rpc->sent = 0;
        if (all && rpc->outgoing_ended) *flags |= NGHTTP2_DATA_FLAG_EOF;
        if (part == 0 && !rpc->outgoing_ended) return NGHTTP2_ERR_DEFERRED;
        return static_cast<ssize_t>(part);
    }
};

GrpcConnection::GrpcConnection(Executor& executor, Loop& loop, const Endpoint& endpoint,
                               std::shared_ptr<void> owner, Hooks hooks)
    : executor_{executor},
      loop_{loop},
      endpoint_{endpoint},
      owner_{std::move(owner)},
      hooks_{std::move(hooks)} {}

GrpcConnection::~GrpcConnection() {
    ASSERT(!inside_nghttp2_);
    watch_.reset();
    if (session_) nghttp2_session_del(session_);
    if (ssl_) SSL_free(ssl_);
}

void GrpcConnection::open_session() {
    loop_.cancel(connect_timer_);
    nghttp2_session_callbacks* callbacks = nullptr;
    ASSERT(nghttp2_session_callbacks_new(&callbacks) == 0);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, Callbacks::on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, Callbacks::on_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, Callbacks::on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, Callbacks::on_close);
    ASSERT(nghttp2_session_client_new(&session_, callbacks, this) == 0);
    nghttp2_session_callbacks_del(callbacks);
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, stream_window_bytes},
    };
    nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings, std::size(settings));
    nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, 0, connection_window_bytes);
    state_ = State::Open;
    for (const auto& rpc : std::exchange(waiting_, {})) submit(rpc);
    flush();
}

void GrpcConnection::start(std::shared_ptr<GrpcRpc> rpc) {
    if (rpc->deadline) {
        const Duration left = *rpc->deadline - loop_.clock().monotonic();
        rpc->timer = loop_.after(std::max(left, Duration::zero()), [weak_rpc = std::weak_ptr{rpc},
                                                                    weak = weak_from_this()] {
            const auto self = weak.lock();
            const auto late = weak_rpc.lock();
            if (!self || !late || late->ended) return;
            late->timer = TimerId::None;
            Error error{Reason::Timeout, concat(late->method, " on ", self->where(),
                                                ": no answer within its time limit")};
            self->cancel(*late);
            late->ended = false;   // cancel() silenced it
            late->end(std::unexpected{std::move(error)});
        });
    }
    if (state_ != State::Open) {
        waiting_.push_back(std::move(rpc));
        return;
    }
    submit(rpc);
    flush();
}

void GrpcConnection::submit(const std::shared_ptr<GrpcRpc>& rpc) {
    const std::string authority = endpoint_.unix_path.empty() ? where() : "localhost";
    std::string timeout;
    nghttp2_nv headers[9] = {
        header(":method", "POST"),     header(":scheme", endpoint_.tls ? "https" : "http"),
        header(":path", rpc->method),  header(":authority", authority),
        header("te", "trailers"),      header("content-type", "application/grpc"),
        header("user-agent", "skiff"),
    };
    size_t count = 7;
    if (rpc->deadline) {
        timeout = timeout_header(*rpc->deadline - loop_.clock().monotonic());
        headers[count++] = header("grpc-timeout", timeout);
    }
    nghttp2_data_provider data{.source = {}, .read_callback = Callbacks::read_outgoing};
    rpc->sent = 0;
    rpc->left = false;
    ++rpc->attempts;
    const int32_t id = nghttp2_submit_request(session_, nullptr, headers, count, &data, nullptr);
    if (id < 0) {   // the connection has used up its stream numbers
        state_ = State::Draining;
        stop_using();
        hooks_.refused(rpc);
        return;
    }
    rpc->stream_id = id;
    streams_.emplace(id, rpc);
}

void GrpcConnection::resume(GrpcRpc& rpc) {
    if (rpc.ended || rpc.stream_id < 0 || !session_) return;
    nghttp2_session_resume_data(session_, rpc.stream_id);
    flush();
}

void GrpcConnection::cancel(GrpcRpc& rpc) {
    rpc.ended = true;
    loop_.cancel(std::exchange(rpc.timer, TimerId::None));
    std::erase_if(waiting_, [&](const auto& each) { return each.get() == &rpc; });
    if (rpc.stream_id < 0 || !session_ || !streams_.contains(rpc.stream_id)) return;
    nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, rpc.stream_id, NGHTTP2_CANCEL);
    flush();
}

void GrpcConnection::on_ready(unsigned events) {
    switch (state_) {
    case State::Closed: return;
    case State::Connecting: return connect_ended();
    case State::Handshaking: return handshake();
    default: break;
    }
    if (events & (Loop::Readable | Loop::HangUp) || (ssl_ && tls_wants_write_)) read_some();
    if (state_ != State::Closed) flush();
}

void GrpcConnection::read_some() {
    char buffer[read_buffer_bytes];
    while (state_ != State::Closed) {
        ssize_t size = 0;
        if (ssl_) {
            ERR_clear_error();
            const int got = SSL_read(ssl_, buffer, sizeof buffer);
            const int problem = got > 0 ? SSL_ERROR_NONE : SSL_get_error(ssl_, got);
            if (problem == SSL_ERROR_WANT_READ || problem == SSL_ERROR_WANT_WRITE) return;
            size = std::max(got, 0);
        } else {
            size = ::recv(fd_.get(), buffer, sizeof buffer, 0);
            if (size < 0 && errno == EINTR) continue;
            if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
        }
        if (size <= 0) {
            return fail_connection(
                {Reason::ServiceUnavailable, concat(where(), " closed the connection")});
        }
        inside_nghttp2_ = true;
        const auto used = nghttp2_session_mem_recv(
            session_, reinterpret_cast<const uint8_t*>(buffer), static_cast<size_t>(size));
        inside_nghttp2_ = false;
        if (failure_) return fail_connection(std::move(*failure_));
        if (used < 0) {
            return fail_connection(
                {Reason::ServiceUnavailable,
                 concat(where(), " broke HTTP/2: ", nghttp2_strerror(static_cast<int>(used)))});
        }
        if (!ssl_ && static_cast<size_t>(size) < sizeof buffer) return;   // level-triggered
    }
}

void GrpcConnection::flush() {
    if (inside_nghttp2_ || !session_ || state_ == State::Closed) return;
    while (true) {
        while (out_.size() - out_sent_ < out_buffer_bytes_max) {
            const uint8_t* data = nullptr;
            inside_nghttp2_ = true;
            const auto size = nghttp2_session_mem_send(session_, &data);
            inside_nghttp2_ = false;
            if (failure_) return fail_connection(std::move(*failure_));
            if (size <= 0) break;
            out_.append(reinterpret_cast<const char*>(data), static_cast<size_t>(size));
        }
        if (out_.empty()) break;
        if (!write_out()) return;   // blocked, or failed
    }
    watch_->want(Loop::Readable);
    if (!nghttp2_session_want_read(session_) && !nghttp2_session_want_write(session_)) {
        fail_connection({Reason::ServiceUnavailable, concat(where(), " closed the connection")});
    }
}

// True when all was written.
bool GrpcConnection::write_out() {
    while (out_sent_ < out_.size()) {
        const size_t left = out_.size() - out_sent_;
        ssize_t size = 0;
        bool blocked = false;
        if (ssl_) {
            ERR_clear_error();
            const int put = SSL_write(ssl_, out_.data() + out_sent_, static_cast<int>(left));
            const int problem = put > 0 ? SSL_ERROR_NONE : SSL_get_error(ssl_, put);
            blocked = problem == SSL_ERROR_WANT_READ || problem == SSL_ERROR_WANT_WRITE;
            size = put;
        } else {
            size = ::send(fd_.get(), out_.data() + out_sent_, left, MSG_NOSIGNAL);
            if (size < 0 && errno == EINTR) continue;
            blocked = size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
        }
        if (blocked) {
            watch_->want(Loop::Readable | Loop::Writable);
            return false;
        }
        if (size <= 0) {
            broken_pipe();
            return false;
        }
        out_sent_ += static_cast<size_t>(size);
        for (const auto& [id, rpc] : streams_) rpc->left = true;
    }
    out_.clear();
    out_sent_ = 0;
    return true;
}

// Nothing can be written any more; what the server said before it went may still be there to read:
// answers, or a GOAWAY that tells which calls it never looked at.
void GrpcConnection::broken_pipe() {
    read_some();
    fail_connection({Reason::ServiceUnavailable, concat(where(), " closed the connection")});
}

void GrpcConnection::received(GrpcRpc& rpc, std::string_view data) {
    if (rpc.ended) return;
    const auto problem = rpc.incoming.feed(data, [&](std::string_view message) {
        rpc.sink.message(message);
        return !rpc.ended;
    });
    if (problem.empty()) return;
    const std::string message = concat(rpc.method, " on ", where(), ": ", problem);
    cancel(rpc);
    rpc.ended = false;   // cancel() silenced it
    rpc.end(fail(Reason::InternalError, message));
}

// The server said its last word. It may have done so before it read all of ours.
void GrpcConnection::response_ended(GrpcRpc& rpc) {
    if (rpc.ended) return;
    loop_.cancel(std::exchange(rpc.timer, TimerId::None));
    if (!rpc.outgoing_ended || rpc.sent < rpc.outgoing.size())
        nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, rpc.stream_id, NGHTTP2_NO_ERROR);
    if (!rpc.status && rpc.http_status != 200) {
        rpc.status = status_of_http(rpc.http_status);
        rpc.message = concat(rpc.method, " on ", where(), ": HTTP status ", rpc.http_status);
    }
    if (!rpc.status) {
        return rpc.end(fail(Reason::InternalError,
                            concat(rpc.method, " on ", where(), ": the answer has no status")));
    }
    if (*rpc.status != 0) return rpc.end(grpc_failure(*rpc.status, std::move(rpc.message)));
    if (rpc.incoming.inside()) {
        return rpc.end(fail(Reason::InternalError, concat(rpc.method, " on ", where(),
                                                          ": the answer ends inside a message")));
    }
    rpc.end({});
}

void GrpcConnection::stream_closed(int32_t stream_id, uint32_t error_code) {
    const auto at = streams_.find(stream_id);
    if (at == streams_.end()) return;
    const auto rpc = std::move(at->second);
    streams_.erase(at);
    rpc->stream_id = -1;
    if (rpc->ended) return;
    loop_.cancel(std::exchange(rpc->timer, TimerId::None));
    if (error_code == NGHTTP2_REFUSED_STREAM && rpc->unary && !rpc->answered &&
        rpc->attempts < attempts_max) {
        return hooks_.refused(rpc);
    }
    rpc->end(grpc_failure(status_of_reset(error_code),
                          concat(rpc->method, " on ", where(), ": the server reset the stream (",
                                 nghttp2_http2_strerror(error_code), ")")));
}

void GrpcConnection::stop_using() {
    if (const auto tell = std::exchange(hooks_.unusable, nullptr)) tell();
}

void GrpcConnection::close(const Error& error) { fail_connection(error); }

void GrpcConnection::fail_connection(Error error) {
    if (state_ == State::Closed) return;
    if (inside_nghttp2_) {
        failure_ = std::move(error);
        return;
    }
    const auto self = shared_from_this();
    state_ = State::Closed;
    loop_.cancel(std::exchange(connect_timer_, TimerId::None));
    watch_.reset();
    stop_using();
    auto rpcs = std::exchange(waiting_, {});
    for (auto& [id, rpc] : std::exchange(streams_, {})) rpcs.push_back(rpc);
    if (ssl_) SSL_free(std::exchange(ssl_, nullptr));
    fd_.reset();
    for (const auto& rpc : rpcs) {
        loop_.cancel(std::exchange(rpc->timer, TimerId::None));
        const bool lost = std::exchange(rpc->stream_id, -1) >= 0 && !rpc->left;
        if (lost && rpc->unary && !rpc->ended && rpc->attempts < attempts_max) {
            hooks_.refused(rpc);   // it was on no other way than ours
        } else {
            rpc->end(std::unexpected{error});
        }
    }
    hooks_.closed(*this);
    const auto owner = std::exchange(owner_, nullptr);   // dies last
}

}   // namespace skiff::net
