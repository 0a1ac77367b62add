#include "net/grpc.h"

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <map>
#include <thread>

#include <gtest/gtest.h>
#include <nghttp2/nghttp2.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/guarded.h"
#include "base/text.h"
#include "net/test_support.h"

namespace skiff::net {
namespace {

std::string framed(std::string_view message) {
    std::string out{"\0\0\0\0\0", 5};
    for (int i = 0; i < 4; ++i) out[1 + i] = static_cast<char>(message.size() >> (24 - 8 * i));
    return out += message;
}

// A scripted gRPC server on a unix socket: the method's name says how it behaves. It speaks
// HTTP/2 through nghttp2's server side, so that the client's framing is judged by another party.
class FakeServer {
  public:
    explicit FakeServer(std::string path) : path_{std::move(path)} { listen(); }
    ~FakeServer() { stop(); }

    void stop() {
        if (!thread_.joinable()) return;
        [[maybe_unused]] const auto put = ::write(quit_[1], "q", 1);
        thread_.join();
        ::close(quit_[0]), ::close(quit_[1]), ::close(listener_);
        ::unlink(path_.c_str());
    }
    void listen() {
        listener_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::memcpy(address.sun_path, path_.data(), path_.size());
        ::unlink(path_.c_str());
        EXPECT_EQ(::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
        EXPECT_EQ(::listen(listener_, 16), 0);
        EXPECT_EQ(::pipe(quit_), 0);
        thread_ = std::thread{[this] { run(); }};
    }

    std::atomic<int> connections = 0;
    std::atomic<int> refusals = 0;
    std::atomic<bool> ends_with_goaway = false;
    Guarded<std::map<std::string, std::string>> headers;   // of the last request
    Guarded<std::vector<uint32_t>> resets;                 // received

  private:
    struct Call {
        std::string path;
        std::string request;
        bool request_ended = false;
        std::string body;
        size_t sent = 0;
        bool body_ended = false;
        bool responded = false;
        std::string status = "0";
    };
    struct Session {
        FakeServer* server;
        nghttp2_session* h2 = nullptr;
        int fd = -1;
        bool dead = false;
        std::map<int32_t, Call> calls;
    };

    static nghttp2_nv nv(const char* name, const std::string& value) {
        return {reinterpret_cast<uint8_t*>(const_cast<char*>(name)),
                reinterpret_cast<uint8_t*>(const_cast<char*>(value.data())), std::strlen(name),
                value.size(), NGHTTP2_NV_FLAG_NONE};
    }

    static ssize_t read_body(nghttp2_session* h2, int32_t id, uint8_t* buffer, size_t size,
                             uint32_t* flags, nghttp2_data_source* source, void*) {
        auto& call = *static_cast<Call*>(source->ptr);
        const size_t part = std::min(size, call.body.size() - call.sent);
        std::memcpy(buffer, call.body.data() + call.sent, part);
        call.sent += part;
        if (call.sent == call.body.size() && call.body_ended) {
            *flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
            const nghttp2_nv trailers[] = {nv("grpc-status", call.status)};
            nghttp2_submit_trailer(h2, id, trailers, 1);
        } else if (part == 0) {
            return NGHTTP2_ERR_DEFERRED;
        }
        return static_cast<ssize_t>(part);
    }

    static void respond(Session& session, int32_t id, Call& call, std::string body, bool ended) {
        call.body += body;
        call.body_ended = ended;
        if (call.responded) {
            nghttp2_session_resume_data(session.h2, id);
            return;
        }
        call.responded = true;
        const std::string ok = "200", type = "application/grpc";
        const nghttp2_nv head[] = {nv(":status", ok), nv("content-type", type)};
        nghttp2_data_provider data{};
        data.source.ptr = &call;
        data.read_callback = read_body;
        nghttp2_submit_response(session.h2, id, head, 2, &data);
    }

    static void headers_only(Session& session, int32_t id,
                             std::vector<std::pair<const char*, std::string>> fields) {
        std::vector<nghttp2_nv> list;
        for (const auto& [name, value] : fields) list.push_back(nv(name, value));
        nghttp2_submit_response(session.h2, id, list.data(), list.size(), nullptr);
    }

    static void act(Session& session, int32_t id, Call& call) {
        auto& server = *session.server;
        const auto name = call.path.substr(call.path.rfind('/') + 1);
        if (name == "Bidi") {   // echoes what came so far; ends when the client does
            respond(session, id, call, std::exchange(call.request, {}), call.request_ended);
            return;
        }
        if (!call.request_ended) return;
        if (name == "Echo") respond(session, id, call, call.request, true);
        if (name == "Count") {
            std::string body;
            for (int i = 0; i < 1000; ++i) body += framed(concat(i));
            respond(session, id, call, body, true);
        }
        if (name == "NoMessage") respond(session, id, call, "", true);
        if (name == "TrailersOnly") {
            headers_only(session, id,
                         {{":status", "200"},
                          {"content-type", "application/grpc"},
                          {"grpc-status", "5"},
                          {"grpc-message", "no pod \"a%25b\": caf%C3%A9 100%"}});
        }
        if (name == "LateStatus") {
            call.status = "9";
            respond(session, id, call, framed("partial"), true);
        }
        if (name == "BadGateway") headers_only(session, id, {{":status", "502"}});
        if (name == "TooLarge") respond(session, id, call, std::string{"\0\x01\0\0\x01", 5}, false);
        if (name == "Compressed") respond(session, id, call, std::string{"\1\0\0\0\0", 5}, true);
        if (name == "CutMessage") respond(session, id, call, std::string{"\0\0\0\0\5ab", 7}, true);
        if (name == "Reset") nghttp2_submit_rst_stream(session.h2, 0, id, NGHTTP2_INTERNAL_ERROR);
        if (name == "CloseConnection") session.dead = true;
        if (name == "RefusedTwice") {
            if (server.refusals++ < 2) {
                nghttp2_submit_rst_stream(session.h2, 0, id, NGHTTP2_REFUSED_STREAM);
            } else {
                respond(session, id, call, call.request, true);
            }
        }
        if (name == "RefusedAlways")
            nghttp2_submit_rst_stream(session.h2, 0, id, NGHTTP2_REFUSED_STREAM);
        if (name == "LastCall") {   // answers, and refuses all that comes after
            respond(session, id, call, call.request, true);
            nghttp2_submit_goaway(session.h2, 0, id, NGHTTP2_NO_ERROR, nullptr, 0);
        }
    }

    static int on_header(nghttp2_session*, const nghttp2_frame* frame, const uint8_t* name,
                         size_t name_size, const uint8_t* value, size_t value_size, uint8_t,
                         void* user) {
        auto& session = *static_cast<Session*>(user);
        const std::string key{reinterpret_cast<const char*>(name), name_size};
        const std::string text{reinterpret_cast<const char*>(value), value_size};
        if (key == ":path") session.calls[frame->hd.stream_id].path = text;
        session.server->headers.use([&](auto& all) { all[key] = text; });
        return 0;
    }
    static int on_data(nghttp2_session*, uint8_t, int32_t id, const uint8_t* data, size_t size,
                       void* user) {
        auto& session = *static_cast<Session*>(user);
        session.calls[id].request.append(reinterpret_cast<const char*>(data), size);
        return 0;
    }
    static int on_frame(nghttp2_session*, const nghttp2_frame* frame, void* user) {
        auto& session = *static_cast<Session*>(user);
        if (frame->hd.type == NGHTTP2_RST_STREAM) {
            const auto code = frame->rst_stream.error_code;
            session.server->resets.use([&](auto& all) { all.push_back(code); });
        }
        if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) return 0;
        auto& call = session.calls[frame->hd.stream_id];
        if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) call.request_ended = true;
        if (frame->hd.type == NGHTTP2_DATA) act(session, frame->hd.stream_id, call);
        return 0;
    }

    void accept_one(std::vector<std::unique_ptr<Session>>& sessions) {
        auto session = std::make_unique<Session>();
        session->server = this;
        session->fd = ::accept(listener_, nullptr, nullptr);
        ++connections;
        nghttp2_session_callbacks* callbacks = nullptr;
        nghttp2_session_callbacks_new(&callbacks);
        nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
        nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
        nghttp2_session_server_new(&session->h2, callbacks, session.get());
        nghttp2_session_callbacks_del(callbacks);
        nghttp2_submit_settings(session->h2, 0, nullptr, 0);
        sessions.push_back(std::move(session));
    }

    static void serve(Session& session) {
        char buffer[16384];
        const auto size = ::recv(session.fd, buffer, sizeof buffer, 0);
        if (size <= 0) {
            session.dead = true;
            return;
        }
        nghttp2_session_mem_recv(session.h2, reinterpret_cast<uint8_t*>(buffer),
                                 static_cast<size_t>(size));
        while (!session.dead) {
            const uint8_t* data = nullptr;
            auto left = nghttp2_session_mem_send(session.h2, &data);
            if (left <= 0) break;
            while (left > 0) {
                const auto put = ::send(session.fd, data, static_cast<size_t>(left), MSG_NOSIGNAL);
                if (put <= 0) {
                    session.dead = true;
                    return;
                }
                data += put, left -= put;
            }
        }
        if (!nghttp2_session_want_read(session.h2) && !nghttp2_session_want_write(session.h2))
            session.dead = true;
    }

    void run() {
        std::vector<std::unique_ptr<Session>> sessions;
        while (true) {
            std::vector<pollfd> fds{{quit_[0], POLLIN, 0}, {listener_, POLLIN, 0}};
            for (const auto& each : sessions) fds.push_back({each->fd, POLLIN, 0});
            ::poll(fds.data(), fds.size(), -1);
            if (fds[0].revents) break;
            const auto known = sessions.size();
            if (fds[1].revents) accept_one(sessions);
            for (size_t i = 0; i < known; ++i)
                if (fds[i + 2].revents) serve(*sessions[i]);
            std::erase_if(sessions, [](auto& each) { return each->dead && (end(*each), true); });
        }
        for (const auto& each : sessions) end(*each);
    }
    static void end(Session& session) {
        ::close(session.fd);
        nghttp2_session_del(session.h2);
    }

    std::string path_;
    int listener_ = -1;
    int quit_[2] = {-1, -1};
    std::thread thread_;
};

class NetGrpc : public testing::Test {
  protected:
    NetGrpc() {
        char name[] = "/tmp/grpc_test.XXXXXX";
        folder_ = ::mkdtemp(name);
        path_ = folder_ + "/server.sock";
        client_ = make_grpc_client(*pool_, loop_.loop(), {.unix_path = path_});
    }
    ~NetGrpc() override {
        client_.reset();
        std::filesystem::remove_all(folder_);
    }
    Result<std::string> call(const char* name, std::string_view request = "hello",
                             Duration timeout = 20s) {
        return client_->call(concat("/test.Test/", name), request, timeout);
    }
    // What a stream brings, collected for the test's thread.
    struct Collected {
        std::vector<std::string> messages;
        std::shared_ptr<Waiter> ended;
        std::shared_ptr<Waiter> first;
        Result<> result;
    };
    std::shared_ptr<Collected> collect(GrpcClient::StreamSink& sink) {
        auto all = std::make_shared<Collected>();
        all->ended = pool_->make_waiter();
        all->first = pool_->make_waiter();
        sink.message = [all](std::string_view message) {
            all->messages.emplace_back(message);
            all->first->notify();
        };
        sink.end = [all](Result<> result) {
            all->result = std::move(result);
            all->ended->notify();
        };
        return all;
    }
    bool soon(const std::shared_ptr<Waiter>& waiter) {
        return waiter->wait_until(os_clock().monotonic() + 20s);
    }

    std::unique_ptr<Executor> pool_ = make_thread_pool(os_clock());
    LoopThread loop_{os_clock(), "test"};
    std::string folder_;
    std::string path_;
    std::unique_ptr<GrpcClient> client_;
};

TEST_F(NetGrpc, calls_share_one_connection) {
    FakeServer server{path_};
    for (int i = 0; i < 10; ++i) {
        const auto answer = call("Echo", concat("number ", i));
        ASSERT_TRUE(answer) << answer.error().message;
        EXPECT_EQ(*answer, concat("number ", i));
    }
    EXPECT_EQ(server.connections, 1);
    server.headers.use([](auto& headers) {
        EXPECT_EQ(headers[":method"], "POST");
        EXPECT_EQ(headers[":path"], "/test.Test/Echo");
        EXPECT_EQ(headers["te"], "trailers");
        EXPECT_EQ(headers["content-type"], "application/grpc");
        EXPECT_TRUE(headers["grpc-timeout"].ends_with("m")) << headers["grpc-timeout"];
    });
}

TEST_F(NetGrpc, an_empty_message_is_a_message) {
    FakeServer server{path_};
    const auto answer = call("Echo", "");
    ASSERT_TRUE(answer) << answer.error().message;
    EXPECT_EQ(*answer, "");
}

TEST_F(NetGrpc, messages_larger_than_every_window_pass_both_ways) {
    FakeServer server{path_};
    std::string large(9'000'000, 'x');
    large[8'999'999] = 'y';
    const auto answer = call("Echo", large);
    ASSERT_TRUE(answer) << answer.error().message;
    EXPECT_TRUE(*answer == large);
}

TEST_F(NetGrpc, failures_carry_reason_and_message) {
    FakeServer server{path_};
    const struct {
        const char* name;
        Reason reason;
        const char* says;
    } rows[] = {
        {"TrailersOnly", Reason::NotFound, "no pod \"a%b\": caf\xc3\xa9 100%"},
        {"LateStatus", Reason::Conflict, "gRPC status 9"},
        {"BadGateway", Reason::ServiceUnavailable, "HTTP status 502"},
        {"TooLarge", Reason::InternalError, "larger than 16 MiB"},
        {"Compressed", Reason::InternalError, "compressed"},
        {"CutMessage", Reason::InternalError, "ends inside a message"},
        {"NoMessage", Reason::InternalError, "no message"},
        {"Reset", Reason::InternalError, "INTERNAL_ERROR"},
        {"CloseConnection", Reason::ServiceUnavailable, "server.sock closed the connection"},
        {"RefusedAlways", Reason::ServiceUnavailable, "REFUSED_STREAM"},
    };
    for (const auto& row : rows) {
        const auto answer = call(row.name);
        ASSERT_FALSE(answer) << row.name;
        EXPECT_EQ(answer.error().reason, row.reason) << row.name << ": " << answer.error().message;
        EXPECT_NE(answer.error().message.find(row.says), std::string::npos)
            << row.name << ": " << answer.error().message;
        EXPECT_TRUE(call("Echo")) << "after " << row.name;
    }
}

TEST_F(NetGrpc, a_refused_call_is_sent_again) {
    FakeServer server{path_};
    const auto answer = call("RefusedTwice", "again");
    ASSERT_TRUE(answer) << answer.error().message;
    EXPECT_EQ(*answer, "again");
    EXPECT_EQ(server.refusals, 3);
}

TEST_F(NetGrpc, without_a_server_the_error_names_the_socket) {
    const auto absent = call("Echo");
    ASSERT_FALSE(absent);
    EXPECT_EQ(absent.error().reason, Reason::ServiceUnavailable);
    EXPECT_EQ(absent.error().message, "connect to " + path_ + ": No such file or directory");

    const auto far = make_grpc_client(*pool_, loop_.loop(), {.host = "127.0.0.1", .port = 1});
    const auto refused = far->call("/test.Test/Echo", "", 20s);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().reason, Reason::ServiceUnavailable);
    EXPECT_EQ(refused.error().message, "connect to 127.0.0.1:1: Connection refused");
}

TEST_F(NetGrpc, a_restarted_server_is_found_again) {
    FakeServer server{path_};
    ASSERT_TRUE(call("Echo"));
    server.stop();
    const auto down = call("Echo");
    ASSERT_FALSE(down);
    EXPECT_EQ(down.error().reason, Reason::ServiceUnavailable);
    server.listen();
    EXPECT_TRUE(call("Echo"));
    EXPECT_EQ(server.connections, 2);
}

TEST_F(NetGrpc, after_goaway_calls_take_a_new_connection) {
    FakeServer server{path_};
    for (int i = 0; i < 3; ++i) {
        const auto answer = call("LastCall", "x");
        ASSERT_TRUE(answer) << answer.error().message;
    }
    EXPECT_GE(server.connections, 2);
}

TEST_F(NetGrpc, a_late_answer_is_a_timeout_and_the_stream_is_reset) {
    FakeServer server{path_};
    const auto late = call("Hang", "x", 30ms);
    ASSERT_FALSE(late);
    EXPECT_EQ(late.error().reason, Reason::Timeout);
    EXPECT_NE(late.error().message.find("/test.Test/Hang on " + path_), std::string::npos);
    ASSERT_TRUE(call("Echo"));   // the reset came before it, on the same connection
    server.resets.use([](auto& all) { EXPECT_EQ(all, std::vector<uint32_t>{NGHTTP2_CANCEL}); });
}

TEST_F(NetGrpc, a_stream_brings_every_message_in_order) {
    FakeServer server{path_};
    GrpcClient::StreamSink sink;
    const auto all = collect(sink);
    const auto stream = client_->stream("/test.Test/Count", "go", std::move(sink));
    stream->half_close();
    ASSERT_TRUE(soon(all->ended));
    EXPECT_TRUE(all->result);
    ASSERT_EQ(all->messages.size(), 1000u);
    for (int i = 0; i < 1000; ++i) ASSERT_EQ(all->messages[i], concat(i));
}

TEST_F(NetGrpc, a_bidirectional_stream_takes_more_messages) {
    FakeServer server{path_};
    GrpcClient::StreamSink sink;
    const auto all = collect(sink);
    const auto stream = client_->stream("/test.Test/Bidi", "one", std::move(sink));
    ASSERT_TRUE(soon(all->first));
    stream->send("two");
    stream->send(std::string(300'000, '3'));
    stream->half_close();
    ASSERT_TRUE(soon(all->ended));
    EXPECT_TRUE(all->result);
    ASSERT_EQ(all->messages.size(), 3u);
    EXPECT_EQ(all->messages[0], "one");
    EXPECT_EQ(all->messages[1], "two");
    EXPECT_EQ(all->messages[2].size(), 300'000u);
}

TEST_F(NetGrpc, dropping_a_stream_resets_it_and_silences_its_sink) {
    FakeServer server{path_};
    GrpcClient::StreamSink sink;
    const auto all = collect(sink);
    auto stream = client_->stream("/test.Test/Bidi", "one", std::move(sink));
    ASSERT_TRUE(soon(all->first));
    stream.reset();
    ASSERT_TRUE(call("Echo"));
    const std::vector<uint32_t> wanted{NGHTTP2_CANCEL};
    server.resets.use([&](auto& resets) { EXPECT_EQ(resets, wanted); });
    EXPECT_FALSE(all->ended->wait_until(os_clock().monotonic()));
}

TEST_F(NetGrpc, a_stream_ends_when_the_server_goes_and_when_the_client_does) {
    FakeServer server{path_};
    for (const bool by_server : {true, false}) {
        GrpcClient::StreamSink sink;
        const auto all = collect(sink);
        const auto stream = client_->stream("/test.Test/Bidi", "one", std::move(sink));
        ASSERT_TRUE(soon(all->first));
        if (by_server) {
            server.stop();
        } else {
            client_.reset();
        }
        ASSERT_TRUE(soon(all->ended));
        ASSERT_FALSE(all->result);
        EXPECT_EQ(all->result.error().reason, Reason::ServiceUnavailable);
        if (by_server) server.listen();
    }
}

// Our own HTTP/2 server is no gRPC server, but its status lines and headers do for errors.
TEST_F(NetGrpc, tls_servers_are_verified_and_plain_http_answers_understood) {
    const test::Certificates certificates;
    test::TestServer server{[](Request request, std::shared_ptr<Responder> responder) {
                                if (request.path == "/test.Test/Absent")
                                    return responder->send(test::text_response("no", 404));
                                Response answer;
                                answer.headers.add("content-type", "application/grpc");
                                answer.headers.add("grpc-status", "7");
                                answer.headers.add("grpc-message", request.method);
                                responder->send(std::move(answer));
                            },
                            certificates.server_tls()};
    client_ = make_grpc_client(
        *pool_, loop_.loop(),
        {.host = "localhost", .port = server.port(), .tls = certificates.client_tls()});
    const auto absent = call("Absent");
    ASSERT_FALSE(absent);
    EXPECT_EQ(absent.error().reason, Reason::MethodNotAllowed) << absent.error().message;
    const auto refused = call("Refused");
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().reason, Reason::Forbidden);
    EXPECT_EQ(refused.error().message, "POST");

    client_ = make_grpc_client(*pool_, loop_.loop(),
                               {.host = "localhost",
                                .port = server.port(),
                                .tls = certificates.client_tls(),
                                .server_name = "another.example"});
    const auto other = call("Absent");
    ASSERT_FALSE(other);
    EXPECT_EQ(other.error().reason, Reason::ServiceUnavailable);
    EXPECT_NE(other.error().message.find("certificate verify failed"), std::string::npos)
        << other.error().message;
}

TEST_F(NetGrpc, many_threads_may_call_at_once) {
    FakeServer server{path_};
    std::atomic<int> right = 0;
    std::vector<std::thread> threads;
    for (int i = 0; i < 8; ++i) {
        threads.emplace_back([&, i] {
            for (int j = 0; j < 50; ++j) {
                const auto text = concat(i, " ", j);
                const auto answer = call("Echo", text);
                right += answer && *answer == text;
            }
        });
    }
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(right, 400);
    EXPECT_EQ(server.connections, 1);
}

}   // namespace
}   // namespace skiff::net
