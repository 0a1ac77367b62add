#include "ingress/ports.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include "base/os.h"
#include "base/text.h"

namespace skiff::ingress {
namespace {

bool can_bind(int family, const sockaddr* address, socklen_t size) {
    const Fd fd{::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    if (!fd) return true;   // no such family: nobody has it
    const int on = 1;
    ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (family == AF_INET6) ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    return ::bind(fd.get(), address, size) == 0;
}

}   // namespace

bool port_is_free(uint16_t port, bool ipv6) {
    sockaddr_in four{};
    four.sin_family = AF_INET;
    four.sin_port = htons(port);
    if (!can_bind(AF_INET, reinterpret_cast<const sockaddr*>(&four), sizeof four)) return false;
    if (!ipv6) return true;
    sockaddr_in6 six{};
    six.sin6_family = AF_INET6;
    six.sin6_port = htons(port);
    return can_bind(AF_INET6, reinterpret_cast<const sockaddr*>(&six), sizeof six);
}

Ports ports_to_have(const Ports& wished, const Ports& held,
                    const std::function<bool(uint16_t)>& is_free) {
    const auto one = [&](uint16_t port, uint16_t has) {
        return port != 0 && (port == has || is_free(port)) ? port : uint16_t{0};
    };
    return {.http = one(wished.http, held.http), .https = one(wished.https, held.https)};
}

std::string ports_text(const Ports& wished, const Ports& held) {
    const auto list = [](uint16_t first, uint16_t second) {
        if (first && second) return concat("ports ", first, " and ", second);
        return first || second ? concat("port ", first ? first : second) : std::string{};
    };
    const auto had = list(held.http, held.https);
    const auto lost = list(held.http ? 0 : wished.http, held.https ? 0 : wished.https);
    if (lost.empty()) return had;
    const bool both = lost.starts_with("ports");
    return concat(had, had.empty() ? "" : "; ", lost, both ? " are" : " is",
                  " in use by another program");
}

}   // namespace skiff::ingress
