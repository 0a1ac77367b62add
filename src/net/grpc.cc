#include "net/grpc.h"

#include <algorithm>

#include "net/grpc_connection.h"

namespace skiff::net {
namespace {

constexpr Duration loop_grace_max = 5s;   // a loop that is later than this has stopped

// Lives on the loop. Keeps the connection that new calls use, and those that finish old ones.
class Core : public std::enable_shared_from_this<Core> {
  public:
    Core(Executor& executor, Loop& loop, Endpoint endpoint)
        : executor_{executor}, loop_{loop}, endpoint_{std::move(endpoint)} {}

    Loop& loop() { return loop_; }

    void start(const std::shared_ptr<GrpcRpc>& rpc) {
        if (rpc->ended) return;   // cancelled before it came here
        if (closed_) return rpc->end(std::unexpected{closed_error()});
        const bool fresh = !current_;
        if (fresh) current_ = add_connection();
        const auto connection = current_;   // connecting may fail at once
        rpc->connection = connection;
        connection->start(rpc);
        if (fresh) connection->connect();
    }
    void send(GrpcRpc& rpc, std::string_view message) {
        if (rpc.ended) return;
        append_grpc_message(rpc.outgoing, message);
        resume(rpc);
    }
    void half_close(GrpcRpc& rpc) {
        rpc.outgoing_ended = true;
        resume(rpc);
    }
    void cancel(GrpcRpc& rpc) {
        rpc.ended = true;
        if (const auto connection = rpc.connection.lock()) connection->cancel(rpc);
    }
    void close() {
        closed_ = true;
        const auto connections = connections_;
        for (const auto& each : connections) each->close(closed_error());
    }

  private:
    static Error closed_error() {
        return {Reason::ServiceUnavailable, "the gRPC client was closed"};
    }
    std::shared_ptr<GrpcConnection> add_connection() {
        const auto number = ++connections_made_;
        GrpcConnection::Hooks hooks{
            .unusable =
                [this, number] {
                    if (number == connections_made_) current_.reset();
                },
            .closed =
                [this](GrpcConnection& closed) {
                    std::erase_if(connections_, [&](auto& each) { return each.get() == &closed; });
                },
            .refused = [this](const std::shared_ptr<GrpcRpc>& rpc) { start(rpc); },
        };
        // The hooks borrow the core: a connection dies, or is closed, before it.
        connections_.push_back(std::make_shared<GrpcConnection>(
            executor_, loop_, endpoint_, shared_from_this(), std::move(hooks)));
        return connections_.back();
    }
    void resume(GrpcRpc& rpc) {
        if (const auto connection = rpc.connection.lock()) connection->resume(rpc);
    }

    Executor& executor_;
    Loop& loop_;
    Endpoint endpoint_;
    bool closed_ = false;
    uint64_t connections_made_ = 0;
    std::shared_ptr<GrpcConnection> current_;
    std::vector<std::shared_ptr<GrpcConnection>> connections_;
};

class StreamHandle : public GrpcClient::Stream {
  public:
    StreamHandle(std::shared_ptr<Core> core, std::shared_ptr<GrpcRpc> rpc)
        : core_{std::move(core)}, rpc_{std::move(rpc)} {}
    ~StreamHandle() override {
        if (core_->loop().in_loop()) {
            core_->cancel(*rpc_);
        } else {
            core_->loop().post([core = core_, rpc = rpc_] { core->cancel(*rpc); });
        }
    }
    void send(std::string message) override {
        core_->loop().post([core = core_, rpc = rpc_, message = std::move(message)] {
            core->send(*rpc, message);
        });
    }
    void half_close() override {
        core_->loop().post([core = core_, rpc = rpc_] { core->half_close(*rpc); });
    }

  private:
    std::shared_ptr<Core> core_;
    std::shared_ptr<GrpcRpc> rpc_;
};

class Client : public GrpcClient {
  public:
    Client(Executor& executor, Loop& loop, Endpoint endpoint)
        : executor_{executor}, core_{std::make_shared<Core>(executor, loop, std::move(endpoint))} {}
    ~Client() override {
        if (core_->loop().in_loop()) {
            core_->close();
        } else {
            core_->loop().post([core = core_] { core->close(); });
        }
    }

    Result<std::string> call(std::string_view method, std::string_view request,
                             Duration timeout) override {
        ASSERT(!core_->loop().in_loop());
        struct Answer {
            std::shared_ptr<Waiter> waiter;
            std::optional<std::string> message;
            Result<> result;
        };
        const auto answer = std::make_shared<Answer>();
        answer->waiter = executor_.make_waiter();
        const auto rpc = make_rpc(method, request);
        rpc->unary = true;
        rpc->outgoing_ended = true;
        if (timeout > Duration::zero()) rpc->deadline = core_->loop().clock().monotonic() + timeout;
        rpc->sink.message = [answer](std::string_view message) { answer->message = message; };
        rpc->sink.end = [answer](Result<> result) {
            answer->result = std::move(result);
            answer->waiter->notify();
        };
        core_->loop().post([core = core_, rpc] { core->start(rpc); });
        std::optional<MonoTime> patience;
        if (rpc->deadline) patience = *rpc->deadline + loop_grace_max;
        if (!answer->waiter->wait_until(patience))
            return fail(Reason::Timeout, std::string{method} + ": the event loop does not answer");
        if (!answer->result) return std::unexpected{std::move(answer->result).error()};
        if (!answer->message)
            return fail(Reason::InternalError, std::string{method} + ": the answer has no message");
        return *std::move(answer->message);
    }

    std::unique_ptr<Stream> stream(std::string_view method, std::string request,
                                   StreamSink sink) override {
        auto rpc = make_rpc(method, request);
        rpc->sink = std::move(sink);
        core_->loop().post([core = core_, rpc] { core->start(rpc); });
        return std::make_unique<StreamHandle>(core_, std::move(rpc));
    }

  private:
    static std::shared_ptr<GrpcRpc> make_rpc(std::string_view method, std::string_view request) {
        auto rpc = std::make_shared<GrpcRpc>();
        rpc->method = method;
        rpc->outgoing.reserve(request.size() + 5);
        append_grpc_message(rpc->outgoing, request);
        return rpc;
    }

    Executor& executor_;
    std::shared_ptr<Core> core_;
};

}   // namespace

std::unique_ptr<GrpcClient> make_grpc_client(Executor& executor, Loop& loop, Endpoint endpoint) {
    return std::make_unique<Client>(executor, loop, std::move(endpoint));
}

}   // namespace skiff::net
