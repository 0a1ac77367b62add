// One HTTP/1.1 connection of the client: one exchange at a time, no pipelining.
#include <algorithm>

#include "base/text.h"
#include "net/client_connection.h"
#include "net/http1_message.h"
#include "net/raw_stream.h"

namespace skiff::net {
namespace {

constexpr size_t kept_input_bytes_max = 1024;

class Http1Client final : public ClientConnection {
  public:
    Http1Client(std::shared_ptr<Channel> channel, std::weak_ptr<ClientOwner> owner,
                std::string authority)
        : channel_{std::move(channel)},
          owner_{std::move(owner)},
          authority_{std::move(authority)} {}

    void begin() override { channel_->set_user(this); }
    bool usable() const override { return state_ == State::Idle; }

    void start(std::shared_ptr<Call> call) override {
        ASSERT(usable());
        call_ = std::move(call);
        call_->connection = weak_from_this();
        ++call_->attempts;
        state_ = State::Head;
        any_answer_ = false;
        body_sent_ = 0;
        append_request();
        send_body();
    }

    void cancel(Call& call) override {
        if (call_.get() != &call) return;
        call_ = nullptr;   // what the server still sends would be taken for the next answer
        close();
    }

    void set_paused(Call& call, bool paused) override {
        if (call_.get() != &call || state_ == State::Closed) return;
        if (paused) {
            channel_->pause();
            return;
        }
        channel_->resume();
        channel_->loop().post([weak = weak_from_this()] {
            const auto self = std::static_pointer_cast<Http1Client>(weak.lock());
            if (self) self->process();
        });
    }

    void cut(const Error& problem) override {
        const auto self = shared_from_this();
        const auto call = std::exchange(call_, nullptr);
        close();
        if (call) call->end(std::unexpected{problem});
    }

    void opened() override {}

    void received(std::string_view bytes) override {
        const auto self = shared_from_this();
        if (state_ == State::Idle) {   // nobody asked anything
            close();
            return;
        }
        any_answer_ = true;
        input_.append(bytes);
        process();
    }

    void writable() override {
        const auto self = shared_from_this();
        if (call_) send_body();
    }

    void ended(const Error* problem) override {
        const auto self = shared_from_this();
        const auto call = call_;
        if (!call) {
            close();
            return;
        }
        ended_ = true;
        process();
        if (call_ != call || state_ == State::Closed) return;
        if (call->paused && !problem) return;   // resume() comes back here through process()
        end_of_input(problem);
    }

  private:
    enum class State { Idle, Head, Body, Closed };

    void append_request() {
        const auto& request = call_->request;
        auto& out = channel_->output();
        append(out, request.method, ' ', request.target, " HTTP/1.1\r\n");
        if (!request.headers.find("host")) append_header(out, "host", authority_);
        if (!request.headers.find("user-agent")) append_header(out, "user-agent", "skiff");
        for (const auto& [name, value] : request.headers) {
            if (name == "content-length" || name == "transfer-encoding") continue;
            append_header(out, name, value);
        }
        const bool carries = !request.body.empty() || request.method == "POST" ||
                             request.method == "PUT" || request.method == "PATCH";
        if (carries) append_header(out, "content-length", std::to_string(request.body.size()));
        out += "\r\n";
    }

    void send_body() {
        const auto& body = call_->request.body;
        while (true) {
            const auto size = std::min(channel_->room(), body.size() - body_sent_);
            channel_->output().append(body, body_sent_, size);
            body_sent_ += size;
            channel_->flush();
            if (channel_->waiting() > 0 || body_sent_ == body.size()) return;
        }
    }

    void process() {
        if (processing_) return;
        processing_ = true;
        while (call_ && !call_->paused && step()) {}
        processing_ = false;
        if (input_.empty() && input_.capacity() > kept_input_bytes_max) input_ = {};
        if (ended_ && call_ && !call_->paused) end_of_input(nullptr);
    }

    bool step() {
        if (state_ == State::Head) return step_head();
        if (state_ == State::Body) return step_body();
        return false;
    }

    bool step_head() {
        const auto size = scanner_.find_end(input_);
        if (!size) return give_up(size.error());
        if (*size == 0) return false;
        auto head = parse_response_head(std::string_view{input_}.substr(0, *size));
        scanner_.restart();
        input_.erase(0, *size);
        if (!head) return give_up(head.error());
        if (head->status == 101) return switch_protocols(*head);
        if (head->status < 200) return true;   // 100 and its like say nothing to us
        const auto framing = response_framing(*head, call_->request.method);
        if (!framing) return give_up(framing.error());
        framing_ = *framing;
        left_ = framing_.length;
        chunks_ = {};
        keep_alive_ = keeps_alive(head->headers, head->minor_version) &&
                      framing_.kind != Framing::Kind::UntilClose &&
                      body_sent_ == call_->request.body.size();
        state_ = State::Body;
        const auto call = call_;
        call->head(head->status, head->headers);
        return true;
    }

    bool switch_protocols(const ResponseHead& head) {
        if (!call_->upgraded)
            return give_up({.reason = Reason::ServiceUnavailable,
                            .message = "the server switched protocols unasked"});
        const auto call = std::exchange(call_, nullptr);
        const auto upgraded = std::exchange(call->upgraded, nullptr);
        state_ = State::Closed;
        auto stream = make_raw_stream(channel_, std::exchange(input_, {}));
        tell_closed();
        call->ended = true;
        call->stop_timer();
        upgraded(head.headers, std::move(stream));
        return false;
    }

    bool step_body() {
        const auto call = call_;
        switch (framing_.kind) {
        case Framing::Kind::None: return finish_call();
        case Framing::Kind::Length: {
            if (input_.empty()) return false;
            const auto size = static_cast<size_t>(std::min<uint64_t>(left_, input_.size()));
            const auto piece = take_input(size);
            left_ -= size;
            call->data(piece);
            return left_ > 0 || (call_ == call && finish_call());
        }
        case Framing::Kind::UntilClose: {
            if (input_.empty()) return false;
            call->data(std::exchange(input_, {}));
            return true;
        }
        case Framing::Kind::Chunked: break;
        }
        if (input_.empty()) return false;
        std::string piece;
        const auto used = chunks_.feed(input_, [&](std::string_view data) { piece += data; });
        if (!used) return give_up(used.error());
        input_.erase(0, *used);
        if (!piece.empty()) call->data(piece);
        if (chunks_.done()) return call_ == call && finish_call();
        return !input_.empty();
    }

    std::string take_input(size_t size) {
        if (size == input_.size()) return std::exchange(input_, {});
        std::string piece = input_.substr(0, size);
        input_.erase(0, size);
        return piece;
    }

    bool finish_call() {
        const auto call = std::exchange(call_, nullptr);
        if (keep_alive_ && input_.empty() && !ended_) {
            state_ = State::Idle;
            reused_ = true;
            channel_->resume();
            if (const auto owner = owner_.lock()) owner->idle(*this);
        } else {
            close();
        }
        call->end({});
        return false;
    }

    bool give_up(Error error) {
        error.reason = Reason::ServiceUnavailable;
        error.http_code = 0;
        cut(std::move(error).in("the server's answer"));
        return false;
    }

    // The connection is over while an exchange is under way.
    void end_of_input(const Error* problem) {
        const bool whole = state_ == State::Body && framing_.kind == Framing::Kind::UntilClose;
        const auto call = std::exchange(call_, nullptr);
        close();
        if (whole && !problem) {
            call->end({});
            return;
        }
        // A kept connection may be closed just when it is used again: what is safe to repeat is.
        const bool safe = call->request.method == "GET" || call->request.method == "HEAD";
        if (reused_ && !any_answer_ && safe && !call->ended) {
            if (const auto owner = owner_.lock()) {
                owner->retry(call);
                return;
            }
        }
        call->end(fail(Reason::ServiceUnavailable,
                       problem ? problem->message
                               : std::string{"the server closed the connection before the end"}));
    }

    void close() {
        if (state_ == State::Closed) return;
        state_ = State::Closed;
        channel_->set_user(nullptr);
        channel_->close();
        tell_closed();
    }

    void tell_closed() {
        const auto self = shared_from_this();
        if (const auto owner = owner_.lock()) owner->closed(*this);
    }

    const std::shared_ptr<Channel> channel_;
    const std::weak_ptr<ClientOwner> owner_;
    const std::string authority_;
    std::shared_ptr<Call> call_;
    size_t body_sent_ = 0;
    std::string input_;
    HeadScanner scanner_;
    Framing framing_;
    ChunkedDecoder chunks_;
    uint64_t left_ = 0;
    State state_ = State::Idle;
    bool keep_alive_ = false;
    bool any_answer_ = false;
    bool reused_ = false;
    bool ended_ = false;
    bool processing_ = false;
};

}   // namespace

std::shared_ptr<ClientConnection> make_http1_client(std::shared_ptr<Channel> channel,
                                                    std::weak_ptr<ClientOwner> owner,
                                                    std::string authority) {
    return std::make_shared<Http1Client>(std::move(channel), std::move(owner),
                                         std::move(authority));
}

}   // namespace skiff::net
