#include "net/remote_command.h"

#include <gtest/gtest.h>

#include "base/text.h"
#include "net/loop.h"
#include "net/spdy.h"
#include "net/websocket.h"

namespace skiff::net {
namespace {

constexpr std::string_view mask{"\x01\x02\x03\x04", 4};

// A connection without a network: what the bridge wrote, and a hand to feed it.
struct Wire {
    std::string written;
    std::function<void(std::string_view)> on_data;
    std::function<void()> on_end;
    std::function<void()> drained;
    bool paused = false;
    bool finished = false;
    bool destroyed = false;
    bool full = false;   // write says so
};

class FakeStream : public RawStream {
  public:
    FakeStream(Loop& loop, std::shared_ptr<Wire> wire) : loop_{loop}, wire_{std::move(wire)} {}
    ~FakeStream() override {
        wire_->destroyed = true;
        wire_->drained = nullptr;
    }
    void start(std::function<void(std::string_view)> on_data,
               std::function<void()> on_end) override {
        wire_->on_data = std::move(on_data);
        wire_->on_end = std::move(on_end);
    }
    void pause() override { wire_->paused = true; }
    void resume() override { wire_->paused = false; }
    bool write(std::string_view bytes) override {
        wire_->written += bytes;
        return !wire_->full;
    }
    void on_drain(std::function<void()> drained) override { wire_->drained = std::move(drained); }
    void finish() override { wire_->finished = true; }
    Loop& loop() override { return loop_; }

  private:
    Loop& loop_;
    std::shared_ptr<Wire> wire_;
};

// Both ends of a bridge: a WebSocket client before it, a SPDY server behind it.
class NetRemoteCommand : public testing::Test {
  protected:
    NetRemoteCommand() {
        ws_ = std::make_unique<WebSocketReader>(
            WebSocketReader::Peer::Server,
            WebSocketSink{.data =
                              [this](bool text, bool first, bool last, std::string_view piece) {
                                  ASSERT_TRUE(first && last);
                                  const int channel = static_cast<unsigned char>(piece[0]);
                                  seen_.push_back(text ? concat("text ", piece)
                                                       : concat(channel, " ", piece.substr(1)));
                              },
                          .close =
                              [this](uint16_t code, std::string_view reason) {
                                  seen_.push_back(concat("close ", code, " ", reason));
                              }});
        SpdySink sink;
        sink.syn_stream = [this](const SpdySynStream& frame) {
            asked_.push_back(concat("syn ", frame.stream));
            for (const auto& [name, value] : frame.headers)
                append(asked_.back(), " ", name, "=", value);
            if (replies_) writer_.syn_reply(frame.stream, {});
        };
        sink.data = [this](uint32_t stream, std::string_view piece, bool fin) {
            asked_.push_back(concat("data ", stream, fin ? " fin " : " ", piece));
        };
        sink.ping = [this](uint32_t id) { asked_.push_back(concat("ping ", id)); };
        spdy_ = std::make_unique<SpdyReader>(std::move(sink));
    }

    // A bridge that has not ended is held by its wires, and holds them.
    ~NetRemoteCommand() override {
        for (const auto& wire : {client_, backend_}) {
            wire->on_data = nullptr;
            wire->on_end = nullptr;
        }
    }

    void exec(std::string_view protocol, RemoteCommand command) {
        bridge_remote_command(stream(client_), stream(backend_), protocol, command,
                              [this] { ++done_; });
        settle();
    }
    std::unique_ptr<RawStream> stream(std::shared_ptr<Wire> wire) {
        return std::make_unique<FakeStream>(*loop_, std::move(wire));
    }
    // Lets the bytes flow until nothing moves.
    void settle() {
        while (true) {
            if (const auto bytes = std::exchange(client_->written, {}); !bytes.empty()) {
                ASSERT_TRUE(ws_->feed(bytes));
            } else if (const auto frames = std::exchange(backend_->written, {}); !frames.empty()) {
                ASSERT_TRUE(spdy_->feed(frames));
            } else if (!reply_.empty() && backend_->on_data && !backend_->destroyed) {
                const auto frames_back = std::exchange(reply_, {});
                backend_->on_data(frames_back);
            } else {
                return;
            }
        }
    }
    void say(std::string_view message, WebSocketOpcode opcode = WebSocketOpcode::Binary) {
        std::string frame;
        append_websocket_frame(frame, opcode, message, true, mask);
        ASSERT_TRUE(client_->on_data);
        const auto on_data = client_->on_data;   // as a real stream: kept over its own end
        on_data(frame);
        settle();
    }

    std::unique_ptr<Loop> loop_ = make_loop(os_clock());
    std::shared_ptr<Wire> client_ = std::make_shared<Wire>();
    std::shared_ptr<Wire> backend_ = std::make_shared<Wire>();
    bool replies_ = true;
    std::string reply_;   // SPDY frames of the server
    SpdyWriter writer_{reply_};
    std::unique_ptr<WebSocketReader> ws_;
    std::unique_ptr<SpdyReader> spdy_;
    std::vector<std::string> seen_;    // by the client
    std::vector<std::string> asked_;   // of the server
    int done_ = 0;
};

using Lines = std::vector<std::string>;

TEST_F(NetRemoteCommand, an_exec_opens_the_streams_it_needs) {
    exec("v5.channel.k8s.io", {.stdin = true, .stdout = true, .stderr = true});
    EXPECT_EQ(asked_, (Lines{"syn 1 streamtype=error", "syn 3 streamtype=stdin",
                             "syn 5 streamtype=stdout", "syn 7 streamtype=stderr"}));
    EXPECT_EQ(seen_, Lines{"1 "});   // it runs
}

TEST_F(NetRemoteCommand, a_terminal_has_a_resize_stream) {
    exec("v4.channel.k8s.io", {.stdin = true, .stdout = true, .tty = true});
    EXPECT_EQ(asked_, (Lines{"syn 1 streamtype=error", "syn 3 streamtype=stdin",
                             "syn 5 streamtype=stdout", "syn 7 streamtype=resize"}));
    asked_.clear();
    say("\4{\"Width\":80,\"Height\":24}");
    EXPECT_EQ(asked_, Lines{"data 7 {\"Width\":80,\"Height\":24}"});
}

TEST_F(NetRemoteCommand, data_goes_both_ways_and_the_status_ends_it) {
    exec("v5.channel.k8s.io", {.stdin = true, .stdout = true, .stderr = true});
    asked_.clear();
    seen_.clear();
    say(std::string{"\0hello", 6});
    say(std::string{"\xff\0", 2});   // v5: no more stdin
    say(std::string{"\0too late", 9});
    EXPECT_EQ(asked_, (Lines{"data 3 hello", "data 3 fin "}));
    writer_.data(5, "out");
    writer_.data(7, "err");
    writer_.ping(2);
    settle();
    EXPECT_EQ(asked_.back(), "ping 2");
    writer_.data(5, "", true);
    writer_.data(7, "", true);
    writer_.data(1, "{\"status\":\"Success\"}", true);
    settle();
    EXPECT_EQ(seen_, (Lines{"1 out", "2 err", "3 {\"status\":\"Success\"}", "close 1000 "}));
    EXPECT_TRUE(client_->finished && client_->destroyed);
    EXPECT_TRUE(backend_->finished && backend_->destroyed);
    EXPECT_EQ(done_, 1);
}

TEST_F(NetRemoteCommand, streams_that_are_reset_are_ended_as_well) {   // as spdystream closes
    exec("v4.channel.k8s.io", {.stdout = true});
    seen_.clear();
    writer_.data(3, "x");
    writer_.data(1, "{}");
    writer_.rst_stream(3, spdy_status::cancel);
    writer_.rst_stream(1, spdy_status::cancel);
    writer_.goaway(3, 0);
    settle();
    EXPECT_EQ(seen_, (Lines{"1 x", "3 {}", "close 1000 "}));
}

TEST_F(NetRemoteCommand, before_v5_a_close_message_means_nothing) {
    exec("v4.channel.k8s.io", {.stdin = true, .stdout = true});
    asked_.clear();
    say(std::string{"\xff\0", 2});
    EXPECT_EQ(asked_, Lines{});
}

TEST_F(NetRemoteCommand, base64_protocols_carry_digits_and_base64) {
    exec("base64.channel.k8s.io", {.stdin = true, .stdout = true});
    EXPECT_EQ(seen_, Lines{"text 1"});
    asked_.clear();
    seen_.clear();
    say("0aGVsbG8=", WebSocketOpcode::Text);
    EXPECT_EQ(asked_, Lines{"data 3 hello"});
    asked_.clear();
    std::string frame;   // in two fragments that cut a group of four
    append_websocket_frame(frame, WebSocketOpcode::Text, "0aGVsb", false, mask);
    append_websocket_frame(frame, WebSocketOpcode::Continuation, "G8=", true, mask);
    client_->on_data(frame);
    settle();
    EXPECT_EQ(join(asked_, "|"), "data 3 hel|data 3 lo");
    writer_.data(5, "hi");
    settle();
    EXPECT_EQ(seen_, Lines{"text 1aGk="});
    seen_.clear();
    say("0a", WebSocketOpcode::Text);
    EXPECT_EQ(seen_, Lines{"close 1003 a message is not base64"});
}

TEST_F(NetRemoteCommand, nothing_of_the_client_is_read_before_the_streams_are_open) {
    replies_ = false;   // spdystream drops data of a stream that it has not replied to
    exec("v5.channel.k8s.io", {.stdin = true, .stdout = true});
    EXPECT_FALSE(client_->on_data);
    writer_.syn_reply(1, {});
    writer_.syn_reply(3, {});
    settle();
    EXPECT_FALSE(client_->on_data);
    writer_.syn_reply(5, {});
    settle();
    EXPECT_TRUE(client_->on_data);
    EXPECT_EQ(seen_, Lines{"1 "});
}

TEST_F(NetRemoteCommand, a_lost_runtime_is_a_failure_in_the_clients_terms) {
    exec("v5.channel.k8s.io", {.stdout = true});
    seen_.clear();
    const auto on_end = backend_->on_end;
    on_end();
    settle();
    ASSERT_EQ(seen_.size(), 2u);
    EXPECT_EQ(seen_[0],
              "3 {\"metadata\":{},\"status\":\"Failure\",\"message\":"
              "\"the container runtime closed the connection\","
              "\"reason\":\"InternalError\",\"code\":500}");
    EXPECT_EQ(seen_[1], "close 1011 the container runtime closed the connection");
}

TEST_F(NetRemoteCommand, old_protocols_get_plain_text_errors) {
    EXPECT_EQ(remote_command_backend_protocol("v5.channel.k8s.io"), "v4.channel.k8s.io");
    EXPECT_EQ(remote_command_backend_protocol("v4.base64.channel.k8s.io"), "v4.channel.k8s.io");
    EXPECT_EQ(remote_command_backend_protocol("channel.k8s.io"), "v3.channel.k8s.io");
    EXPECT_EQ(remote_command_backend_protocol(""), "v3.channel.k8s.io");
    exec("channel.k8s.io", {.stdout = true});
    seen_.clear();
    reply_ = std::string{"\x80\x02\0\x01\0\0\0\0", 8};
    settle();
    ASSERT_EQ(seen_.size(), 2u);
    EXPECT_EQ(seen_[0], "3 SPDY: version 2 instead of 3");
}

TEST_F(NetRemoteCommand, a_full_side_pauses_the_other) {
    exec("v5.channel.k8s.io", {.stdin = true, .stdout = true});
    client_->full = true;
    writer_.data(5, "much");
    settle();
    EXPECT_TRUE(backend_->paused);
    client_->full = false;
    client_->drained();
    EXPECT_FALSE(backend_->paused);
    backend_->full = true;
    say(std::string{"\0x", 2});
    EXPECT_TRUE(client_->paused);
    backend_->drained();
    EXPECT_FALSE(client_->paused);
}

TEST_F(NetRemoteCommand, a_client_that_closes_ends_the_command) {
    exec("v5.channel.k8s.io", {.stdin = true, .stdout = true});
    seen_.clear();
    say("\x03\xe8", WebSocketOpcode::Close);
    EXPECT_EQ(seen_, Lines{"close 1000 "});
    EXPECT_TRUE(backend_->finished);
    EXPECT_EQ(done_, 1);
}

TEST_F(NetRemoteCommand, pings_are_answered) {
    exec("v5.channel.k8s.io", {.stdout = true});
    std::string frame;
    append_websocket_frame(frame, WebSocketOpcode::Ping, "now?", true, mask);
    client_->on_data(frame);
    EXPECT_EQ(hex(client_->written), hex("\x8a\x04now?"));
}

TEST_F(NetRemoteCommand, ports_are_forwarded_over_two_channels_each) {
    bridge_port_forward(stream(client_), stream(backend_), "v4.channel.k8s.io", {80, 8080},
                        [this] { ++done_; });
    settle();
    EXPECT_EQ(asked_,
              (Lines{"syn 1 streamtype=error port=80 requestid=0",
                     "syn 3 streamtype=data port=80 requestid=0",
                     "syn 5 streamtype=error port=8080 requestid=1",
                     "syn 7 streamtype=data port=8080 requestid=1", "data 1 fin ", "data 5 fin "}));
    const std::string eighty{"P\0", 2};
    EXPECT_EQ(seen_, (Lines{"0 " + eighty, "1 " + eighty, "2 \x90\x1f", "3 \x90\x1f"}));
    asked_.clear();
    seen_.clear();
    say("\2GET /");
    EXPECT_EQ(asked_, Lines{"data 7 GET /"});
    writer_.data(7, "200");
    writer_.data(1, "connection refused", true);
    writer_.data(3, "", true);
    settle();
    EXPECT_EQ(seen_, (Lines{"2 200", "1 connection refused"}));
    writer_.data(5, "", true);
    writer_.data(7, "", true);
    settle();
    EXPECT_EQ(seen_.back(), "close 1000 ");
}

TEST_F(NetRemoteCommand, a_tunnel_carries_raw_bytes) {
    bridge_spdy_tunnel(stream(client_), stream(backend_), [this] { ++done_; });
    std::string frame;
    append_websocket_frame(frame, WebSocketOpcode::Binary, "\x80\x03", false, mask);
    append_websocket_frame(frame, WebSocketOpcode::Continuation, "rest", true, mask);
    client_->on_data(frame);
    EXPECT_EQ(backend_->written, "\x80\x03rest");
    backend_->on_data("answer");
    EXPECT_EQ(client_->written,
              "\x82\x06"
              "answer");
    const auto on_end = backend_->on_end;
    on_end();
    EXPECT_TRUE(client_->written.ends_with("\x88\x02\x03\xe8"));
    EXPECT_EQ(done_, 1);
}

TEST_F(NetRemoteCommand, plain_bytes_pass_as_they_are) {
    bridge_bytes(stream(client_), stream(backend_), [this] { ++done_; });
    client_->on_data("a");
    backend_->on_data("b");
    EXPECT_EQ(backend_->written, "a");
    EXPECT_EQ(client_->written, "b");
    const auto on_end = client_->on_end;
    on_end();
    EXPECT_TRUE(backend_->finished);
    EXPECT_EQ(done_, 1);
}

}   // namespace
}   // namespace skiff::net
