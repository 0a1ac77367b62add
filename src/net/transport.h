// Bytes over a nonblocking socket, through TLS or not. Knows no HTTP and no event loop.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/os.h"
#include "net/http.h"

struct ssl_st;

namespace skiff::net {

class Transport {
  public:
    enum class Status { Ok, WantRead, WantWrite, Ended, Failed };
    struct Outcome {
        Status status = Status::Ok;
        size_t bytes = 0;
    };
    struct ClientTls {
        std::string server_name;    // a DNS name or an address; checked, and sent when a name
        bool offer_http2 = false;   // without it no ALPN at all: some peers want that for upgrades
        bool offer_any = true;
    };

    explicit Transport(Fd fd) : fd_{std::move(fd)} {}   // plain
    static Transport server(Fd fd, const std::shared_ptr<void>& tls_context);
    static Result<Transport> client(Fd fd, const std::shared_ptr<void>& tls_context,
                                    const ClientTls& options);
    Transport(Transport&&) = default;
    Transport& operator=(Transport&&) = default;

    Status handshake();
    Outcome read(std::span<char> into);
    Outcome write(std::string_view bytes);
    Status shut();          // says that nothing more follows; reading goes on
    bool pending() const;   // bytes were read from the socket that read() has not given out yet

    int fd() const { return fd_.get(); }
    bool tls() const { return ssl_ != nullptr; }
    std::string_view alpn() const;                            // "" when none was agreed on
    const std::string& problem() const { return problem_; }   // after Failed
    bool plain_http_on_tls() const { return plain_http_; }    // after a failed handshake
    // What the client presented: a verified certificate, or the reason why it is none.
    void describe_peer(Peer& peer) const;

  private:
    struct FreeSsl {
        void operator()(ssl_st* ssl) const;
    };
    Status ssl_status(int result, std::string_view doing);

    Fd fd_;   // after ssl_ in destruction: SSL_free may not touch it, but must come first
    std::unique_ptr<ssl_st, FreeSsl> ssl_;
    std::string problem_;
    bool plain_http_ = false;
};

}   // namespace skiff::net
