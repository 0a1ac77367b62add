#include "proxy/testing.h"

#include <cerrno>

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/text.h"

namespace skiff::proxy::testing {

namespace {

sockaddr_in socket_address(const std::string& address, uint16_t port) {
    sockaddr_in out{};
    out.sin_family = AF_INET;
    out.sin_port = htons(port);
    inet_pton(AF_INET, address.c_str(), &out.sin_addr);
    return out;
}

Fd own_name_space() { return Fd{::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)}; }

Fd make_socket(Protocol protocol) {
    const int type = protocol == Protocol::Udp ? SOCK_DGRAM : SOCK_STREAM;
    const int number = protocol == Protocol::Sctp ? IPPROTO_SCTP : 0;
    return Fd{::socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, number)};
}

bool ready(const Fd& fd, short events, int milliseconds) {
    pollfd poll{.fd = fd.get(), .events = events, .revents = 0};
    return ::poll(&poll, 1, milliseconds) == 1;
}

constexpr int patience_ms = 300;

}   // namespace

bool may_make_namespaces() {
    const Fd before = own_name_space();
    if (::unshare(CLONE_NEWNET) != 0) return false;
    ::setns(before.get(), CLONE_NEWNET);
    return true;
}

Inside::Inside(const Fd& name_space) : before_{own_name_space()} {
    EXPECT_EQ(::setns(name_space.get(), CLONE_NEWNET), 0);
}
Inside::~Inside() { ::setns(before_.get(), CLONE_NEWNET); }

Place::Place() {
    const Fd before = own_name_space();
    EXPECT_EQ(::unshare(CLONE_NEWNET), 0);
    name_space_ = own_name_space();
    ::setns(before.get(), CLONE_NEWNET);
    ip("link set lo up");
}

void Place::ip(const std::string& words) const {
    const Inside inside{name_space_};
    std::vector<std::string> command{"ip"};
    for (const auto word : split(words, ' ')) command.emplace_back(word);
    const auto done = run_command(command);
    EXPECT_TRUE(done && done->exit_code == 0) << words << (done ? done->error : "");
}

void Place::set(const std::string& switch_path, const std::string& value) const {
    const Inside inside{name_space_};
    EXPECT_TRUE(write_file(switch_path, value)) << switch_path;
}

Fd Place::listen(const std::string& address, uint16_t port, Protocol protocol) const {
    const Inside inside{name_space_};
    Fd fd = make_socket(protocol);
    const int on = 1;
    ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    const auto here = socket_address(address, port);
    EXPECT_EQ(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&here), sizeof here), 0);
    if (protocol == Protocol::Udp) return fd;
    EXPECT_EQ(::listen(fd.get(), 64), 0);
    return fd;
}

Place::Connected Place::connect(const std::string& address, uint16_t port, Protocol protocol,
                                const std::string& from) const {
    const Inside inside{name_space_};
    Connected out{.socket = make_socket(protocol)};
    if (!from.empty()) {
        const auto here = socket_address(from, 0);
        EXPECT_EQ(::bind(out.socket.get(), reinterpret_cast<const sockaddr*>(&here), sizeof here),
                  0);
    }
    const auto begin = os_clock().monotonic();
    const auto there = socket_address(address, port);
    const auto done =
        ::connect(out.socket.get(), reinterpret_cast<const sockaddr*>(&there), sizeof there);
    if (done != 0 && errno != EINPROGRESS) {
        out.error = errno;
    } else if (done != 0) {
        socklen_t size = sizeof out.error;
        if (!ready(out.socket, POLLOUT, patience_ms))
            out.error = ETIMEDOUT;
        else
            ::getsockopt(out.socket.get(), SOL_SOCKET, SO_ERROR, &out.error, &size);
    }
    out.seconds = std::chrono::duration<double>(os_clock().monotonic() - begin).count();
    return out;
}

std::optional<Came> accept_any(const std::vector<Fd>& listeners) {
    std::vector<pollfd> polls;
    for (const auto& one : listeners) polls.push_back({one.get(), POLLIN, 0});
    if (::poll(polls.data(), polls.size(), patience_ms) <= 0) return std::nullopt;
    for (size_t i = 0; i < polls.size(); ++i) {
        if (polls[i].revents == 0) continue;
        sockaddr_in who{};
        socklen_t size = sizeof who;
        const Fd fd{
            ::accept4(listeners[i].get(), reinterpret_cast<sockaddr*>(&who), &size, SOCK_CLOEXEC)};
        if (fd) return Came{i, address_text(ntohl(who.sin_addr.s_addr))};
    }
    return std::nullopt;
}

std::string receive_from(const Fd& socket, const std::string& answer) {
    if (!ready(socket, POLLIN, patience_ms)) return {};
    char text[256];
    sockaddr_in who{};
    socklen_t size = sizeof who;
    const auto got =
        ::recvfrom(socket.get(), text, sizeof text, 0, reinterpret_cast<sockaddr*>(&who), &size);
    if (got < 0) return {};
    if (!answer.empty())
        ::sendto(socket.get(), answer.data(), answer.size(), 0, reinterpret_cast<sockaddr*>(&who),
                 size);
    return std::string{text, static_cast<size_t>(got)};
}

World::World() {
    node.set("/proc/sys/net/ipv4/ip_forward", "1");
    node.set("/proc/sys/net/ipv4/conf/all/route_localnet", "1");
    node.ip(concat("link add out0 type veth peer name eth0 netns /proc/", ::getpid(), "/fd/",
                   outside.name_space().get()));
    node.ip("addr add 192.168.7.1/24 dev out0");
    node.ip("link set out0 up");
    node.ip("route add default via 192.168.7.2");
    outside.ip("addr add 192.168.7.2/24 dev eth0");
    outside.ip("link set eth0 up");
    outside.ip("route add default via 192.168.7.1");
}

std::string World::address_of(size_t pod) { return concat("10.1.0.", 10 + pod); }

Place& World::add_pod() {
    auto& pod = *pods.emplace_back(std::make_unique<Place>());
    const auto index = pods.size() - 1;
    const auto name = concat("veth", index);
    node.ip(concat("link add ", name, " type veth peer name eth0 netns /proc/", ::getpid(), "/fd/",
                   pod.name_space().get()));
    node.ip(concat("addr add 10.1.0.1/32 dev ", name));
    node.ip(concat("link set ", name, " up"));
    node.ip(concat("route add ", address_of(index), " dev ", name));
    pod.ip(concat("addr add ", address_of(index), "/32 dev eth0"));
    pod.ip("link set eth0 up");
    pod.ip("route add 10.1.0.1 dev eth0");
    pod.ip("route add default via 10.1.0.1");
    return pod;
}

}   // namespace skiff::proxy::testing
