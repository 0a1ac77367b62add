// How a gRPC connection comes to be: addresses, connect, TLS.
#include "net/grpc_connection.h"

#include <cerrno>
#include <cstring>

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/text.h"

namespace skiff::net {
namespace {

constexpr Duration connect_timeout_max = 10s;
constexpr int dead_peer_timeout_ms = 20'000;   // a TCP peer that acknowledges nothing for so long

std::string openssl_problem() {
    char text[256] = "the connection was closed";
    if (const auto code = ERR_get_error()) ERR_error_string_n(code, text, sizeof text);
    ERR_clear_error();
    return text;
}

}   // namespace

struct GrpcConnection::Addresses {
    struct Address {
        sockaddr_storage storage;
        socklen_t size;
    };
    std::vector<Address> list;
    size_t next = 0;
    std::string problem;
};

std::string GrpcConnection::where() const {
    if (!endpoint_.unix_path.empty()) return endpoint_.unix_path;
    return concat(endpoint_.host, ":", endpoint_.port);
}

void GrpcConnection::connect() {
    connect_timer_ = loop_.after(connect_timeout_max, [weak = weak_from_this()] {
        const auto self = weak.lock();
        if (!self || self->state_ == State::Open) return;
        self->connect_timer_ = TimerId::None;
        self->fail_connection(
            {Reason::ServiceUnavailable, concat("connect to ", self->where(), ": no answer")});
    });
    auto addresses = std::make_shared<Addresses>();
    if (!endpoint_.unix_path.empty()) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        if (endpoint_.unix_path.size() >= sizeof address.sun_path) {
            addresses->problem = "the path is longer than a socket's name can be";
        } else {
            std::memcpy(address.sun_path, endpoint_.unix_path.data(), endpoint_.unix_path.size());
            auto& entry = addresses->list.emplace_back();
            std::memcpy(&entry.storage, &address, sizeof address);
            entry.size = sizeof address;
        }
        return resolved(std::move(addresses));
    }
    // getaddrinfo may block on the network: never on the loop.
    executor_.post([addresses, endpoint = endpoint_, &loop = loop_, weak = weak_from_this()] {
        addrinfo hints{};
        hints.ai_socktype = SOCK_STREAM;
        addrinfo* found = nullptr;
        const int problem =
            ::getaddrinfo(endpoint.host.c_str(), concat(endpoint.port).c_str(), &hints, &found);
        if (problem) addresses->problem = ::gai_strerror(problem);
        for (const addrinfo* at = problem ? nullptr : found; at; at = at->ai_next) {
            auto& entry = addresses->list.emplace_back();
            std::memcpy(&entry.storage, at->ai_addr, at->ai_addrlen);
            entry.size = at->ai_addrlen;
        }
        if (!problem) ::freeaddrinfo(found);
        loop.post([weak, addresses] {
            if (const auto self = weak.lock()) self->resolved(addresses);
        });
    });
}

void GrpcConnection::resolved(std::shared_ptr<Addresses> addresses) {
    if (state_ == State::Closed) return;
    addresses_ = std::move(addresses);
    if (addresses_->list.empty()) {
        return fail_connection({Reason::ServiceUnavailable,
                                concat("connect to ", where(), ": ", addresses_->problem)});
    }
    if (auto done = connect_next(); !done) fail_connection(std::move(done).error());
}

// Tries the next address; one that fails at once is passed over for the one after it.
Result<> GrpcConnection::connect_next() {
    int problem = 0;
    while (addresses_->next < addresses_->list.size()) {
        const auto& address = addresses_->list[addresses_->next++];
        const int family = address.storage.ss_family;
        watch_.reset();
        fd_ = Fd{::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
        if (!fd_) return fail_errno("open a socket", errno);
        if (family != AF_UNIX) {
            const int on = 1;
            ::setsockopt(fd_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
            ::setsockopt(fd_.get(), SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
            ::setsockopt(fd_.get(), IPPROTO_TCP, TCP_USER_TIMEOUT, &dead_peer_timeout_ms,
                         sizeof dead_peer_timeout_ms);
        }
        if (::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&address.storage),
                      address.size) == 0) {
            connected();
            return {};
        }
        problem = errno;
        if (problem != EINPROGRESS) continue;
        watch_ = loop_.watch(fd_.get(), Loop::Writable, [this](unsigned events) {
            const auto self = shared_from_this();
            on_ready(events);
        });
        return {};
    }
    return fail_errno(concat("connect to ", where()), problem, Reason::ServiceUnavailable);
}

void GrpcConnection::connect_ended() {
    int problem = 0;
    socklen_t size = sizeof problem;
    ::getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &problem, &size);
    if (problem == 0) return connected();
    if (addresses_->next < addresses_->list.size()) {
        if (auto done = connect_next(); !done) fail_connection(std::move(done).error());
        return;
    }
    fail_connection(
        fail_errno(concat("connect to ", where()), problem, Reason::ServiceUnavailable).error());
}

void GrpcConnection::connected() {
    watch_.reset();
    watch_ = loop_.watch(fd_.get(), Loop::Readable, [this](unsigned events) {
        const auto self = shared_from_this();
        on_ready(events);
    });
    if (!endpoint_.tls) return open_session();
    state_ = State::Handshaking;
    ssl_ = SSL_new(static_cast<SSL_CTX*>(endpoint_.tls->native().get()));
    ASSERT(ssl_);
    SSL_set_connect_state(ssl_);
    SSL_set_fd(ssl_, fd_.get());
    SSL_set_mode(ssl_, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_set_alpn_protos(ssl_, reinterpret_cast<const unsigned char*>("\x02h2"), 3);
    const auto& name = endpoint_.server_name.empty() ? endpoint_.host : endpoint_.server_name;
    in6_addr ignored;
    const bool literal = ::inet_pton(AF_INET, name.c_str(), &ignored) == 1 ||
                         ::inet_pton(AF_INET6, name.c_str(), &ignored) == 1;
    if (literal) {
        X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl_), name.c_str());
    } else {
        SSL_set1_host(ssl_, name.c_str());
        SSL_ctrl(ssl_, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
                 const_cast<char*>(name.c_str()));
    }
    handshake();
}

void GrpcConnection::handshake() {
    ERR_clear_error();
    const int result = SSL_do_handshake(ssl_);
    if (result == 1) return open_session();
    switch (SSL_get_error(ssl_, result)) {
    case SSL_ERROR_WANT_READ: return watch_->want(Loop::Readable);
    case SSL_ERROR_WANT_WRITE: return watch_->want(Loop::Readable | Loop::Writable);
    default:
        fail_connection(
            {Reason::ServiceUnavailable, concat("TLS with ", where(), ": ", openssl_problem())});
    }
}

}   // namespace skiff::net
