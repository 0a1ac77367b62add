#include "ingress/listeners.h"

#include <algorithm>
#include <cerrno>
#include <optional>
#include <string_view>

#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/program.h"
#include "base/text.h"

namespace skiff::ingress {
namespace {

constexpr int backlog = 4096;
constexpr std::string_view variable = "NGINX=";

Fd listen_at(bool six, uint16_t port) {
    Fd fd{::socket(six ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
    if (!fd) return {};
    const int on = 1;
    ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in6 address6{};
    sockaddr_in address4{};
    const sockaddr* address = reinterpret_cast<const sockaddr*>(&address4);
    socklen_t size = sizeof address4;
    if (six) {
        ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
        address6.sin6_family = AF_INET6;
        address6.sin6_port = htons(port);
        address = reinterpret_cast<const sockaddr*>(&address6);
        size = sizeof address6;
    } else {
        address4.sin_family = AF_INET;
        address4.sin_port = htons(port);
    }
    if (::bind(fd.get(), address, size) != 0 || ::listen(fd.get(), backlog) != 0) return {};
    return fd;
}

// Of a socket that listens on every address of the machine; nothing of any other.
std::optional<std::pair<bool, uint16_t>> place_of(const Fd& fd) {
    int listens = 0;
    socklen_t size = sizeof listens;
    sockaddr_storage address{};
    socklen_t address_size = sizeof address;
    if (::getsockopt(fd.get(), SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) != 0 || !listens ||
        ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &address_size) != 0)
        return std::nullopt;
    if (address.ss_family == AF_INET)
        return std::pair{false, ntohs(reinterpret_cast<sockaddr_in&>(address).sin_port)};
    if (address.ss_family == AF_INET6)
        return std::pair{true, ntohs(reinterpret_cast<sockaddr_in6&>(address).sin6_port)};
    return std::nullopt;
}

std::vector<int> descriptors_of(pid_t pid) {
    std::vector<int> numbers;
    DIR* folder = ::opendir(concat("/proc/", pid, "/fd").c_str());
    if (!folder) return numbers;
    while (const auto* entry = ::readdir(folder))
        if (const auto number = parse_number<int>(entry->d_name)) numbers.push_back(*number);
    ::closedir(folder);
    return numbers;
}

}   // namespace

std::vector<Listeners::At> Listeners::places(const Listening& wished) {
    std::vector<At> places;
    for (const auto port : wished.ports) {
        places.emplace_back(false, port);
        if (wished.ipv6) places.emplace_back(true, port);
    }
    return places;
}

void Listeners::keep_only(const std::vector<At>& places) {
    std::erase_if(sockets_, [&](const auto& one) {
        return std::ranges::find(places, one.first) == places.end();
    });
}

void Listeners::open(const Listening& wished) {
    const auto wanted = places(wished);
    keep_only(wanted);
    for (const auto& at : wanted)
        if (!sockets_.contains(at))
            if (auto fd = listen_at(at.first, at.second)) sockets_[at] = std::move(fd);
}

void Listeners::follow(const Listening& wished, pid_t nginx) {
    const auto wanted = places(wished);
    keep_only(wanted);
    if (sockets_.size() == wanted.size()) return;
    const Fd process{static_cast<int>(::syscall(SYS_pidfd_open, nginx, 0))};
    for (const int number : descriptors_of(nginx)) {
        Fd copy{static_cast<int>(::syscall(SYS_pidfd_getfd, process.get(), number, 0))};
        const auto at = copy ? place_of(copy) : std::nullopt;
        if (at && std::ranges::find(wanted, *at) != wanted.end() && !sockets_.contains(*at))
            sockets_[*at] = std::move(copy);
    }
}

Result<pid_t> Listeners::run(const std::vector<std::string>& arguments) const {
    const Fd nothing{::open("/dev/null", O_RDWR | O_CLOEXEC)};
    if (!nothing) return fail_errno("open /dev/null", errno);
    ProgramOptions options{.standard = {nothing.get(), nothing.get(), nothing.get()},
                           .kept = {},
                           .environment = {std::string{variable}},
                           .own_session = true};
    for (const auto& [at, fd] : sockets_) {
        options.kept.push_back(fd.get());
        append(options.environment.front(), fd.get(), ";");
    }
    for (char** one = environ; *one; ++one)
        if (!std::string_view{*one}.starts_with(variable)) options.environment.emplace_back(*one);
    return start_program(arguments, options);
}

}   // namespace skiff::ingress
