// The HTTP client: keep-alive HTTP/1.1 and HTTP/2 by ALPN, over TLS, TCP or a unix socket.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "net/http.h"
#include "net/loop.h"
#include "net/tls.h"

namespace skiff::net {

struct Endpoint {
    std::string host;   // name or address; for SNI and the host header
    uint16_t port = 0;
    std::string unix_path;             // set: connect there instead
    std::shared_ptr<TlsContext> tls;   // null: plain
    bool prefer_http2 = true;          // offer h2 in ALPN
    std::string server_name;           // checked against the certificate instead of host, when set
};

struct ClientRequest {
    std::string method = "GET";
    std::string target;   // path?query
    Headers headers;
    std::string body;
    Duration timeout = std::chrono::seconds{30};   // to the response head; 0: none
};

// The callbacks of one exchange, all on the loop, in this order: head, data*, then end once.
struct ExchangeSink {
    std::function<void(int status, const Headers& headers)> head;
    std::function<void(std::string_view)> data;
    std::function<void(Result<>)> end;   // an error: connect, TLS, timeout, cut short, cancelled
};

class HttpClient {
  public:
    // Cancels when destroyed (loop thread): nothing of the sink is called any more. pause/resume
    // make backpressure.
    class Exchange {
      public:
        virtual ~Exchange() = default;
        virtual void pause() = 0;
        virtual void resume() = 0;
    };
    virtual ~HttpClient() = default;   // any thread; what is under way ends with an error
    // Loop thread. The sink is first called in a later round.
    virtual std::unique_ptr<Exchange> start(ClientRequest request, ExchangeSink sink) = 0;
    // HTTP/1.1 upgrade on a connection of its own, without ALPN: `done` gets the head, and the
    // stream if 101. The caller sets the upgrade and connection headers. Loop thread.
    struct Upgraded {
        int status = 0;
        Headers headers;
        std::string body;                    // when not 101: at most 64 KiB of it
        std::unique_ptr<RawStream> stream;   // when 101
    };
    virtual void upgrade(ClientRequest request, std::function<void(Result<Upgraded>)> done) = 0;
};

std::unique_ptr<HttpClient> make_http_client(Loop& loop, Endpoint endpoint);

// A plain connection to a TCP port as a raw stream (port-forward, tcp probes).
void connect_raw(Loop& loop, const std::string& host, uint16_t port, Duration timeout,
                 std::function<void(Result<std::unique_ptr<RawStream>>)> done);

// Blocking convenience for tasks on an executor: the whole answer, body bounded. The request's
// timeout is for all of it. Never call it on the loop.
struct WholeResponse {
    int status = 0;
    Headers headers;
    std::string body;
};
Result<WholeResponse> fetch(Executor& executor, Loop& loop, HttpClient& client,
                            ClientRequest request, size_t body_bytes_max = 64u << 20);

}   // namespace skiff::net
