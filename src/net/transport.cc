#include "net/transport.h"

#include <cerrno>
#include <cstring>

#include <arpa/inet.h>
#include <sys/socket.h>

#include "base/text.h"
#include "net/openssl.h"

namespace skiff::net {
namespace {

bool is_address(const std::string& name) {
    unsigned char parsed[16];
    return ::inet_pton(AF_INET, name.c_str(), parsed) == 1 ||
           ::inet_pton(AF_INET6, name.c_str(), parsed) == 1;
}

SSL* new_ssl(const std::shared_ptr<void>& context, int fd) {
    SSL* ssl = SSL_new(static_cast<SSL_CTX*>(context.get()));
    ASSERT(ssl && SSL_set_fd(ssl, fd) == 1);
    return ssl;
}

}   // namespace

void Transport::FreeSsl::operator()(ssl_st* ssl) const { SSL_free(ssl); }

Transport Transport::server(Fd fd, const std::shared_ptr<void>& tls_context) {
    Transport made{std::move(fd)};
    made.ssl_.reset(new_ssl(tls_context, made.fd_.get()));
    SSL_set_accept_state(made.ssl_.get());
    return made;
}

Result<Transport> Transport::client(Fd fd, const std::shared_ptr<void>& tls_context,
                                    const ClientTls& options) {
    Transport made{std::move(fd)};
    made.ssl_.reset(new_ssl(tls_context, made.fd_.get()));
    SSL* ssl = made.ssl_.get();
    SSL_set_connect_state(ssl);
    if (options.offer_any) {
        constexpr unsigned char both[] = "\x02h2\x08http/1.1";
        constexpr unsigned char one[] = "\x08http/1.1";
        const int refused = options.offer_http2 ? SSL_set_alpn_protos(ssl, both, sizeof both - 1)
                                                : SSL_set_alpn_protos(ssl, one, sizeof one - 1);
        if (refused) return fail_openssl("offer ALPN");
    }
    const auto& name = options.server_name;
    if (is_address(name)) {
        if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name.c_str()) != 1)
            return fail_openssl("verify address '" + name + "'");
    } else {
        SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
        if (SSL_set1_host(ssl, name.c_str()) != 1 ||
            SSL_set_tlsext_host_name(ssl, name.c_str()) != 1)
            return fail_openssl("verify name '" + name + "'");
    }
    return made;
}

// What an SSL_* call's result means. A peer that verifies wrongly is named by its own reason.
Transport::Status Transport::ssl_status(int result, std::string_view doing) {
    const int saved_errno = errno;
    switch (SSL_get_error(ssl_.get(), result)) {
    case SSL_ERROR_NONE: return Status::Ok;
    case SSL_ERROR_WANT_READ: return Status::WantRead;
    case SSL_ERROR_WANT_WRITE: return Status::WantWrite;
    case SSL_ERROR_ZERO_RETURN: return Status::Ended;
    case SSL_ERROR_SYSCALL:
        problem_ = concat(doing, ": ", saved_errno ? std::strerror(saved_errno) : "connection cut");
        return Status::Failed;
    default: break;
    }
    const auto code = ERR_peek_error();
    plain_http_ = ERR_GET_LIB(code) == ERR_LIB_SSL && ERR_GET_REASON(code) == SSL_R_HTTP_REQUEST;
    if (ERR_GET_REASON(code) == SSL_R_CERTIFICATE_VERIFY_FAILED) {
        ERR_clear_error();
        const auto why = SSL_get_verify_result(ssl_.get());
        problem_ = concat(doing, ": certificate: ", X509_verify_cert_error_string(why));
    } else {
        problem_ = concat(doing, ": ", openssl_problem());
    }
    return Status::Failed;
}

Transport::Status Transport::handshake() {
    if (!ssl_) return Status::Ok;
    ERR_clear_error();
    errno = 0;
    const int result = SSL_do_handshake(ssl_.get());
    return result == 1 ? Status::Ok : ssl_status(result, "TLS handshake");
}

Transport::Outcome Transport::read(std::span<char> into) {
    if (ssl_) {
        ERR_clear_error();
        errno = 0;
        size_t got = 0;
        const int result = SSL_read_ex(ssl_.get(), into.data(), into.size(), &got);
        if (result == 1) return {Status::Ok, got};
        return {ssl_status(result, "read")};
    }
    while (true) {
        const auto got = ::recv(fd_.get(), into.data(), into.size(), 0);
        if (got > 0) return {Status::Ok, static_cast<size_t>(got)};
        if (got == 0) return {Status::Ended};
        if (errno == EINTR) continue;
        if (errno == EAGAIN || errno == EWOULDBLOCK) return {Status::WantRead};
        problem_ = concat("read: ", std::strerror(errno));
        return {Status::Failed};
    }
}

Transport::Outcome Transport::write(std::string_view bytes) {
    if (ssl_) {
        ERR_clear_error();
        errno = 0;
        size_t done = 0;
        const int result = SSL_write_ex(ssl_.get(), bytes.data(), bytes.size(), &done);
        if (result == 1) return {Status::Ok, done};
        return {ssl_status(result, "write")};
    }
    while (true) {
        const auto done = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (done >= 0) return {Status::Ok, static_cast<size_t>(done)};
        if (errno == EINTR) continue;
        if (errno == EAGAIN || errno == EWOULDBLOCK) return {Status::WantWrite};
        problem_ = concat("write: ", std::strerror(errno));
        return {Status::Failed};
    }
}

Transport::Status Transport::shut() {
    if (ssl_ && SSL_is_init_finished(ssl_.get())) {
        ERR_clear_error();
        errno = 0;
        const int result = SSL_shutdown(ssl_.get());
        if (result < 0 && ssl_status(result, "shut") == Status::WantWrite) return Status::WantWrite;
    }
    ::shutdown(fd_.get(), SHUT_WR);
    return Status::Ok;
}

bool Transport::pending() const { return ssl_ && SSL_has_pending(ssl_.get()); }

std::string_view Transport::alpn() const {
    if (!ssl_) return {};
    const unsigned char* name = nullptr;
    unsigned size = 0;
    SSL_get0_alpn_selected(ssl_.get(), &name, &size);
    return {reinterpret_cast<const char*>(name), size};
}

void Transport::describe_peer(Peer& peer) const {
    peer.tls = tls();
    if (!ssl_) return;
    const X509Ptr presented{SSL_get1_peer_certificate(ssl_.get())};
    if (!presented) return;
    const auto recorded =
        reinterpret_cast<intptr_t>(SSL_get_ex_data(ssl_.get(), verify_problem_index()));
    const long problem = recorded ? static_cast<long>(recorded) : SSL_get_verify_result(ssl_.get());
    if (problem != X509_V_OK) {
        peer.certificate_problem = X509_verify_cert_error_string(problem);
        return;
    }
    const auto* subject = X509_get_subject_name(presented.get());
    peer.certificate = std::make_shared<const Peer::Certificate>(
        Peer::Certificate{.common_name = common_name_of(subject),
                          .organizations = organizations_of(subject),
                          .der = der_of(presented.get())});
}

}   // namespace skiff::net
