// WebSocket clients' exec and port-forward against containerd's own streaming server.
#include <deque>
#include <future>

#include <gtest/gtest.h>

#include "agent/containerd_fixture.h"
#include "base/os.h"
#include "base/text.h"
#include "net/http_client.h"
#include "net/listen.h"
#include "net/remote_command.h"
#include "net/spdy.h"
#include "net/test_support.h"
#include "net/websocket.h"

namespace skiff::agent {
namespace {

using Bridge = std::function<void(std::unique_ptr<net::RawStream> client,
                                  std::unique_ptr<net::RawStream> backend)>;

constexpr std::string_view mask{"\x11\x22\x33\x44", 4};

// What a node's port 10250 will do: upgrades the client, asks containerd, ties both together.
class Door {
  public:
    Door(net::Loop& loop, std::string url, std::string backend_protocol, Bridge bridge)
        : protocol_{std::move(backend_protocol)}, bridge_{std::move(bridge)} {
        const auto rest = std::string_view{url}.substr(std::string_view{"http://"}.size());
        const auto slash = rest.find('/');
        const auto [host, port] = cut(rest.substr(0, slash), ':');
        target_ = rest.substr(slash);
        backend_ = net::make_http_client(
            loop, {.host = std::string{host}, .port = *parse_number<uint16_t>(*port)});
        server_ = net::make_server({&loop}, *net::listen_tcp("127.0.0.1", 0), nullptr,
                                   [this](net::Request request, auto responder) {
                                       serve(std::move(request), std::move(responder));
                                   })
                      .value();
    }
    uint16_t port() const { return server_->port(); }

  private:
    void serve(net::Request request, std::shared_ptr<net::Responder> responder) {
        const auto chosen = request.headers.find("sec-websocket-protocol").value_or("");
        auto headers = net::websocket_handshake(request.headers, chosen);
        ASSERT_TRUE(headers);
        net::ClientRequest ask{.method = "POST", .target = target_};
        ask.headers.add("connection", "Upgrade");
        ask.headers.add("upgrade", "SPDY/3.1");
        ask.headers.add("x-stream-protocol-version", protocol_);
        backend_->upgrade(std::move(ask), [this, responder, answer = *headers](auto upgraded) {
            ASSERT_TRUE(upgraded) << upgraded.error().message;
            ASSERT_EQ(upgraded->status, 101) << upgraded->body;
            EXPECT_EQ(upgraded->headers.find("x-stream-protocol-version"), protocol_);
            auto backend =
                std::make_shared<std::unique_ptr<net::RawStream>>(std::move(upgraded->stream));
            responder->upgrade(answer, [this, backend](std::unique_ptr<net::RawStream> client) {
                bridge_(std::move(client), std::move(*backend));
            });
        });
    }

    std::string protocol_;
    Bridge bridge_;
    std::string target_;
    std::unique_ptr<net::HttpClient> backend_;
    std::unique_ptr<net::Server> server_;
};

// A WebSocket client that waits for what it is told to.
class Caller {
  public:
    Caller(uint16_t port, std::string_view protocol)
        : client_{port},
          reader_{net::WebSocketReader::Peer::Server,
                  {.data =
                       [this](bool, bool first, bool, std::string_view piece) {
                           if (first) channel_.reset();
                           if (!channel_ && !piece.empty()) {
                               channel_ = static_cast<unsigned char>(piece[0]);
                               if (!raw) piece.remove_prefix(1);
                           }
                           if (channel_) got[raw ? 0 : *channel_] += piece;
                       },
                   .close = [this](uint16_t code, std::string_view) { closed = code; }}} {
        client_.send(
            concat("GET /exec HTTP/1.1\r\nhost: x\r\nconnection: Upgrade\r\n"
                   "upgrade: websocket\r\nsec-websocket-version: 13\r\n"
                   "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                   "sec-websocket-protocol: ",
                   protocol, "\r\n\r\n"));
        EXPECT_EQ(client_.read_answer().status, 101);
    }
    void say(std::string_view message) {
        std::string frame;
        net::append_websocket_frame(frame, net::WebSocketOpcode::Binary, message, true, mask);
        client_.send(frame);
    }
    // Reads until `enough`, or until the end.
    template <class F>
    bool read_until(F enough) {
        while (!enough()) {
            const auto bytes = client_.read_some();
            if (bytes.empty()) return false;
            EXPECT_TRUE(reader_.feed(bytes));
        }
        return true;
    }
    bool read_to_close() {
        return read_until([this] { return closed != 0; });
    }

    bool raw = false;   // messages have no channel
    std::map<unsigned, std::string> got;
    int closed = 0;

  private:
    net::test::Client client_;
    std::optional<unsigned> channel_;
    net::WebSocketReader reader_;
};

class AgentRemoteCommand : public testing::Test {
  protected:
    static void SetUpTestSuite() {
        why_not = ContainerdFixture::missing();
        if (!why_not.empty()) return;
        box = std::make_unique<ContainerdFixture>();
        const auto done = start();
        if (!done) why_not = "!" + done.error().message + box->log_tail();
    }
    static Result<> start() {
        TRY_OK(box->start());
        const auto pod = box->pod("remote");
        TRY(sandbox, box->cri().run_pod_sandbox(pod));
        const auto shell =
            ContainerdFixture::shell("main", "nc -ll -p 8080 -e /bin/cat & exec sleep 1000");
        TRY(container, box->cri().create_container(sandbox, shell, pod));
        TRY_OK(box->cri().start_container(container));
        const std::string listens = "until netstat -ltn | grep -q :8080; do sleep 0.01; done";
        TRY_OK(box->cri().exec_sync(container, {"sh", "-c", listens}, 20s));
        return {};
    }
    static void TearDownTestSuite() { box.reset(); }
    void SetUp() override {
        if (why_not.starts_with("!")) FAIL() << why_not;
        if (!why_not.empty()) GTEST_SKIP() << why_not;
    }

    static std::unique_ptr<Door> exec_door(std::string_view protocol, cri::ExecRequest request) {
        request.container_id = container;
        const auto url = box->cri().exec(request);
        EXPECT_TRUE(url);
        const net::RemoteCommand command{request.stdin, request.stdout, request.stderr,
                                         request.tty};
        return std::make_unique<Door>(
            box->loop(), *url, std::string{net::remote_command_backend_protocol(protocol)},
            [protocol, command](auto client, auto backend) {
                net::bridge_remote_command(std::move(client), std::move(backend), protocol, command,
                                           nullptr);
            });
    }
    static std::unique_ptr<Door> forward_door(Bridge bridge) {
        const auto url = box->cri().port_forward(sandbox, {8080});
        EXPECT_TRUE(url);
        return std::make_unique<Door>(
            box->loop(), *url, std::string{net::port_forward_backend_protocol}, std::move(bridge));
    }

    static std::string why_not, sandbox, container;
    static std::unique_ptr<ContainerdFixture> box;
};
std::string AgentRemoteCommand::why_not;
std::string AgentRemoteCommand::sandbox;
std::string AgentRemoteCommand::container;
std::unique_ptr<ContainerdFixture> AgentRemoteCommand::box;

TEST_F(AgentRemoteCommand, input_output_and_status_pass_and_v5_closes_the_input) {
    const auto door = exec_door(
        "v5.channel.k8s.io",
        {.cmd = {"sh", "-c", "cat; echo err >&2"}, .stdin = true, .stdout = true, .stderr = true});
    Caller caller{door->port(), "v5.channel.k8s.io"};
    caller.say(std::string{"\0hello", 6});
    caller.say(std::string{"\xff\0", 2});
    EXPECT_TRUE(caller.read_to_close());
    EXPECT_EQ(caller.got[1], "hello");
    EXPECT_EQ(caller.got[2], "err\n");
    EXPECT_EQ(caller.got[3], R"({"metadata":{},"status":"Success"})");
    EXPECT_EQ(caller.closed, 1000);
}

TEST_F(AgentRemoteCommand, an_exit_code_is_in_the_status) {
    for (const std::string_view protocol : {"v5.channel.k8s.io", "v4.channel.k8s.io"}) {
        const auto door = exec_door(protocol, {.cmd = {"sh", "-c", "exit 7"}, .stdout = true});
        Caller caller{door->port(), protocol};
        EXPECT_TRUE(caller.read_to_close());
        EXPECT_NE(caller.got[3].find(R"("reason":"NonZeroExitCode")"), std::string::npos)
            << caller.got[3];
        EXPECT_NE(caller.got[3].find(R"({"reason":"ExitCode","message":"7"})"), std::string::npos);
    }
    const auto door = exec_door("channel.k8s.io", {.cmd = {"sh", "-c", "exit 7"}, .stdout = true});
    Caller old{door->port(), "channel.k8s.io"};
    EXPECT_TRUE(old.read_to_close());
    EXPECT_NE(old.got[3].find("exit code 7"), std::string::npos) << old.got[3];
}

TEST_F(AgentRemoteCommand, a_terminal_is_resized) {
    const auto door = exec_door(
        "v5.channel.k8s.io",
        {.cmd = {"sh", "-c", "until stty size 2>/dev/null | grep '33 99'; do sleep 0.01; done"},
         .tty = true,
         .stdin = true,
         .stdout = true});
    Caller caller{door->port(), "v5.channel.k8s.io"};
    caller.say("\4{\"Width\":99,\"Height\":33}");
    EXPECT_TRUE(caller.read_to_close());
    EXPECT_TRUE(caller.got[1].ends_with("33 99\r\n")) << caller.got[1];
}

TEST_F(AgentRemoteCommand, much_output_comes_whole) {
    const auto door = exec_door("v4.channel.k8s.io",
                                {.cmd = {"head", "-c", "30000000", "/dev/zero"}, .stdout = true});
    Caller caller{door->port(), "v4.channel.k8s.io"};
    EXPECT_TRUE(caller.read_to_close());
    EXPECT_EQ(caller.got[1].size(), 30'000'000u);
    EXPECT_EQ(caller.got[3], R"({"metadata":{},"status":"Success"})");
}

TEST_F(AgentRemoteCommand, a_port_is_reached_over_channels) {
    const auto door = forward_door([](auto client, auto backend) {
        net::bridge_port_forward(std::move(client), std::move(backend), "v4.channel.k8s.io", {8080},
                                 nullptr);
    });
    Caller caller{door->port(), "v4.channel.k8s.io"};
    caller.say(std::string{"\0ping", 5});
    EXPECT_TRUE(caller.read_until([&] { return caller.got[0].size() >= 6; }));
    EXPECT_EQ(caller.got[0], "\x90\x1fping");
    EXPECT_EQ(caller.got[1], "\x90\x1f");
}

TEST_F(AgentRemoteCommand, a_port_that_nobody_listens_on_is_told) {
    const auto door = forward_door([](auto client, auto backend) {
        net::bridge_port_forward(std::move(client), std::move(backend), "v4.channel.k8s.io", {9},
                                 nullptr);
    });
    Caller caller{door->port(), "v4.channel.k8s.io"};
    EXPECT_TRUE(caller.read_to_close());
    EXPECT_NE(caller.got[1].find("connection refused"), std::string::npos) << caller.got[1];
    EXPECT_EQ(caller.closed, 1000);
}

TEST_F(AgentRemoteCommand, a_port_is_reached_through_a_spdy_tunnel) {
    const auto door = forward_door([](auto client, auto backend) {
        net::bridge_spdy_tunnel(std::move(client), std::move(backend), nullptr);
    });
    Caller caller{door->port(), net::spdy_tunnel_protocol};
    caller.raw = true;
    std::string out;
    net::SpdyWriter writer{out};
    writer.syn_stream(
        {.stream = 1, .headers = {{"streamtype", "error"}, {"port", "8080"}, {"requestid", "0"}}});
    writer.syn_stream(
        {.stream = 3, .headers = {{"streamtype", "data"}, {"port", "8080"}, {"requestid", "0"}}});
    caller.say(out);
    int replies = 0;
    std::string data;
    net::SpdySink sink;
    sink.syn_reply = [&](uint32_t, const net::SpdyHeaders&, bool) { ++replies; };
    sink.data = [&](uint32_t, std::string_view piece, bool) { data += piece; };
    net::SpdyReader reader{std::move(sink)};
    const auto feed = [&] { EXPECT_TRUE(reader.feed(std::exchange(caller.got[0], {}))); };
    EXPECT_TRUE(caller.read_until([&] { return feed(), replies == 2; }));
    out.clear();
    writer.data(3, "tunnelled");
    caller.say(out);
    EXPECT_TRUE(caller.read_until([&] { return feed(), data.size() >= 9; }));
    EXPECT_EQ(data, "tunnelled");
}

}   // namespace
}   // namespace skiff::agent
