// HTTP/2 on the server's side. nghttp2 keeps the protocol; this keeps streams apart from
// connections: what a stream sends is pulled when the windows and the socket have room for it.
#include <algorithm>

#include "base/limits.h"
#include "base/text.h"
#include "net/connection.h"
#include "net/http2_session.h"
#include "net/http_error.h"

namespace skiff::net {
namespace {

constexpr size_t bytes_per_round_max = 256u << 10;   // then other connections have their turn
constexpr size_t bodies_bytes_max = 32u << 20;       // unfinished requests of one connection
constexpr uint32_t stream_window_bytes = 256u << 10;
constexpr int32_t connection_window_bytes = 1 << 20;
constexpr size_t header_overhead_bytes = 32;   // RFC 9113 6.5.2 counts a line so
constexpr Duration linger_max = 5s;
constexpr size_t swallowed_bytes_max = 16u << 20;

struct Stream {
    int32_t id = 0;
    Request request;
    MonoTime began{};
    bool has_head = false;
    size_t header_bytes = 0;
    size_t swallowed_bytes = 0;   // of a body that nobody wants any more
    bool dispatched = false;      // the handler has it, or it was refused
    bool refused = false;
    bool remote_ended = false;
    bool answered = false;
    bool head_only = false;
    bool deferred = false;   // nghttp2 waits for a resume
    std::optional<Error> refusal;
    OutgoingBody body;
    std::function<void()> gone;
};

class Http2Connection final : public Connection {
  public:
    Http2Connection(std::shared_ptr<Hub> hub, std::shared_ptr<Channel> channel,
                    std::shared_ptr<const Peer> peer)
        : hub_{std::move(hub)},
          channel_{std::move(channel)},
          peer_{std::move(peer)},
          deadline_{hub_->loop, [this] { timed_out(); }} {}

    void begin(std::string_view early) override {
        session_ = make_session();
        const nghttp2_settings_entry settings[] = {
            {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, limits::http2_streams_per_connection_max},
            {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, stream_window_bytes},
            {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, limits::request_header_bytes_max},
        };
        nghttp2_submit_settings(session_.get(), NGHTTP2_FLAG_NONE, settings, std::size(settings));
        nghttp2_session_set_local_window_size(session_.get(), NGHTTP2_FLAG_NONE, 0,
                                              connection_window_bytes);
        channel_->set_user(this);
        if (hub_->draining) drain();
        received(early);
    }

    void opened() override {}

    void received(std::string_view bytes) override {
        const auto self = shared_from_this();
        const auto used = nghttp2_session_mem_recv(
            session_.get(), reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
        if (used < 0) {
            // nghttp2 answers protocol errors itself; this is no HTTP/2, or out of memory.
            cut();
            return;
        }
        dispatch_ready();
        if (!closed_) flush();
    }

    void writable() override {
        const auto self = shared_from_this();
        flush();
    }

    void ended(const Error*) override {
        const auto self = shared_from_this();
        cut();
    }

    void answer(uint32_t exchange, Response response) override {
        if (auto* stream = find(exchange); stream && !stream->answered)
            submit(*stream, std::move(response));
    }

    void upgrade(uint32_t exchange, Headers, Take) override {
        answer(exchange, status_response({.reason = Reason::BadRequest,
                                          .message = "an upgrade needs HTTP/1.1"}));
    }

    void watch_gone(uint32_t exchange, std::function<void()> gone) override {
        auto* stream = find(exchange);
        if (stream) {
            stream->gone = std::move(gone);
        } else if (gone) {
            gone();
        }
    }

    void wake(uint32_t exchange) override {
        if (auto* stream = find(exchange); stream && stream->deferred) resume(*stream);
    }

    void drain() override {
        if (closed_ || std::exchange(going_away_, true)) return;
        nghttp2_submit_goaway(session_.get(), NGHTTP2_FLAG_NONE,
                              nghttp2_session_get_last_proc_stream_id(session_.get()),
                              NGHTTP2_NO_ERROR, nullptr, 0);
        for (auto& [id, stream] : streams_)
            if (stream->deferred && stream->body.may_end_early()) resume(*stream);
        flush_later();
    }

    void cut() override {
        if (std::exchange(closed_, true)) return;
        deadline_.clear();
        channel_->set_user(nullptr);
        channel_->close();
        tell_all_gone();
        hub_->release(this);
    }

  private:
    static Http2Connection& self_of(void* user) { return *static_cast<Http2Connection*>(user); }

    static const nghttp2_session_callbacks* callbacks() {
        static const Nghttp2Callbacks made = [] {
            nghttp2_session_callbacks* raw = nullptr;
            ASSERT(nghttp2_session_callbacks_new(&raw) == 0);
            nghttp2_session_callbacks_set_on_begin_headers_callback(
                raw, [](nghttp2_session*, const nghttp2_frame* frame, void* user) {
                    return self_of(user).on_begin_headers(*frame);
                });
            nghttp2_session_callbacks_set_on_header_callback(
                raw,
                [](nghttp2_session*, const nghttp2_frame* frame, const uint8_t* name,
                   size_t name_size, const uint8_t* value, size_t value_size, uint8_t, void* user) {
                    // Trailers are read by nobody.
                    if (frame->headers.cat == NGHTTP2_HCAT_REQUEST)
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
                raw, [](nghttp2_session*, int32_t id, uint32_t, void* user) {
                    self_of(user).on_stream_close(id);
                    return 0;
                });
            nghttp2_session_callbacks_set_on_frame_send_callback(
                raw, [](nghttp2_session*, const nghttp2_frame* frame, void* user) {
                    self_of(user).on_frame_sent(*frame);
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
        nghttp2_option_set_no_closed_streams(option.get(), 1);   // no memory of what is over
        nghttp2_session* raw = nullptr;
        ASSERT(nghttp2_session_server_new2(&raw, callbacks(), this, option.get()) == 0);
        return Nghttp2Session{raw};
    }

    Stream* find(uint32_t exchange) {
        const auto found = streams_.find(static_cast<int32_t>(exchange));
        return found == streams_.end() ? nullptr : found->second.get();
    }

    int on_begin_headers(const nghttp2_frame& frame) {
        if (frame.headers.cat != NGHTTP2_HCAT_REQUEST) return 0;   // trailers
        auto stream = std::make_unique<Stream>();
        stream->id = frame.hd.stream_id;
        stream->request.peer = peer_;
        stream->request.http2 = true;
        stream->began = hub_->loop.clock().monotonic();
        ++arriving_;
        streams_.emplace(stream->id, std::move(stream));
        return 0;
    }

    void on_header(int32_t id, std::string_view name, std::string_view value) {
        auto* stream = find(static_cast<uint32_t>(id));
        if (!stream || stream->dispatched || stream->refused) return;
        stream->header_bytes += name.size() + value.size() + header_overhead_bytes;
        if (stream->header_bytes > limits::request_header_bytes_max) {
            refuse(*stream, {.reason = Reason::BadRequest,
                             .message = "the header is too large",
                             .http_code = 431});
            return;
        }
        auto& request = stream->request;
        if (name == ":method") {
            request.method = value;
        } else if (name == ":path") {
            const auto [path, query] = cut_target(value);
            request.path = path;
            request.query = query;
        } else if (name == ":authority") {
            request.headers.set("host", value);
        } else if (!name.starts_with(':')) {
            if (name == "host" && request.headers.find("host")) return;
            request.headers.add(name, value);
        }
    }

    static std::pair<std::string_view, std::string_view> cut_target(std::string_view target) {
        const auto mark = target.find('?');
        if (mark == std::string_view::npos) return {target, {}};
        return {target.substr(0, mark), target.substr(mark + 1)};
    }

    void on_frame(const nghttp2_frame& frame) {
        if (frame.hd.type != NGHTTP2_HEADERS && frame.hd.type != NGHTTP2_DATA) return;
        auto* stream = find(static_cast<uint32_t>(frame.hd.stream_id));
        if (!stream) return;
        const bool ends = frame.hd.flags & NGHTTP2_FLAG_END_STREAM;
        if (frame.hd.type == NGHTTP2_HEADERS && !stream->refused && !stream->dispatched)
            check_head(*stream, ends);
        if (!ends) return;
        stream->remote_ended = true;
        if (!stream->refused) ready_.push_back(stream->id);
    }

    void check_head(Stream& stream, bool ends) {
        stream.has_head = true;
        const auto& request = stream.request;
        if (!request.path.starts_with('/')) {
            refuse(stream, {.reason = Reason::BadRequest,
                            .message = "the request target must start with '/'"});
            return;
        }
        const auto length = request.headers.find("content-length");
        const auto told = length ? parse_number<uint64_t>(*length) : std::nullopt;
        if (told && *told > hub_->options.body_bytes_max) {
            refuse_large(stream);
        } else if (!ends && request.headers.has_token("expect", "100-continue")) {
            const auto status = header_field(":status", "100");
            nghttp2_submit_headers(session_.get(), NGHTTP2_FLAG_NONE, stream.id, nullptr, &status,
                                   1, nullptr);
        }
    }

    void on_data(int32_t id, std::string_view data) {
        auto* stream = find(static_cast<uint32_t>(id));
        if (!stream) return;
        if (stream->refused || stream->dispatched) {
            const auto before = stream->swallowed_bytes;
            stream->swallowed_bytes += data.size();
            if (before <= swallowed_bytes_max && stream->swallowed_bytes > swallowed_bytes_max)
                reset(id);
            return;
        }
        if (stream->request.body.size() + data.size() > hub_->options.body_bytes_max) {
            refuse_large(*stream);
        } else if (bodies_bytes_ + data.size() > bodies_bytes_max) {
            refuse(*stream, {.reason = Reason::TooManyRequests,
                             .message = "too many large requests on this connection"});
        } else {
            stream->request.body.append(data);
            bodies_bytes_ += data.size();
        }
    }

    void refuse_large(Stream& stream) {
        refuse(stream, {.reason = Reason::RequestEntityTooLarge,
                        .message = concat("the request body is larger than ",
                                          hub_->options.body_bytes_max, " bytes")});
    }

    // Answered after nghttp2 has returned; what still arrives is thrown away.
    void refuse(Stream& stream, Error error) {
        stream.refused = true;
        bodies_bytes_ -= stream.request.body.size();
        stream.request.body = {};
        stream.refusal = std::move(error);
        ready_.push_back(stream.id);
    }

    void on_stream_close(int32_t id) {
        const auto found = streams_.find(id);
        if (found == streams_.end()) return;
        auto stream = std::move(found->second);
        streams_.erase(found);
        forget_arrival(*stream);
        // In a later round: the callback may do anything, and nghttp2 is at work here.
        if (stream->gone) hub_->loop.post(std::move(stream->gone));
        if (!streams_.empty()) return;
        arrival_due_ = false;
        deadline_.set(hub_->options.idle_timeout);
    }

    void forget_arrival(Stream& stream) {
        if (stream.dispatched) return;
        stream.dispatched = true;
        --arriving_;
        bodies_bytes_ -= stream.request.body.size();
    }

    void on_frame_sent(const nghttp2_frame& frame) {
        if (frame.hd.type != NGHTTP2_HEADERS && frame.hd.type != NGHTTP2_DATA) return;
        if (!(frame.hd.flags & NGHTTP2_FLAG_END_STREAM)) return;
        auto* stream = find(static_cast<uint32_t>(frame.hd.stream_id));
        if (!stream) return;
        stream->gone = nullptr;   // answered whole
        if (stream->remote_ended) return;
        // The rest of the request is not wanted. RFC 9113 8.1 allows a reset at once, but clients
        // (curl 7.88) then forget the answer: they may send a bounded rest first.
        hub_->loop.after(linger_max, [weak = weak_from_this(), id = stream->id] {
            const auto self = std::static_pointer_cast<Http2Connection>(weak.lock());
            if (self && !self->closed_ && self->find(static_cast<uint32_t>(id))) self->reset(id);
        });
    }

    void reset(int32_t id) {
        nghttp2_submit_rst_stream(session_.get(), NGHTTP2_FLAG_NONE, id, NGHTTP2_NO_ERROR);
        flush_later();
    }

    void dispatch_ready() {
        for (size_t i = 0; i < ready_.size() && !closed_; ++i) {
            auto* stream = find(static_cast<uint32_t>(ready_[i]));
            if (!stream || stream->dispatched) continue;
            forget_arrival(*stream);
            if (stream->refusal) {
                submit(*stream, status_response(*stream->refusal));
                continue;
            }
            stream->head_only = stream->request.method == "HEAD";
            const auto id = static_cast<uint32_t>(stream->id);
            hub_->handler(std::exchange(stream->request, {}),
                          make_responder(hub_->loop, weak_from_this(), id));
        }
        ready_.clear();
        if (closed_) return;
        if (arriving_ > 0) {   // set once for the oldest: a byte now and then does not prolong it
            if (!std::exchange(arrival_due_, true)) deadline_.set(hub_->options.body_timeout);
            return;
        }
        arrival_due_ = false;
        if (streams_.empty()) {
            deadline_.set(hub_->options.idle_timeout);
        } else {
            deadline_.clear();
        }
    }

    void submit(Stream& stream, Response response) {
        stream.answered = true;
        const bool bodiless = stream.head_only || response.status == 204 || response.status == 304;
        const auto status = std::to_string(response.status);
        uint64_t size = 0;
        for (const auto& slice : response.body) size += slice.size;
        const auto length = std::to_string(size);
        std::vector<nghttp2_nv> fields;
        fields.push_back(header_field(":status", status));
        bool length_told = false;
        for (const auto& [name, value] : response.headers) {
            if (is_connection_header(name)) continue;
            if (name == "content-length") {
                if (!bodiless || !response.body.empty() || response.status == 204) continue;
                length_told = true;
            }
            fields.push_back(header_field(name, value));
        }
        if (!response.headers.find("date")) fields.push_back(header_field("date", hub_->date()));
        if (!response.source && !length_told && response.status != 204 && response.status != 304)
            fields.push_back(header_field("content-length", length));
        if (!bodiless && response.source)
            response.source->on_wake(
                make_wake(hub_->loop, weak_from_this(), static_cast<uint32_t>(stream.id)));
        const bool has_body = !bodiless && (size > 0 || response.source);
        if (has_body)
            stream.body = OutgoingBody{std::move(response.body), std::move(response.source)};
        nghttp2_data_provider provider{.source = {.ptr = &stream}, .read_callback = read_body};
        nghttp2_submit_response(session_.get(), stream.id, fields.data(), fields.size(),
                                has_body ? &provider : nullptr);
        flush_later();
    }

    static ssize_t read_body(nghttp2_session*, int32_t, uint8_t* into, size_t size, uint32_t* flags,
                             nghttp2_data_source* source, void* user) {
        auto& stream = *static_cast<Stream*>(source->ptr);
        auto& self = self_of(user);
        auto* at = reinterpret_cast<char*>(into);
        size_t left = size;
        while (left > 0) {
            const auto state = stream.body.fill(left);
            if (state == BodySource::State::Abort) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
            const bool ends_early =
                state == BodySource::State::Wait && self.going_away_ && stream.body.may_end_early();
            if (state == BodySource::State::End || ends_early) {
                *flags |= NGHTTP2_DATA_FLAG_EOF;
                break;
            }
            if (state == BodySource::State::Wait) break;
            const auto piece = std::min(left, stream.body.available());
            stream.body.take(at, piece);
            at += piece;
            left -= piece;
        }
        const auto done = size - left;
        if (done == 0 && !(*flags & NGHTTP2_DATA_FLAG_EOF)) {
            stream.deferred = true;
            return NGHTTP2_ERR_DEFERRED;
        }
        if (stream.body.available() == 0 && stream.body.last()) *flags |= NGHTTP2_DATA_FLAG_EOF;
        return static_cast<ssize_t>(done);
    }

    void resume(Stream& stream) {
        stream.deferred = false;
        nghttp2_session_resume_data(session_.get(), stream.id);
        flush_later();
    }

    // Answers of one round of the loop leave in one write.
    void flush_later() {
        if (std::exchange(flush_posted_, true)) return;
        hub_->loop.post([weak = weak_from_this()] {
            const auto self = std::static_pointer_cast<Http2Connection>(weak.lock());
            if (!self) return;
            self->flush_posted_ = false;
            if (!self->closed_) self->flush();
        });
    }

    void flush() {
        if (!send_frames(session_.get(), *channel_, bytes_per_round_max)) {
            cut();
            return;
        }
        if (nghttp2_session_want_read(session_.get()) || nghttp2_session_want_write(session_.get()))
            return;
        closed_ = true;
        deadline_.clear();
        channel_->finish();
        tell_all_gone();
        hub_->release(this);
    }

    void tell_all_gone() {
        const auto streams = std::exchange(streams_, {});
        for (const auto& [id, stream] : streams)
            if (stream->gone) stream->gone();
    }

    // Requests that did not come in time are refused; whoever is idle, or stopped within a head, is
    // let go.
    void timed_out() {
        const auto self = shared_from_this();
        if (std::exchange(arrival_due_, false) && refuse_late()) {
            dispatch_ready();
            if (!closed_) flush();
            return;
        }
        nghttp2_session_terminate_session(session_.get(), NGHTTP2_NO_ERROR);
        flush();
    }

    // False when there is one that cannot be answered.
    bool refuse_late() {
        const auto now = hub_->loop.clock().monotonic();
        MonoTime oldest = MonoTime::max();
        for (const auto& [id, stream] : streams_) {
            if (stream->dispatched || stream->refused) continue;
            if (now - stream->began < hub_->options.body_timeout) {
                oldest = std::min(oldest, stream->began);
            } else if (!stream->has_head) {
                return false;
            } else {
                refuse(*stream, {.reason = Reason::Timeout,
                                 .message = "the request did not arrive in time",
                                 .http_code = 408});
            }
        }
        if (oldest == MonoTime::max()) return true;
        arrival_due_ = true;
        deadline_.set(oldest + hub_->options.body_timeout - now);
        return true;
    }

    const std::shared_ptr<Hub> hub_;
    const std::shared_ptr<Channel> channel_;
    const std::shared_ptr<const Peer> peer_;
    Deadline deadline_;
    std::unordered_map<int32_t, std::unique_ptr<Stream>> streams_;
    Nghttp2Session session_;   // dies before the streams that its providers point to
    std::vector<int32_t> ready_;
    size_t arriving_ = 0;   // requests that are not whole yet
    size_t bodies_bytes_ = 0;
    bool arrival_due_ = false;   // deadline_ is theirs
    bool closed_ = false;
    bool flush_posted_ = false;
    bool going_away_ = false;
};

}   // namespace

std::shared_ptr<Connection> make_http2_connection(std::shared_ptr<Hub> hub,
                                                  std::shared_ptr<Channel> channel,
                                                  std::shared_ptr<const Peer> peer) {
    return std::make_shared<Http2Connection>(std::move(hub), std::move(channel), std::move(peer));
}

}   // namespace skiff::net
