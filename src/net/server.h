// The HTTP server: HTTP/1.1 and HTTP/2 on one port, over TLS (ALPN; none offered means HTTP/1.1)
// or plain, answering from a Handler. Bodies above the limit get 413, slow heads are cut.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/os.h"
#include "net/http.h"
#include "net/loop.h"
#include "net/tls.h"

namespace skiff::net {

struct ServerOptions {
    size_t body_bytes_max = 3u << 20;
    Duration header_timeout = std::chrono::seconds{10};   // from connect to a whole request head
    Duration body_timeout = std::chrono::seconds{60};     // for all of it
    Duration idle_timeout = std::chrono::minutes{3};      // a kept connection without request
};

class Server {
  public:
    virtual ~Server() = default;   // closes the listening sockets and every connection
    virtual uint16_t port() const = 0;
    // Stops accepting, finishes requests in flight until the deadline, ends streams cleanly
    // (GOAWAY, a last chunk), then calls done on a loop.
    virtual void drain(Duration deadline, std::function<void()> done) = 0;
    virtual size_t connections() const = 0;
};

// Connections are spread over the loops. `listener` is a listening TCP socket (net/listen.h).
// Without tls (null) it speaks plain HTTP/1.1 and prior-knowledge HTTP/2.
Result<std::unique_ptr<Server>> make_server(std::vector<Loop*> loops, Fd listener,
                                            std::shared_ptr<TlsContext> tls, Handler handler,
                                            ServerOptions options = {});

}   // namespace skiff::net
