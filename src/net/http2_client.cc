// One HTTP/2 connection of the client, shared by all exchanges.
#include <algorithm>
#include <unordered_map>

#include "base/text.h"
#include "net/client_connection.h"
#include "net/connection.h"
#include "net/http2_session.h"

namespace skiff::net {
namespace {

constexpr size_t bytes_per_round_max = 256u << 10;
constexpr uint32_t stream_window_bytes = 256u << 10;   // also what a paused exchange may hold
constexpr int32_t connection_window_bytes = 4 << 20;
constexpr Duration silence_max = 30s;       // then the server is asked whether it lives,
constexpr Duration ping_answer_max = 15s;   // as client-go does
constexpr size_t sent_header_bytes_max = 256u << 10;
constexpr int attempts_max = 3;

struct ClientStream {
    std::shared_ptr<Call> call;
    int status = 0;
    Headers headers;
    size_t body_sent = 0;
    std::string held;     // arrived while paused
    bool ended = false;   // with held data still to give out
    uint32_t error_code = 0;
};

class Http2Client final : public ClientConnection {
  public:
    Http2Client(std::shared_ptr<Channel> channel, std::weak_ptr<ClientOwner> owner,
                std::string authority, bool tls)
        : channel_{std::move(channel)},
          owner_{std::move(owner)},
          authority_{std::move(authority)},
          scheme_{tls ? "https" : "http"},
          deadline_{channel_->loop(), [this] { silent(); }} {}

    void begin() override {
        session_ = make_session();
        const nghttp2_settings_entry settings[] = {
            {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
            {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, stream_window_bytes},
        };
        nghttp2_submit_settings(session_.get(), NGHTTP2_FLAG_NONE, settings, std::size(settings));
        nghttp2_session_set_local_window_size(session_.get(), NGHTTP2_FLAG_NONE, 0,
                                              connection_window_bytes);
        channel_->set_user(this);
        flush_later();
    }

    bool usable() const override {
        return !closed_ && !retired_ && nghttp2_session_check_request_allowed(session_.get()) != 0;
    }

    void start(std::shared_ptr<Call> call) override {
        const auto& request = call->request;
        std::vector<nghttp2_nv> fields;
        const auto host = request.headers.find("host").value_or(authority_);
        const auto length = std::to_string(request.body.size());
        fields.push_back(header_field(":method", request.method));
        fields.push_back(header_field(":scheme", scheme_));
        fields.push_back(header_field(":authority", host));
        fields.push_back(header_field(":path", request.target));
        if (!request.headers.find("user-agent"))
            fields.push_back(header_field("user-agent", "skiff"));
        for (const auto& [name, value] : request.headers) {
            if (name == "host" || name == "content-length" || is_connection_header(name)) continue;
            fields.push_back(header_field(name, value));
        }
        auto stream = std::make_unique<ClientStream>();
        stream->call = call;
        nghttp2_data_provider provider{.source = {.ptr = stream.get()}, .read_callback = read_body};
        if (!request.body.empty()) fields.push_back(header_field("content-length", length));
        const auto id =
            nghttp2_submit_request(session_.get(), nullptr, fields.data(), fields.size(),
                                   request.body.empty() ? nullptr : &provider, stream.get());
        ++call->attempts;
        if (id < 0) {   // the identifiers of this connection are used up
            retire();
            if (const auto owner = owner_.lock()) owner->retry(call);
            return;
        }
        call->connection = weak_from_this();
        call->stream_id = id;
        streams_.emplace(id, std::move(stream));
        deadline_.set(silence_max);
        flush_later();
    }

    void cancel(Call& call) override {
        const auto found = streams_.find(call.stream_id);
        if (found == streams_.end() || found->second->call.get() != &call) return;
        graveyard_.push_back(std::move(found->second));   // nghttp2 may still read its body
        streams_.erase(found);
        nghttp2_submit_rst_stream(session_.get(), NGHTTP2_FLAG_NONE, call.stream_id,
                                  NGHTTP2_CANCEL);
        flush_later();
        if (!streams_.empty()) return;
        deadline_.clear();
        if (const auto owner = owner_.lock()) owner->idle(*this);
    }

    void set_paused(Call& call, bool paused) override {
        if (paused) return;   // on_data sees it
        channel_->loop().post([weak = weak_from_this(), id = call.stream_id] {
            const auto self = std::static_pointer_cast<Http2Client>(weak.lock());
            if (self && !self->closed_) self->give_held(id);
        });
    }

    void cut(const Error& problem) override {
        if (std::exchange(closed_, true)) return;
        const auto self = shared_from_this();
        deadline_.clear();
        channel_->set_user(nullptr);
        channel_->close();
        retire();
        if (const auto owner = owner_.lock()) owner->closed(*this);
        const auto streams = std::exchange(streams_, {});
        for (const auto& [id, stream] : streams) stream->call->end(std::unexpected{problem});
    }

    void opened() override {}

    void received(std::string_view bytes) override {
        const auto self = shared_from_this();
        pinged_ = false;
        if (!streams_.empty()) deadline_.set(silence_max);
        const auto used = nghttp2_session_mem_recv(
            session_.get(), reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
        if (used < 0) {
            cut({.reason = Reason::ServiceUnavailable,
                 .message = concat("HTTP/2: ", nghttp2_strerror(static_cast<int>(used)))});
            return;
        }
        finish_ended();
        if (!closed_) flush();
    }

    void writable() override {
        const auto self = shared_from_this();
        flush();
    }

    void ended(const Error* problem) override {
        cut({.reason = Reason::ServiceUnavailable,
             .message = problem ? problem->message : "the server closed the connection"});
    }

  private:
    static Http2Client& self_of(void* user) { return *static_cast<Http2Client*>(user); }

    static const nghttp2_session_callbacks* callbacks() {
        static const Nghttp2Callbacks made = [] {
            nghttp2_session_callbacks* raw = nullptr;
            ASSERT(nghttp2_session_callbacks_new(&raw) == 0);
            nghttp2_session_callbacks_set_on_header_callback(
                raw,
                [](nghttp2_session*, const nghttp2_frame* frame, const uint8_t* name,
                   size_t name_size, const uint8_t* value, size_t value_size, uint8_t, void* user) {
                    self_of(user).on_header(frame->hd.stream_id, view_of(name, name_size),
                                            view_of(value, value_size));
                    return 0;
                });
            nghttp2_session_callbacks_set_on_frame_recv_callback(
                raw, [](nghttp2_session*, const nghttp2_frame* frame, void* user) {
                    self_of(user).on_frame(*frame);
                    return 0;
                });
            nghttp2_session_callbacks_set_on_data_chunk_recv_callback(
                raw, [](nghttp2_session*, uint8_t, int32_t id, const uint8_t* data, size_t size,
                        void* user) {
                    self_of(user).on_data(id, view_of(data, size));
                    return 0;
                });
            nghttp2_session_callbacks_set_on_stream_close_callback(
                raw, [](nghttp2_session*, int32_t id, uint32_t code, void* user) {
                    self_of(user).on_stream_close(id, code);
                    return 0;
                });
            return Nghttp2Callbacks{raw};
        }();
        return made.get();
    }

    Nghttp2Session make_session() {
        nghttp2_option* raw_option = nullptr;
        ASSERT(nghttp2_option_new(&raw_option) == 0);
        const Nghttp2Option option{raw_option};
        nghttp2_option_set_no_auto_window_update(option.get(), 1);   // paused streams fill up
        // The server is to say that a header is too large, not this library.
        nghttp2_option_set_max_send_header_block_length(option.get(), sent_header_bytes_max);
        nghttp2_session* raw = nullptr;
        ASSERT(nghttp2_session_client_new2(&raw, callbacks(), this, option.get()) == 0);
        return Nghttp2Session{raw};
    }

    ClientStream* find(int32_t id) {
        const auto found = streams_.find(id);
        return found == streams_.end() ? nullptr : found->second.get();
    }

    void on_header(int32_t id, std::string_view name, std::string_view value) {
        auto* stream = find(id);
        if (!stream || stream->call->head_seen) return;   // trailers are read by nobody
        if (name == ":status") {
            stream->status = parse_number<int>(value).value_or(0);
            stream->headers = {};
        } else if (!name.starts_with(':')) {
            stream->headers.add(name, value);
        }
    }

    void on_frame(const nghttp2_frame& frame) {
        if (frame.hd.type == NGHTTP2_GOAWAY) retire();
        if (frame.hd.type != NGHTTP2_HEADERS) return;
        auto* stream = find(frame.hd.stream_id);
        if (!stream || stream->call->head_seen || stream->status < 200) return;
        const auto call = stream->call;
        const auto headers = std::exchange(stream->headers, {});
        call->head(stream->status, headers);
    }

    // The connection's window is for all: it opens at once. The stream's opens as data is used.
    void on_data(int32_t id, std::string_view data) {
        nghttp2_session_consume_connection(session_.get(), data.size());
        auto* stream = find(id);
        if (!stream) return;
        if (stream->call->paused || !stream->held.empty()) {
            stream->held.append(data);
            return;
        }
        const auto call = stream->call;
        call->data(data);
        nghttp2_session_consume_stream(session_.get(), id, data.size());
    }

    void give_held(int32_t id) {
        const auto self = shared_from_this();
        auto* stream = find(id);
        if (!stream || stream->call->paused) return;
        const auto call = stream->call;
        const auto held = std::exchange(stream->held, {});
        if (!held.empty()) {
            call->data(held);
            if (closed_) return;
            nghttp2_session_consume_stream(session_.get(), id, held.size());
            stream = find(id);
        }
        if (stream && stream->ended && !call->paused) finish(id);
        if (!closed_) flush_later();
    }

    void on_stream_close(int32_t id, uint32_t code) {
        auto* stream = find(id);
        std::erase_if(graveyard_,
                      [id](const auto& buried) { return buried->call->stream_id == id; });
        if (!stream) return;
        stream->ended = true;
        stream->error_code = code;
        if (stream->held.empty()) ended_.push_back(id);
    }

    // After nghttp2 has returned: the user may do anything in `end`.
    void finish_ended() {
        const auto ended = std::exchange(ended_, {});
        for (const auto id : ended)
            if (!closed_) finish(id);
    }

    void finish(int32_t id) {
        const auto found = streams_.find(id);
        if (found == streams_.end()) return;
        const auto stream = std::move(found->second);
        streams_.erase(found);
        if (streams_.empty()) deadline_.clear();
        const auto call = stream->call;
        const auto owner = owner_.lock();
        if (stream->error_code == NGHTTP2_REFUSED_STREAM && !call->head_seen && owner &&
            call->attempts < attempts_max && !call->ended) {
            owner->retry(call);   // the server promises that it has not looked at it
        } else if (stream->error_code != NGHTTP2_NO_ERROR || !call->head_seen) {
            call->end(fail(Reason::ServiceUnavailable,
                           concat("the server reset the stream: ",
                                  nghttp2_http2_strerror(stream->error_code))));
        } else {
            call->end({});
        }
        if (!closed_ && streams_.empty() && owner) owner->idle(*this);
    }

    static ssize_t read_body(nghttp2_session*, int32_t, uint8_t* into, size_t size, uint32_t* flags,
                             nghttp2_data_source* source, void*) {
        auto& stream = *static_cast<ClientStream*>(source->ptr);
        const auto& body = stream.call->request.body;
        const auto piece = std::min(size, body.size() - stream.body_sent);
        std::copy_n(body.data() + stream.body_sent, piece, reinterpret_cast<char*>(into));
        stream.body_sent += piece;
        if (stream.body_sent == body.size()) *flags |= NGHTTP2_DATA_FLAG_EOF;
        return static_cast<ssize_t>(piece);
    }

    void flush_later() {
        if (std::exchange(flush_posted_, true)) return;
        channel_->loop().post([weak = weak_from_this()] {
            const auto self = std::static_pointer_cast<Http2Client>(weak.lock());
            if (!self) return;
            self->flush_posted_ = false;
            if (!self->closed_) self->flush();
        });
    }

    void flush() {
        if (!send_frames(session_.get(), *channel_, bytes_per_round_max)) {
            cut({.reason = Reason::ServiceUnavailable, .message = "HTTP/2: the session failed"});
            return;
        }
        finish_ended();   // sending may close streams as well
        if (closed_) return;
        if (nghttp2_session_want_read(session_.get()) || nghttp2_session_want_write(session_.get()))
            return;
        cut({.reason = Reason::ServiceUnavailable, .message = "the server closed the connection"});
    }

    void silent() {
        const auto self = shared_from_this();
        if (pinged_) {
            cut({.reason = Reason::ServiceUnavailable, .message = "the server does not answer"});
            return;
        }
        pinged_ = true;
        nghttp2_submit_ping(session_.get(), NGHTTP2_FLAG_NONE, nullptr);
        deadline_.set(ping_answer_max);
        flush();
    }

    void retire() {
        if (std::exchange(retired_, true)) return;
        if (const auto owner = owner_.lock()) owner->retired(*this);
    }

    const std::shared_ptr<Channel> channel_;
    const std::weak_ptr<ClientOwner> owner_;
    const std::string authority_;
    const std::string scheme_;
    Deadline deadline_;
    std::unordered_map<int32_t, std::unique_ptr<ClientStream>> streams_;
    std::vector<std::unique_ptr<ClientStream>> graveyard_;   // cancelled, not yet closed
    Nghttp2Session session_;   // dies before the streams that its providers point to
    std::vector<int32_t> ended_;
    bool closed_ = false;
    bool retired_ = false;
    bool flush_posted_ = false;
    bool pinged_ = false;
};

}   // namespace

std::shared_ptr<ClientConnection> make_http2_client(std::shared_ptr<Channel> channel,
                                                    std::weak_ptr<ClientOwner> owner,
                                                    std::string authority, bool tls) {
    return std::make_shared<Http2Client>(std::move(channel), std::move(owner), std::move(authority),
                                         tls);
}

}   // namespace skiff::net
