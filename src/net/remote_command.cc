#include "net/remote_command.h"

#include <algorithm>

#include "base/text.h"
#include "base/time.h"
#include "net/loop.h"
#include "net/spdy.h"
#include "net/websocket.h"

namespace skiff::net {
namespace {

constexpr Duration stream_creation_timeout = 30s;   // upstream's
constexpr std::string_view remote_command_names[] = {
    "v5.channel.k8s.io", "v4.channel.k8s.io",     "v4.base64.channel.k8s.io",
    "channel.k8s.io",    "base64.channel.k8s.io", "",
};
constexpr std::string_view port_forward_names[] = {"v4.channel.k8s.io", "v4.base64.channel.k8s.io",
                                                   ""};
enum Channel : unsigned { Stdin, Stdout, Stderr, ErrorChannel, Resize, CloseChannel = 255 };

// Two connections that live and die together. It keeps itself alive by what it hands to them.
class Bridge : public std::enable_shared_from_this<Bridge> {
  public:
    Bridge(std::unique_ptr<RawStream> client, std::unique_ptr<RawStream> backend, BridgeDone done)
        : client_{std::move(client)}, backend_{std::move(backend)}, done_{std::move(done)} {}
    virtual ~Bridge() = default;
    Bridge(const Bridge&) = delete;
    Bridge& operator=(const Bridge&) = delete;

    virtual void begin() {
        listen_to_backend();
        listen_to_client();
    }

  protected:
    virtual void from_client(std::string_view bytes) = 0;
    virtual void from_backend(std::string_view bytes) = 0;
    virtual void backend_ended() = 0;

    void listen_to_client() {
        client_->on_drain([this] {
            if (backend_) backend_->resume();
        });
        client_->start(
            [self = shared_from_this()](std::string_view bytes) {
                if (!self->over()) self->from_client(bytes);
            },
            [self = shared_from_this()] { self->end(); });
    }
    void listen_to_backend() {
        backend_->on_drain([this] {
            if (client_) client_->resume();
        });
        backend_->start(
            [self = shared_from_this()](std::string_view bytes) {
                if (!self->over()) self->from_backend(bytes);
            },
            [self = shared_from_this()] {
                if (!self->over()) self->backend_ended();
            });
    }
    void to_client(std::string_view bytes) {
        if (client_ && !client_->write(bytes) && backend_) backend_->pause();
    }
    void to_backend(std::string_view bytes) {
        if (backend_ && !backend_->write(bytes) && client_) client_->pause();
    }
    bool over() const { return !client_; }
    Loop& loop() { return client_->loop(); }

    // What was written before is still sent. The streams hold the last references to us.
    virtual void end() {
        if (over()) return;
        const auto self = shared_from_this();
        const auto client = std::move(client_);
        const auto backend = std::move(backend_);
        client->finish();
        backend->finish();
        if (const auto tell = std::move(done_)) tell();
    }

  private:
    std::unique_ptr<RawStream> client_;
    std::unique_ptr<RawStream> backend_;
    BridgeDone done_;
};

class BytesBridge : public Bridge {
  public:
    using Bridge::Bridge;

  private:
    void from_client(std::string_view bytes) override { to_backend(bytes); }
    void from_backend(std::string_view bytes) override { to_client(bytes); }
    void backend_ended() override { end(); }
};

// The client's side is a WebSocket.
class WebSocketBridge : public Bridge {
  public:
    WebSocketBridge(std::unique_ptr<RawStream> client, std::unique_ptr<RawStream> backend,
                    BridgeDone done)
        : Bridge{std::move(client), std::move(backend), std::move(done)},
          reader_{WebSocketReader::Peer::Client, sink()} {}

  protected:
    virtual void message_piece(bool first, bool last, std::string_view piece) = 0;

    void send(WebSocketOpcode opcode, std::string_view payload) {
        frame_.clear();
        append_websocket_frame(frame_, opcode, payload);
        to_client(frame_);
    }
    void close(uint16_t code, std::string_view reason = {}) {
        if (over()) return;
        frame_.clear();
        append_websocket_close(frame_, code, reason);
        to_client(frame_);
        reader_.stop();
        end();
    }

  private:
    WebSocketSink sink() {
        return {.data = [this](bool, bool first, bool last,
                               std::string_view piece) { message_piece(first, last, piece); },
                .ping = [this](std::string_view payload) { send(WebSocketOpcode::Pong, payload); },
                .close =
                    [this](uint16_t code, std::string_view) {
                        close(code == websocket_close::no_code ? websocket_close::normal : code);
                    }};
    }
    void from_client(std::string_view bytes) final {
        const auto self = shared_from_this();
        if (const auto read = reader_.feed(bytes); !read)
            close(reader_.close_code(), read.error().message);
    }

    WebSocketReader reader_;
    std::string frame_;
};

class TunnelBridge : public WebSocketBridge {
  public:
    using WebSocketBridge::WebSocketBridge;

  private:
    void message_piece(bool, bool, std::string_view piece) override {
        if (!piece.empty()) to_backend(piece);
    }
    void from_backend(std::string_view bytes) override { send(WebSocketOpcode::Binary, bytes); }
    void backend_ended() override { close(websocket_close::normal); }
};

// Channels in WebSocket messages on one side, SPDY streams that we opened on the other. SPDY's
// flow control is left alone: spdystream, which containerd and CRI-O serve with, neither sends nor
// heeds window updates, and the connection's own backpressure is enough for one command.
class ChannelBridge : public WebSocketBridge {
  public:
    ChannelBridge(std::unique_ptr<RawStream> client, std::unique_ptr<RawStream> backend,
                  std::string_view protocol, BridgeDone done)
        : WebSocketBridge{std::move(client), std::move(backend), std::move(done)},
          base64_{protocol.find("base64.") != std::string_view::npos},
          writer_{out_},
          spdy_{spdy_sink()} {}

    void begin() final {
        timer_loop_ = &loop();
        timer_ = timer_loop_->after(stream_creation_timeout, [this] {
            timer_ = TimerId::None;
            fail("the container runtime did not open its streams in time");
        });
        open_streams();
        flush();
        listen_to_backend();
    }

  protected:
    struct Stream {
        unsigned channel = 0;
        bool input_only = false;   // its end from the other side ends nothing
        bool replied = false;
        bool ended = false;
        bool fin_sent = false;
    };

    virtual void open_streams() = 0;
    virtual void opened() = 0;   // the runtime has accepted every stream
    virtual void channel_data(unsigned channel, std::string_view data) = 0;
    virtual void stream_failed(const std::string& message) = 0;   // say so on the error channel

    uint32_t open(unsigned channel, SpdyHeaders headers, bool input_only = false) {
        const auto id = static_cast<uint32_t>(2 * streams_.size() + 1);
        streams_.push_back({.channel = channel, .input_only = input_only});
        writer_.syn_stream({.stream = id, .headers = std::move(headers)});
        return id;
    }
    void send_stream(uint32_t id, std::string_view data, bool fin = false) {
        auto& stream = streams_[id / 2];
        if (stream.ended || stream.fin_sent) return;
        stream.fin_sent = fin;
        writer_.data(id, data, fin);
    }
    void send_channel(unsigned channel, std::string_view data) {
        message_.clear();
        message_.push_back(static_cast<char>(base64_ ? '0' + channel : channel));
        if (base64_) {
            message_ += base64(data);
        } else {
            message_ += data;
        }
        send(base64_ ? WebSocketOpcode::Text : WebSocketOpcode::Binary, message_);
    }
    void flush() {
        if (out_.empty()) return;
        to_backend(out_);
        out_.clear();
    }
    void fail(const std::string& message) {
        if (over()) return;
        stream_failed(message);
        close(websocket_close::internal_error, message);
    }
    void end() final {
        if (timer_loop_) timer_loop_->cancel(std::exchange(timer_, TimerId::None));
        WebSocketBridge::end();
    }

  private:
    void from_backend(std::string_view bytes) final {
        const auto self = shared_from_this();
        if (const auto read = spdy_.feed(bytes); !read) return fail(read.error().message);
        flush();
    }
    void backend_ended() final {
        if (!all_ended()) return fail("the container runtime closed the connection");
        close(websocket_close::normal);
    }

    SpdySink spdy_sink() {
        SpdySink sink;
        sink.syn_reply = [this](uint32_t id, const SpdyHeaders&, bool fin) {
            auto* stream = find(id);
            if (!stream || over()) return;
            stream->replied = true;
            if (std::ranges::all_of(streams_, &Stream::replied) && !std::exchange(opened_, true)) {
                timer_loop_->cancel(std::exchange(timer_, TimerId::None));
                opened();
                listen_to_client();
            }
            if (fin) stream_ended(*stream);
        };
        sink.data = [this](uint32_t id, std::string_view piece, bool fin) {
            auto* stream = find(id);
            if (!stream || over()) return;
            if (!piece.empty()) send_channel(stream->channel, piece);
            if (fin) stream_ended(*stream);
        };
        sink.rst_stream = [this](uint32_t id, uint32_t) {
            auto* stream = find(id);
            if (!stream || over()) return;
            if (!opened_) return fail("the container runtime refused a stream");
            stream_ended(*stream);
        };
        sink.ping = [this](uint32_t id) {
            if (id % 2 == 0) writer_.ping(id);   // an odd one would be the answer to ours
        };
        return sink;
    }
    Stream* find(uint32_t id) {
        const size_t index = id / 2;
        return id % 2 == 1 && index < streams_.size() ? &streams_[index] : nullptr;
    }
    bool all_ended() const {
        return opened_ && std::ranges::all_of(streams_, [](const Stream& stream) {
                   return stream.input_only || stream.ended;
               });
    }
    void stream_ended(Stream& stream) {
        stream.ended = true;
        if (all_ended()) close(websocket_close::normal);
    }

    // The first byte of a message is its channel: a digit when the rest is base64.
    void message_piece(bool first, bool last, std::string_view piece) final {
        if (over()) return;
        if (first) {
            channel_.reset();
            carry_.clear();
        }
        if (!channel_ && !piece.empty()) {
            channel_ = static_cast<unsigned char>(piece[0]) - (base64_ ? unsigned{'0'} : 0u);
            piece.remove_prefix(1);
        }
        if (!channel_) return;
        if (!base64_) {
            channel_data(*channel_, piece);
        } else {
            carry_ += piece;
            const size_t whole = carry_.size() - carry_.size() % 4;
            const auto data = base64_decoded(std::string_view{carry_}.substr(0, whole));
            if (!data || (last && whole != carry_.size()))
                return close(websocket_close::unsupported, "a message is not base64");
            carry_.erase(0, whole);
            channel_data(*channel_, *data);
        }
        flush();
    }

    bool base64_;
    std::string out_;   // SPDY frames to be sent
    SpdyWriter writer_;
    SpdyReader spdy_;
    std::vector<Stream> streams_;   // stream 2 n + 1 is the n-th
    bool opened_ = false;
    Loop* timer_loop_ = nullptr;
    TimerId timer_ = TimerId::None;
    std::string message_;
    std::optional<unsigned> channel_;   // of the message that is being read
    std::string carry_;                 // base64 that does not make whole bytes yet
};

class RemoteCommandBridge : public ChannelBridge {
  public:
    RemoteCommandBridge(std::unique_ptr<RawStream> client, std::unique_ptr<RawStream> backend,
                        std::string_view protocol, const RemoteCommand& command, BridgeDone done)
        : ChannelBridge{std::move(client), std::move(backend), protocol, std::move(done)},
          command_{command},
          has_status_{remote_command_backend_protocol(protocol) == "v4.channel.k8s.io"},
          may_close_{protocol.starts_with("v5.")} {}

  private:
    void open_streams() override {
        open(ErrorChannel, {{"streamtype", "error"}});
        if (command_.stdin) stdin_ = open(Stdin, {{"streamtype", "stdin"}}, true);
        if (command_.stdout) open(Stdout, {{"streamtype", "stdout"}});
        if (command_.stderr) open(Stderr, {{"streamtype", "stderr"}});
        if (command_.tty) resize_ = open(Resize, {{"streamtype", "resize"}}, true);
    }
    // An empty message tells clients that the command runs, as upstream does.
    void opened() override {
        send_channel(command_.stdout ? Stdout : command_.stderr ? Stderr : ErrorChannel, {});
    }
    void channel_data(unsigned channel, std::string_view data) override {
        if (channel == Stdin && stdin_ && !data.empty()) send_stream(*stdin_, data);
        if (channel == Resize && resize_ && !data.empty()) send_stream(*resize_, data);
        if (channel == CloseChannel && may_close_ && stdin_ && data.starts_with('\0'))
            send_stream(*stdin_, {}, true);
    }
    void stream_failed(const std::string& message) override {
        if (!has_status_) return send_channel(ErrorChannel, message);
        send_channel(ErrorChannel, concat(R"({"metadata":{},"status":"Failure","message":")",
                                          message, R"(","reason":"InternalError","code":500})"));
    }

    RemoteCommand command_;
    bool has_status_;
    bool may_close_;
    std::optional<uint32_t> stdin_;
    std::optional<uint32_t> resize_;
};

class PortForwardBridge : public ChannelBridge {
  public:
    PortForwardBridge(std::unique_ptr<RawStream> client, std::unique_ptr<RawStream> backend,
                      std::string_view protocol, const std::vector<uint16_t>& ports,
                      BridgeDone done)
        : ChannelBridge{std::move(client), std::move(backend), protocol, std::move(done)},
          ports_{ports} {}

  private:
    void open_streams() override {
        for (unsigned i = 0; i < ports_.size(); ++i) {
            const auto headers = [&](const char* type) {
                return SpdyHeaders{
                    {"streamtype", type}, {"port", concat(ports_[i])}, {"requestid", concat(i)}};
            };
            errors_.push_back(open(2 * i + 1, headers("error")));
            data_.push_back(open(2 * i, headers("data")));
        }
    }
    void opened() override {
        for (unsigned i = 0; i < ports_.size(); ++i) {
            const char number[] = {static_cast<char>(ports_[i] & 0xff),
                                   static_cast<char>(ports_[i] >> 8)};
            send_channel(2 * i, {number, 2});
            send_channel(2 * i + 1, {number, 2});
            send_stream(errors_[i], {}, true);   // we say nothing on it
        }
    }
    void channel_data(unsigned channel, std::string_view data) override {
        if (channel % 2 == 0 && channel / 2 < data_.size() && !data.empty())
            send_stream(data_[channel / 2], data);
    }
    void stream_failed(const std::string& message) override { send_channel(1, message); }

    std::vector<uint16_t> ports_;
    std::vector<uint32_t> errors_;
    std::vector<uint32_t> data_;
};

}   // namespace

std::span<const std::string_view> remote_command_protocols() { return remote_command_names; }
std::span<const std::string_view> port_forward_protocols() { return port_forward_names; }

std::string_view remote_command_backend_protocol(std::string_view client_protocol) {
    const bool status = client_protocol.starts_with("v4.") || client_protocol.starts_with("v5.");
    return status ? "v4.channel.k8s.io" : "v3.channel.k8s.io";
}

void bridge_remote_command(std::unique_ptr<RawStream> client, std::unique_ptr<RawStream> backend,
                           std::string_view protocol, const RemoteCommand& command,
                           BridgeDone done) {
    std::make_shared<RemoteCommandBridge>(std::move(client), std::move(backend), protocol, command,
                                          std::move(done))
        ->begin();
}

void bridge_port_forward(std::unique_ptr<RawStream> client, std::unique_ptr<RawStream> backend,
                         std::string_view protocol, const std::vector<uint16_t>& ports,
                         BridgeDone done) {
    std::make_shared<PortForwardBridge>(std::move(client), std::move(backend), protocol, ports,
                                        std::move(done))
        ->begin();
}

void bridge_spdy_tunnel(std::unique_ptr<RawStream> client, std::unique_ptr<RawStream> backend,
                        BridgeDone done) {
    std::make_shared<TunnelBridge>(std::move(client), std::move(backend), std::move(done))->begin();
}

void bridge_bytes(std::unique_ptr<RawStream> client, std::unique_ptr<RawStream> backend,
                  BridgeDone done) {
    std::make_shared<BytesBridge>(std::move(client), std::move(backend), std::move(done))->begin();
}

}   // namespace skiff::net
