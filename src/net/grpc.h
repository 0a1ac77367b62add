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
// FAILED_PRECONDITION and ABORTED Conflict, else InternalError.
class GrpcClient {
  public:
    class Stream {
      public:
        virtual ~Stream() = default;   // cancels with RST_STREAM(CANCEL)
        virtual void send(std::string message) = 0;   // any thread
    };
    struct StreamSink {   // on the loop
        std::function<void(std::string_view message)> message;
        std::function<void(Result<>)> end;
    };
    virtual ~GrpcClient() = default;
    // "/runtime.v1.RuntimeService/Version". Blocks the calling task; reconnects when needed.
    virtual Result<std::string> call(std::string_view method, std::string_view request,
                                     Duration timeout) = 0;
    // Server or bidirectional streaming; `request` is the first message. Any thread.
    virtual std::unique_ptr<Stream> stream(std::string_view method, std::string request,
                                           StreamSink sink) = 0;
};

std::unique_ptr<GrpcClient> make_grpc_client(Executor& executor, Loop& loop, Endpoint endpoint);

}   // namespace skiff::net
