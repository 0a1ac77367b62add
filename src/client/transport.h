// How a client reaches the API: one call and one stream. In the server's process it enters the
// request pipeline after authentication (apiserver/local_transport.h); elsewhere it is HTTPS
// (client/https_transport.h); the simulated world wraps either with faults. Callers cannot tell.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/bytes.h"
#include "base/executor.h"
#include "base/result.h"

namespace skiff::client {

struct ApiRequest {
    std::string method = "GET";
    std::string path;           // "/api/v1/namespaces/default/pods/web"
    std::string query;          // without '?', percent-encoded
    std::string content_type;   // of the body
    std::string body;
    Duration timeout = std::chrono::seconds{30};
};

struct ApiResponse {
    int status = 200;
    Bytes body;   // of a successful answer: JSON
};

// One event of a watch, object text as the server sent it (the stored bytes, in process).
struct WatchEvent {
    enum class Type : uint8_t { Added, Modified, Deleted, Bookmark } type = Type::Added;
    Bytes object;
};

class WatchSink {
  public:
    virtual ~WatchSink() = default;
    // Both are called one at a time, in order, on any thread; nothing follows ended().
    // An Error event of the stream (410 Expired …) arrives as ended(error); a clean end as {}.
    virtual void event(WatchEvent event) = 0;
    virtual void ended(Result<> how) = 0;
};

class Transport {
  public:
    // Destroying it stops the watch; no call of the sink begins after the destructor returned.
    class Stream {
      public:
        virtual ~Stream() = default;
    };
    virtual ~Transport() = default;
    // Status answers become Errors (reason, message, causes, code); done comes once, any thread.
    virtual void send(ApiRequest request,
                      std::move_only_function<void(Result<ApiResponse>)> done) = 0;
    virtual std::unique_ptr<Stream> watch(ApiRequest request, std::shared_ptr<WatchSink> sink) = 0;
};

// Blocks the calling task until the answer is there.
Result<ApiResponse> send_and_wait(Executor& executor, Transport& transport, ApiRequest request);

// The Error that a Status object tells; the body may also be anything else (then its text).
Error error_from_status(int http_status, std::string_view body);

}   // namespace skiff::client
