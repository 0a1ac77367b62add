// One HTTP/2 connection that carries gRPC calls; grpc.cc keeps the one in use. Loop thread only.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "net/grpc.h"
#include "net/grpc_messages.h"

struct nghttp2_session;
struct ssl_st;
struct addrinfo;

namespace skiff::net {

// One call. The client fills in the first part, the connection the second.
struct GrpcRpc {
    std::string method;
    std::string outgoing;   // length-prefixed messages
    bool outgoing_ended = false;
    bool unary = false;   // keeps `outgoing` until the end, so that it can be sent again
    std::optional<MonoTime> deadline;
    GrpcClient::StreamSink sink;

    std::weak_ptr<class GrpcConnection> connection;
    size_t sent = 0;          // of outgoing
    int32_t stream_id = -1;   // -1: not submitted
    int attempts = 0;
    bool left = false;   // some of it may have reached the server
    TimerId timer = TimerId::None;
    GrpcMessages incoming;
    bool answered = false;   // response headers came
    int http_status = 0;
    std::optional<int> status;   // grpc-status
    std::string message;         // grpc-message, decoded
    bool ended = false;

    void end(Result<> result);   // tells the sink, once
};

std::unexpected<Error> grpc_failure(int status, std::string message);
void append_grpc_message(std::string& out, std::string_view message);

class GrpcConnection : public std::enable_shared_from_this<GrpcConnection> {
  public:
    struct Hooks {
        std::function<void()> unusable;   // once: no new calls here, it drains or has failed
        std::function<void(GrpcConnection&)> closed;                    // once, last
        std::function<void(const std::shared_ptr<GrpcRpc>&)> refused;   // start it anew
    };
    // `owner` is what the hooks borrow; it is kept until the connection is closed.
    GrpcConnection(Executor& executor, Loop& loop, const Endpoint& endpoint,
                   std::shared_ptr<void> owner, Hooks hooks);
    ~GrpcConnection();

    void connect();
    void start(std::shared_ptr<GrpcRpc> rpc);
    void resume(GrpcRpc& rpc);        // more to send
    void cancel(GrpcRpc& rpc);        // resets the stream; the sink is not called
    void close(const Error& error);   // ends every call with it

  private:
    enum class State { Connecting, Handshaking, Open, Draining, Closed };
    struct Callbacks;
    friend struct Callbacks;
    struct Addresses;

    void resolved(std::shared_ptr<Addresses> addresses);
    Result<> connect_next();
    void connect_ended();
    void connected();
    void open_session();
    void on_ready(unsigned events);
    void handshake();
    void read_some();
    void flush();
    bool write_out();
    void submit(const std::shared_ptr<GrpcRpc>& rpc);
    void received(GrpcRpc& rpc, std::string_view data);
    void response_ended(GrpcRpc& rpc);
    void stream_closed(int32_t stream_id, uint32_t error_code);
    void stop_using();
    void broken_pipe();
    void fail_connection(Error error);
    std::string where() const;

    Executor& executor_;
    Loop& loop_;
    Endpoint endpoint_;
    std::shared_ptr<void> owner_;
    Hooks hooks_;
    State state_ = State::Connecting;
    Fd fd_;
    std::unique_ptr<Loop::Watch> watch_;
    ssl_st* ssl_ = nullptr;
    bool tls_wants_write_ = false;
    nghttp2_session* session_ = nullptr;
    bool inside_nghttp2_ = false;    // its functions must not be entered from its callbacks
    std::optional<Error> failure_;   // found inside a callback, acted on after it
    std::string out_;
    size_t out_sent_ = 0;
    TimerId connect_timer_ = TimerId::None;
    std::shared_ptr<Addresses> addresses_;
    std::vector<std::shared_ptr<GrpcRpc>> waiting_;   // for the connection
    std::map<int32_t, std::shared_ptr<GrpcRpc>> streams_;
};

}   // namespace skiff::net
