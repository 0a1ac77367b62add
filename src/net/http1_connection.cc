// HTTP/1.1 on the server's side. One request at a time: what is pipelined behind it waits in a
// bounded buffer, then in the kernel.
#include <algorithm>
#include <charconv>

#include "base/limits.h"
#include "base/text.h"
#include "net/connection.h"
#include "net/http1_message.h"
#include "net/http_error.h"
#include "net/raw_stream.h"

namespace skiff::net {
namespace {

constexpr size_t pipelined_bytes_max = 16u << 10;
constexpr size_t kept_input_bytes_max = 1024;
constexpr size_t bytes_per_round_max = 256u << 10;   // then other connections have their turn
constexpr size_t chunk_bytes_max = 16u << 10;
constexpr size_t reserved_bytes_max = 64u << 10;   // on the word of a Content-Length

class Http1Connection final : public Connection {
  public:
    Http1Connection(std::shared_ptr<Hub> hub, std::shared_ptr<Channel> channel,
                    std::shared_ptr<const Peer> peer)
        : hub_{std::move(hub)},
          channel_{std::move(channel)},
          peer_{std::move(peer)},
          deadline_{hub_->loop, [this] { timed_out(); }} {}

    void begin(std::string_view early) override {
        deadline_.set(hub_->options.header_timeout);
        channel_->set_user(this);
        if (!early.empty()) received(early);
    }

    void opened() override {}

    void received(std::string_view bytes) override {
        const auto self = shared_from_this();
        input_.append(bytes);
        process();
    }

    void writable() override {
        const auto self = shared_from_this();
        if (state_ == State::Answering) pump();
        process();
    }

    void ended(const Error* problem) override {
        const auto self = shared_from_this();
        closing_ = true;
        const bool answering_finite = state_ == State::Answering && !streaming_;
        const bool waits = state_ == State::Handling || answering_finite;
        tell_gone();
        // A client that only shut its side may still read a finite answer.
        if (problem || !waits) cut();
    }

    void answer(uint32_t exchange, Response response) override {
        if (exchange != exchange_ || state_ != State::Handling) return;
        if (channel_->read_ended() && response.source) {
            cut();
            return;
        }
        begin_answer(std::move(response));
        process();
    }

    void upgrade(uint32_t exchange, Headers headers, Take take) override {
        if (exchange != exchange_ || state_ != State::Handling || channel_->read_ended()) return;
        auto& out = channel_->output();
        out += "HTTP/1.1 101 Switching Protocols\r\n";
        if (!headers.find("connection")) append_header(out, "connection", "Upgrade");
        for (const auto& [name, value] : headers) append_header(out, name, value);
        out += "\r\n";
        channel_->flush();
        state_ = State::Closed;
        gone_ = nullptr;
        deadline_.clear();
        input_.erase(0, std::exchange(used_, 0));
        auto stream = make_raw_stream(std::move(channel_), std::move(input_));
        hub_->release(this);
        take(std::move(stream));
    }

    void watch_gone(uint32_t exchange, std::function<void()> gone) override {
        const bool current =
            exchange == exchange_ && (state_ == State::Handling || state_ == State::Answering);
        if (current && !channel_->read_ended()) {
            gone_ = std::move(gone);
        } else if (current) {
            gone();
        }
    }

    void wake(uint32_t exchange) override {
        if (exchange == exchange_ && state_ == State::Answering && waiting_) {
            pump();
            process();
        }
    }

    void drain() override {
        closing_ = true;
        if (state_ == State::Head && input_.empty()) {
            finish();
        } else if (state_ == State::Answering && waiting_) {
            pump();
        }
    }

    void cut() override {
        if (state_ == State::Closed) return;
        state_ = State::Closed;
        deadline_.clear();
        channel_->set_user(nullptr);
        channel_->close();
        tell_gone();
        hub_->release(this);
    }

  private:
    enum class State { Head, Body, Handling, Answering, Closed };
    bool reading() const { return state_ == State::Head || state_ == State::Body; }

    // The one place that moves from request to request, so that pipelined requests and handlers
    // that answer at once need no recursion.
    void process() {
        if (processing_) return;
        processing_ = true;
        while (step()) {}
        processing_ = false;
        if (state_ == State::Closed) return;
        input_.erase(0, std::exchange(used_, 0));
        if (input_.empty() && input_.capacity() > kept_input_bytes_max) input_ = {};
        // While a request is at work reading goes on for a while: that is how we hear of a client
        // that has left.
        if (!reading() && input_.size() >= pipelined_bytes_max) {
            channel_->pause();
        } else {
            channel_->resume();
        }
        if (!reading()) return;
        if (state_ == State::Body) {
            // begin_body() gave it its time: a byte now and then does not prolong it.
        } else if (input_.empty() && served_) {
            deadline_.set(hub_->options.idle_timeout);
            deadline_is_idle_ = true;
        } else if (deadline_is_idle_ || !deadline_.is_set()) {
            deadline_.set(hub_->options.header_timeout);
            deadline_is_idle_ = false;
        }
    }

    bool step() {
        const auto rest = std::string_view{input_}.substr(used_);
        if (state_ == State::Head) return step_head(rest);
        if (state_ == State::Body) return step_body(rest);
        return false;
    }

    bool step_head(std::string_view rest) {
        if (rest.starts_with("\r\n") && !skipped_line_) {   // RFC 9112 2.2: ignore one empty line
            skipped_line_ = true;
            used_ += 2;
            return true;
        }
        const auto size = scanner_.find_end(rest);
        if (!size) return refuse(size.error());
        if (*size == 0) return false;
        scanner_.restart();
        skipped_line_ = false;
        used_ += *size;
        auto head = parse_request_head(rest.substr(0, *size));
        if (!head) return refuse(head.error());
        const auto framing = request_framing(*head);
        if (!framing) return refuse(framing.error());
        framing_ = *framing;
        minor_version_ = head->minor_version;
        keep_alive_ = keeps_alive(head->headers, minor_version_);
        request_ = Request{.method = std::move(head->method),
                           .path = std::move(head->path),
                           .query = std::move(head->query),
                           .headers = std::move(head->headers),
                           .peer = peer_};
        return begin_body();
    }

    bool begin_body() {
        if (framing_.kind == Framing::Kind::Length &&
            framing_.length > hub_->options.body_bytes_max)
            return refuse_large();
        if (const auto expect = request_.headers.find("expect")) {
            if (!iequals(*expect, "100-continue"))
                return refuse({.reason = Reason::BadRequest,
                               .message = "the only expectation here is 100-continue",
                               .http_code = 417});
            if (framing_.kind != Framing::Kind::None && used_ == input_.size()) {
                channel_->output() += "HTTP/1.1 100 Continue\r\n\r\n";
                channel_->flush();
            }
        }
        if (framing_.kind == Framing::Kind::None) return dispatch();
        chunks_ = {};
        state_ = State::Body;
        deadline_.set(hub_->options.body_timeout);
        deadline_is_idle_ = false;
        return true;
    }

    bool step_body(std::string_view rest) {
        if (framing_.kind == Framing::Kind::Length) {
            const auto want = static_cast<size_t>(framing_.length) - request_.body.size();
            const auto piece = rest.substr(0, want);
            if (request_.body.empty()) request_.body.reserve(std::min(want, reserved_bytes_max));
            request_.body.append(piece);
            used_ += piece.size();
            return piece.size() == want && dispatch();
        }
        bool large = false;
        const auto used = chunks_.feed(rest, [&](std::string_view data) {
            large = large || request_.body.size() + data.size() > hub_->options.body_bytes_max;
            if (!large) request_.body.append(data);
        });
        if (!used) return refuse(used.error());
        used_ += *used;
        if (large) return refuse_large();
        return chunks_.done() && dispatch();
    }

    bool dispatch() {
        state_ = State::Handling;
        served_ = true;
        deadline_.clear();
        ++exchange_;
        head_only_ = request_.method == "HEAD";
        auto responder = make_responder(hub_->loop, weak_from_this(), exchange_);
        hub_->handler(std::exchange(request_, {}), std::move(responder));
        return state_ != State::Closed;
    }

    // What the peer meant next cannot be known any more: answer and close.
    bool refuse(Error error) {
        request_ = {};
        closing_ = true;
        head_only_ = false;
        ++exchange_;
        state_ = State::Handling;
        begin_answer(status_response(error));
        return false;
    }

    bool refuse_large() {
        return refuse({.reason = Reason::RequestEntityTooLarge,
                       .message = concat("the request body is larger than ",
                                         hub_->options.body_bytes_max, " bytes")});
    }

    void begin_answer(Response response) {
        state_ = State::Answering;
        const bool bodiless = head_only_ || response.status == 204 || response.status == 304;
        streaming_ = response.source && !bodiless;
        chunked_ = streaming_ && minor_version_ == 1;
        if (!keep_alive_ || hub_->draining || (streaming_ && !chunked_)) closing_ = true;
        append_head(response, bodiless);
        if (bodiless) response.body.clear(), response.source.reset();
        if (streaming_)
            response.source->on_wake(make_wake(hub_->loop, weak_from_this(), exchange_));
        body_ = OutgoingBody{std::move(response.body), std::move(response.source)};
        pump();
    }

    void append_head(const Response& response, bool bodiless) {
        auto& out = channel_->output();
        append(out, "HTTP/1.1 ", response.status, ' ', http_status_text(response.status), "\r\n");
        // How the message ends is said here and nowhere else; only an answer without its body may
        // tell the length that the body would have had.
        bool length_told = false;
        for (const auto& [name, value] : response.headers) {
            if (name == "connection" || name == "transfer-encoding" || name == "keep-alive")
                continue;
            if (name == "content-length") {
                if (!bodiless || !response.body.empty() || response.status == 204) continue;
                length_told = true;
            }
            append_header(out, name, value);
        }
        if (!response.headers.find("date")) append_header(out, "date", hub_->date());
        if (chunked_) {
            append_header(out, "transfer-encoding", "chunked");
        } else if (!streaming_ && !length_told && response.status != 204 &&
                   response.status != 304 && !(bodiless && response.source)) {
            uint64_t size = 0;
            for (const auto& slice : response.body) size += slice.size;
            append_header(out, "content-length", std::to_string(size));
        }
        if (closing_) {
            append_header(out, "connection", "close");
        } else if (minor_version_ == 0) {
            append_header(out, "connection", "keep-alive");
        }
        out += "\r\n";
    }

    // Sends what can be sent now. Ends in: answered whole, source waits, or the peer reads slowly.
    void pump() {
        waiting_ = false;
        size_t round = 0;
        while (state_ == State::Answering) {
            const auto room = channel_->room();
            if (room == 0 || round >= bytes_per_round_max) {
                channel_->flush();
                if (channel_->waiting() > 0) return;   // writable() goes on
                if (round >= bytes_per_round_max) {
                    channel_->ask_writable();
                    return;
                }
                continue;
            }
            auto state = body_.fill(std::min(room, chunk_bytes_max));
            if (state == BodySource::State::Wait && hub_->draining && body_.may_end_early())
                state = BodySource::State::End;
            switch (state) {
            case BodySource::State::More: round += append_body(room); break;
            case BodySource::State::Wait:
                waiting_ = true;
                channel_->flush();
                return;
            case BodySource::State::End: end_answer(); return;
            case BodySource::State::Abort: cut(); return;
            }
        }
    }

    size_t append_body(size_t room) {
        auto& out = channel_->output();
        const auto size = std::min(body_.available(), room);
        // Doubling on the way up would copy it twice and end above what malloc keeps at hand.
        if (size > chunk_bytes_max) out.reserve(out.size() + size);
        if (chunked_) {
            char digits[20];
            const auto end = std::to_chars(digits, digits + sizeof digits, size, 16).ptr;
            out.append(digits, end);
            out += "\r\n";
        }
        body_.append_to(out, size);
        if (chunked_) out += "\r\n";
        return size;
    }

    void end_answer() {
        if (chunked_) channel_->output() += "0\r\n\r\n";
        channel_->flush();
        gone_ = nullptr;
        body_ = {};
        ++exchange_;
        if (closing_ || channel_->read_ended()) {
            finish();
        } else {
            state_ = State::Head;
        }
    }

    void finish() {
        state_ = State::Closed;
        deadline_.clear();
        channel_->finish();
        hub_->release(this);
    }

    void tell_gone() {
        if (const auto gone = std::exchange(gone_, nullptr)) gone();
    }

    void timed_out() {
        const auto self = shared_from_this();
        const bool silent = state_ == State::Head && input_.empty();
        if (silent || state_ == State::Handling || state_ == State::Answering) {
            if (reading()) finish();
            return;
        }
        refuse({.reason = Reason::Timeout,
                .message = "the request did not arrive in time",
                .http_code = 408});
    }

    const std::shared_ptr<Hub> hub_;
    std::shared_ptr<Channel> channel_;
    const std::shared_ptr<const Peer> peer_;
    Deadline deadline_;
    std::function<void()> gone_;
    std::string input_;   // read and not used yet; the first used_ bytes are
    size_t used_ = 0;
    HeadScanner scanner_;
    Request request_;
    Framing framing_;
    ChunkedDecoder chunks_;
    OutgoingBody body_;
    uint32_t exchange_ = 0;
    int minor_version_ = 1;
    State state_ = State::Head;
    bool keep_alive_ = true;
    bool closing_ = false;   // no further request on this connection
    bool processing_ = false;
    bool served_ = false;   // at least one request was read
    bool skipped_line_ = false;
    bool deadline_is_idle_ = false;
    bool head_only_ = false;
    bool streaming_ = false;
    bool chunked_ = false;
    bool waiting_ = false;   // for the source to wake us
};

}   // namespace

std::shared_ptr<Connection> make_http1_connection(std::shared_ptr<Hub> hub,
                                                  std::shared_ptr<Channel> channel,
                                                  std::shared_ptr<const Peer> peer) {
    return std::make_shared<Http1Connection>(std::move(hub), std::move(channel), std::move(peer));
}

}   // namespace skiff::net
