// HTTP messages as the rest of the program sees them, whichever version carried them.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace skiff::net {

// Header names in lower case; order and repetition kept.
class Headers {
  public:
    void add(std::string_view name, std::string_view value);
    void set(std::string_view name, std::string_view value);   // replaces all of that name
    void remove(std::string_view name);
    std::optional<std::string_view> find(std::string_view name) const;   // the first
    std::vector<std::string_view> all(std::string_view name) const;
    // True when the comma-separated list in `name` (any number of lines) has the token.
    bool has_token(std::string_view name, std::string_view token) const;
    auto begin() const { return entries_.begin(); }
    auto end() const { return entries_.end(); }
    size_t size() const { return entries_.size(); }

  private:
    std::vector<std::pair<std::string, std::string>> entries_;
};

// Who is at the other end, as far as the connection tells.
struct Peer {
    std::string address;   // "127.0.0.1", no port
    uint16_t port = 0;
    bool tls = false;
    // Verified client certificate, when one was presented: subject CN and O values, and its DER.
    struct Certificate {
        std::string common_name;
        std::vector<std::string> organizations;
        std::string der;
    };
    std::shared_ptr<const Certificate> certificate;
    std::string certificate_problem;   // why a presented certificate was not accepted
};

struct Request {
    std::string method;   // upper case
    std::string path;     // percent-encoded as received, starts with '/'
    std::string query;    // without '?'
    Headers headers;
    std::string body;   // complete, at most limits::request_body_bytes_max
    std::shared_ptr<const Peer> peer;
    bool http2 = false;
};

// A body produced piece by piece. All calls come on the connection's loop.
class BodySource {
  public:
    enum class State { More, Wait, End, Abort };   // Abort: cut the connection or stream
    virtual ~BodySource() = default;
    // Appends about `want` bytes at the most to `out`. Wait: nothing more now, wake() was or will
    // be called. What is appended counts whatever is returned, except with Abort.
    virtual State pull(std::vector<Slice>& out, size_t want) = 0;
    // Called once before the first pull; wake may be called from any thread, also after the end.
    virtual void on_wake(std::function<void()> wake) = 0;
    // True when an end at any Wait is a proper end (a watch): such a body ends at once when the
    // server drains, others go on until the drain's deadline and are then cut.
    virtual bool may_end_early() const { return false; }
};

struct Response {
    int status = 200;
    Headers headers;                      // content-length is filled in for `body`
    std::vector<Slice> body;              // sent as it is, gathered, when there is no source
    std::shared_ptr<BodySource> source;   // streamed (chunked in HTTP/1.1) when set
};

// A connection taken over after a 101: raw decrypted bytes, with backpressure. Loop thread only.
class RawStream {
  public:
    virtual ~RawStream() = default;   // closes
    // `on_data` gets what arrives (also what came with the request head). `on_end`: the peer
    // closed or failed; nothing follows. Data is held back while paused. The callbacks come in
    // rounds of their own and may destroy the stream; they are let go after the end and after
    // finish(), so that they may own it.
    virtual void start(std::function<void(std::string_view)> on_data,
                       std::function<void()> on_end) = 0;
    virtual void pause() = 0;
    virtual void resume() = 0;
    // False: taken, but what waits is above the mark; write more after `drained`.
    virtual bool write(std::string_view bytes) = 0;
    virtual void on_drain(std::function<void()> drained) = 0;
    virtual void finish() = 0;   // flush what is written, then close; nothing is called any more
    virtual class Loop& loop() = 0;
};

// The one way to answer a request; any thread may use it, exactly one answer is given. Dropping
// it unanswered sends 500. `gone` tells that the client went away meanwhile (loop thread).
class Responder {
  public:
    virtual ~Responder() = default;
    virtual void send(Response response) = 0;
    // HTTP/1.1 only: writes the head (a 101 with `headers`), then hands the connection over.
    virtual void upgrade(Headers headers, std::function<void(std::unique_ptr<RawStream>)> take) = 0;
    virtual void on_gone(std::function<void()> gone) = 0;
    virtual class Loop& loop() = 0;
};

using Handler = std::function<void(Request, std::shared_ptr<Responder>)>;   // on the loop

// Percent-decoding and query strings.
std::string percent_decoded(std::string_view text);   // bad escapes stay as they are
std::string percent_encoded(std::string_view text);   // everything but RFC 3986 unreserved
using Query = std::vector<std::pair<std::string, std::string>>;
Query parse_query(std::string_view text);   // '+' is a space
// A switch in a query as Kubernetes reads it: on unless "0" or "false" in any case. The Python
// client writes True and False.
bool query_switch(std::string_view value);
std::string_view http_status_text(int status);

}   // namespace skiff::net
