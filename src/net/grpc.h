// A gRPC client over HTTP/2 (nghttp2), as containerd's CRI and etcd need it. Messages are opaque
// serialised protobuf here; callers encode and decode them (codec/protobuf.h).
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/executor.h"
#include "net/http_client.h"

namespace skiff::net {

// gRPC's status codes become reasons: NOT_FOUND NotFound, ALREADY_EXISTS AlreadyExists,
// INVALID_ARGUMENT Invalid, DEADLINE_EXCEEDED Timeout, UNAVAILABLE ServiceUnavailable,
// RESOURCE_EXHAUSTED TooManyRequests, UNAUTHENTICATED Unauthorized, PERMISSION_DENIED Forbidden,
// FAILED_PRECONDITION and ABORTED Conflict, UNIMPLEMENTED MethodNotAllowed, OUT_OF_RANGE Expired
// (etcd: the revision was compacted), else InternalError. The message is the server's own.
// It connects when a call needs it and gives up at once when it cannot: ServiceUnavailable names
// the socket. Retrying with patience is the caller's.
class GrpcClient {
  public:
    class Stream {
      public:
        // Cancels with RST_STREAM(CANCEL). Any thread; after it returned on the loop's thread, or
        // once the loop has run dry, the sink is never called again.
        virtual ~Stream() = default;
        virtual void send(std::string message) = 0;   // any thread
        virtual void half_close() = 0;   // nothing more to send: server streaming waits for it
    };
    struct StreamSink {   // on the loop; `end` comes once, unless the Stream was destroyed
        std::function<void(std::string_view message)> message;
        std::function<void(Result<>)> end;
    };
    virtual ~GrpcClient() = default;   // any thread; its streams end with ServiceUnavailable
    // "/runtime.v1.RuntimeService/Version". Blocks the calling task (never the loop's thread).
    virtual Result<std::string> call(std::string_view method, std::string_view request,
                                     Duration timeout) = 0;
    // Server or bidirectional streaming; `request` is the first message. Any thread.
    virtual std::unique_ptr<Stream> stream(std::string_view method, std::string request,
                                           StreamSink sink) = 0;
};

inline constexpr size_t grpc_message_bytes_max = 16u << 20;   // containerd's own limit

std::unique_ptr<GrpcClient> make_grpc_client(Executor& executor, Loop& loop, Endpoint endpoint);

}   // namespace skiff::net
