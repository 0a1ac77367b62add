#include "net/listen.h"

#include <cerrno>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "base/text.h"

namespace skiff::net {
namespace {

struct SocketAddress {
    sockaddr_storage storage{};
    socklen_t size = 0;
};

Result<SocketAddress> parse_address(const std::string& address, uint16_t port) {
    SocketAddress parsed;
    auto& four = reinterpret_cast<sockaddr_in&>(parsed.storage);
    auto& six = reinterpret_cast<sockaddr_in6&>(parsed.storage);
    if (::inet_pton(AF_INET, address.c_str(), &four.sin_addr) == 1) {
        four.sin_family = AF_INET;
        four.sin_port = htons(port);
        parsed.size = sizeof four;
    } else if (::inet_pton(AF_INET6, address.c_str(), &six.sin6_addr) == 1) {
        six.sin6_family = AF_INET6;
        six.sin6_port = htons(port);
        parsed.size = sizeof six;
    } else {
        return fail(Reason::Invalid, concat("'", address, "' must be an IP address"));
    }
    return parsed;
}

enum class Ahead { No, Yes };

void allow(const Fd& fd, Ahead ahead) {
    const int on = 1;
    if (ahead == Ahead::Yes) ::setsockopt(fd.get(), IPPROTO_IP, IP_FREEBIND, &on, sizeof on);
}

Result<Fd> tcp_at(const std::string& address, uint16_t port, Ahead ahead) {
    const auto doing = concat("listen on ", address, " port ", port);
    TRY(const auto parsed, parse_address(address, port));
    Fd fd{::socket(parsed.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
    if (!fd) return fail_errno(doing, errno);
    const int on = 1;
    const int off = 0;
    ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    allow(fd, ahead);
    if (parsed.storage.ss_family == AF_INET6)   // "::" means every address, of both kinds
        ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&parsed.storage), parsed.size) != 0)
        return fail_errno(doing, errno,
                          errno == EADDRINUSE ? Reason::AlreadyExists : Reason::InternalError);
    if (::listen(fd.get(), SOMAXCONN) != 0)
        return fail_errno(doing, errno,
                          errno == EADDRINUSE ? Reason::AlreadyExists : Reason::InternalError);
    return fd;
}

Result<Fd> connected(const std::string& address, uint16_t port, int type) {
    const auto doing = concat("connect to ", address, " port ", port);
    TRY(const auto parsed, parse_address(address, port));
    Fd fd{::socket(parsed.storage.ss_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
    if (!fd) return fail_errno(doing, errno);
    if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&parsed.storage), parsed.size) != 0 &&
        errno != EINPROGRESS)
        return fail_errno(doing, errno);
    return fd;
}

Result<Fd> udp_at(const std::string& address, uint16_t port, Ahead ahead) {
    const auto doing = concat("listen on ", address, " UDP port ", port);
    TRY(const auto parsed, parse_address(address, port));
    Fd fd{::socket(parsed.storage.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
    if (!fd) return fail_errno(doing, errno);
    allow(fd, ahead);
    if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&parsed.storage), parsed.size) != 0)
        return fail_errno(doing, errno,
                          errno == EADDRINUSE ? Reason::AlreadyExists : Reason::InternalError);
    return fd;
}

}   // namespace

Result<Fd> listen_tcp(const std::string& address, uint16_t port) {
    return tcp_at(address, port, Ahead::No);
}
Result<Fd> listen_udp(const std::string& address, uint16_t port) {
    return udp_at(address, port, Ahead::No);
}
Result<Fd> listen_tcp_ahead(const std::string& address, uint16_t port) {
    return tcp_at(address, port, Ahead::Yes);
}
Result<Fd> listen_udp_ahead(const std::string& address, uint16_t port) {
    return udp_at(address, port, Ahead::Yes);
}

Result<Fd> connect_udp(const std::string& address, uint16_t port) {
    return connected(address, port, SOCK_DGRAM);
}

Result<Fd> begin_connect_tcp(const std::string& address, uint16_t port) {
    return connected(address, port, SOCK_STREAM);
}

Result<uint16_t> port_of(const Fd& listener) {
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    if (::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0)
        return fail_errno("port of the listener", errno);
    if (address.ss_family == AF_INET)
        return ntohs(reinterpret_cast<const sockaddr_in&>(address).sin_port);
    if (address.ss_family == AF_INET6)
        return ntohs(reinterpret_cast<const sockaddr_in6&>(address).sin6_port);
    return 0;   // a unix socket
}

}   // namespace skiff::net
