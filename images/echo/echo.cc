// A very small HTTP server for tests of services and rolling updates: one thread, one static
// program, a few hundred KiB of memory. It must never be anyone's production server.
//
//   /             VERSION and the host's name      /healthz    200 "ok"
//   /client       the caller's address             /echo       the request as it came
//   /slow?ms=N    answers after N milliseconds     /body?bytes=N
//
// PORT (8080), VERSION, DRAIN_SECONDS (2); STATUS and BODY replace what every other path answers.
// On SIGTERM it goes on serving for DRAIN_SECONDS, asking each client to close, and then ends as
// soon as nothing is open; with a negative number it is gone at once. UDP on the same port answers every datagram like "/".
#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <map>
#include <string>
#include <string_view>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

namespace {

constexpr size_t request_bytes_max = 1 << 20;
constexpr size_t body_bytes_max = 64 << 20;

int64_t now_ms() {
    timespec time{};
    clock_gettime(CLOCK_MONOTONIC, &time);
    return int64_t{time.tv_sec} * 1000 + time.tv_nsec / 1'000'000;
}

std::string setting(const char* name, const char* otherwise) {
    const char* value = std::getenv(name);
    return value && *value ? value : otherwise;
}

struct Connection {
    std::string in;
    std::string out;
    size_t sent = 0;
    int64_t answer_at = 0;   // not before then: /slow
    std::string late_answer;
    bool last = false;   // close when all is sent
    std::string peer;
};

class Server {
  public:
    Server()
        : version_{setting("VERSION", "echo")},
          body_{setting("BODY", "")},
          status_{std::atoi(setting("STATUS", "200").c_str())},
          drain_ms_{std::atoll(setting("DRAIN_SECONDS", "2").c_str()) * 1000} {
        char name[256] = {};
        gethostname(name, sizeof name - 1);
        if (body_.empty()) body_ = version_ + " " + name + "\n";
    }

    int run(uint16_t port) {
        poll_ = epoll_create1(EPOLL_CLOEXEC);
        listener_ = open_socket(SOCK_STREAM, port);
        datagrams_ = open_socket(SOCK_DGRAM, port);
        if (listener_ < 0 || listen(listener_, 1024) != 0) {
            std::perror("echo: cannot listen");
            return 1;
        }
        sigset_t signals;
        sigemptyset(&signals);
        sigaddset(&signals, SIGTERM);
        sigaddset(&signals, SIGINT);
        sigprocmask(SIG_BLOCK, &signals, nullptr);
        signals_ = signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
        for (const int fd : {listener_, datagrams_, signals_}) watch(fd, EPOLLIN, EPOLL_CTL_ADD);
        while (!finished()) turn();
        return 0;
    }

  private:
    static int open_socket(int type, uint16_t port) {
        int fd = socket(AF_INET6, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        const int on = 1;
        const int off = 0;
        if (fd >= 0) {
            sockaddr_in6 address{};
            address.sin6_family = AF_INET6;
            address.sin6_port = htons(port);
            setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
            setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
            if (bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) return fd;
            close(fd);
        }
        fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);   // a machine without IPv6
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(port);
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        if (bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) return fd;
        close(fd);
        return -1;
    }

    void watch(int fd, uint32_t events, int how) {
        epoll_event event{};
        event.events = events;
        event.data.fd = fd;
        epoll_ctl(poll_, how, fd, &event);
    }

    bool finished() const {
        if (stop_at_ == 0) return false;
        const bool busy = std::ranges::any_of(connections_, [](const auto& entry) {
            return !entry.second.out.empty() || entry.second.answer_at != 0;
        });
        return now_ms() >= stop_at_ && !busy;
    }

    void turn() {
        epoll_event events[64];
        const int count = epoll_wait(poll_, events, 64, patience());
        for (int i = 0; i < count; ++i) {
            const int fd = events[i].data.fd;
            if (fd == listener_) {
                accept_all();
            } else if (fd == datagrams_) {
                answer_datagrams();
            } else if (fd == signals_) {
                signalfd_siginfo info{};
                if (read(fd, &info, sizeof info) > 0 && stop_at_ == 0) {
                    if (drain_ms_ < 0) _exit(0);
                    stop_at_ = now_ms() + drain_ms_;
                }
            } else {
                serve(fd, events[i].events);
            }
        }
        answer_late();
    }

    // Milliseconds until something is due; -1 for ever.
    int patience() const {
        int64_t due = stop_at_ == 0 ? INT64_MAX : std::max(stop_at_, now_ms() + 1);
        for (const auto& [fd, connection] : connections_) {
            if (late_ > 0 && connection.answer_at != 0) due = std::min(due, connection.answer_at);
        }
        if (due == INT64_MAX) return -1;
        return static_cast<int>(std::clamp<int64_t>(due - now_ms(), 0, 60'000));
    }

    void accept_all() {
        for (;;) {
            sockaddr_storage from{};
            socklen_t length = sizeof from;
            const int fd = accept4(listener_, reinterpret_cast<sockaddr*>(&from), &length,
                                   SOCK_NONBLOCK | SOCK_CLOEXEC);
            if (fd < 0) return;
            const int on = 1;
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
            connections_[fd].peer = shown(from);
            watch(fd, EPOLLIN, EPOLL_CTL_ADD);
        }
    }

    static std::string shown(const sockaddr_storage& from) {
        char text[INET6_ADDRSTRLEN] = {};
        if (from.ss_family == AF_INET6) {
            inet_ntop(AF_INET6, &reinterpret_cast<const sockaddr_in6&>(from).sin6_addr, text,
                      sizeof text);
        } else {
            inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in&>(from).sin_addr, text,
                      sizeof text);
        }
        const std::string_view view = text;
        return std::string{view.starts_with("::ffff:") ? view.substr(7) : view};
    }

    void answer_datagrams() {
        char bytes[2048];
        sockaddr_storage from{};
        socklen_t length = sizeof from;
        while (recvfrom(datagrams_, bytes, sizeof bytes, 0, reinterpret_cast<sockaddr*>(&from),
                        &length) >= 0) {
            sendto(datagrams_, body_.data(), body_.size(), 0, reinterpret_cast<sockaddr*>(&from),
                   length);
            length = sizeof from;
        }
    }

    void serve(int fd, uint32_t events) {
        const auto found = connections_.find(fd);
        if (found == connections_.end()) return;
        Connection& connection = found->second;
        if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
            char bytes[16384];
            for (;;) {
                const ssize_t got = read(fd, bytes, sizeof bytes);
                if (got > 0) {
                    connection.in.append(bytes, static_cast<size_t>(got));
                    if (connection.in.size() > request_bytes_max) return drop(fd);
                    continue;
                }
                if (got == 0 || (errno != EAGAIN && errno != EINTR)) return drop(fd);
                break;
            }
        }
        while (connection.answer_at == 0 && !connection.last && take_request(connection)) {
        }
        flush(fd, connection);
    }

    void flush(int fd, Connection& connection) {
        while (connection.sent < connection.out.size()) {
            const ssize_t put = send(fd, connection.out.data() + connection.sent,
                                     connection.out.size() - connection.sent, MSG_NOSIGNAL);
            if (put < 0) {
                if (errno != EAGAIN) return drop(fd);
                watch(fd, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD);
                return;
            }
            connection.sent += static_cast<size_t>(put);
        }
        if (connection.sent > 0) {
            connection.out.clear();
            connection.sent = 0;
            watch(fd, EPOLLIN, EPOLL_CTL_MOD);
        }
        if (connection.last && connection.answer_at == 0) drop(fd);
    }

    void drop(int fd) {
        const auto found = connections_.find(fd);
        if (found->second.answer_at != 0) --late_;
        connections_.erase(found);
        close(fd);
    }

    static std::string_view header(std::string_view head, std::string_view name) {
        for (size_t at = head.find("\r\n"); at != std::string_view::npos;
             at = head.find("\r\n", at + 2)) {
            const std::string_view line = head.substr(at + 2, head.find("\r\n", at + 2) - at - 2);
            if (line.size() > name.size() && line[name.size()] == ':' &&
                strncasecmp(line.data(), name.data(), name.size()) == 0) {
                std::string_view value = line.substr(name.size() + 1);
                while (value.starts_with(' ')) value.remove_prefix(1);
                return value;
            }
        }
        return {};
    }

    // One whole request off the front of what was read; false if there is none yet.
    bool take_request(Connection& connection) {
        const size_t end = connection.in.find("\r\n\r\n");
        if (end == std::string::npos) return false;
        const std::string_view head = std::string_view{connection.in}.substr(0, end + 2);
        const auto length = static_cast<size_t>(
            std::strtoul(std::string{header(head, "Content-Length")}.c_str(), nullptr, 10));
        if (connection.in.size() < end + 4 + length) return false;
        const std::string request = connection.in.substr(0, end + 4 + length);
        const std::string_view close_word = header(head, "Connection");
        const bool old = head.substr(0, head.find("\r\n")).ends_with("HTTP/1.0");
        connection.last = stop_at_ != 0 || close_word == "close" ||
                          (old && strncasecmp(close_word.data(), "keep-alive",
                                              std::min<size_t>(close_word.size(), 10)) != 0);
        if (old && close_word.empty()) connection.last = true;
        connection.in.erase(0, request.size());
        answer(connection, request);
        return true;
    }

    void answer(Connection& connection, const std::string& request) {
        const size_t begin = request.find(' ') + 1;
        const std::string target = request.substr(begin, request.find(' ', begin) - begin);
        const std::string path = target.substr(0, target.find('?'));
        const size_t equals = target.find('=');
        const long number =
            equals == std::string::npos ? 0 : std::atol(target.c_str() + equals + 1);
        const bool head_only = request.starts_with("HEAD ");
        std::string text = body_;
        int status = status_;
        if (path == "/healthz") {
            text = "ok";
            status = 200;
        } else if (status_ == 200 && path == "/client") {
            text = connection.peer + "\n";
        } else if (status_ == 200 && path == "/echo") {
            text = request;
        } else if (status_ == 200 && path == "/body") {
            text.assign(std::clamp<size_t>(static_cast<size_t>(number), 0, body_bytes_max), 'x');
        }
        const char* words = status == 200 ? "OK" : status == 404 ? "Not Found" : "Status";
        std::string out = "HTTP/1.1 " + std::to_string(status) + " " + words +
                          "\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: " +
                          std::to_string(text.size()) +
                          (connection.last ? "\r\nConnection: close\r\n\r\n" : "\r\n\r\n");
        if (!head_only) out += text;
        if (status_ == 200 && path == "/slow" && number > 0) {
            connection.answer_at = now_ms() + number;
            connection.late_answer = std::move(out);
            ++late_;
        } else {
            connection.out += out;
        }
    }

    void answer_late() {
        if (late_ == 0) return;
        const int64_t now = now_ms();
        for (auto next = connections_.begin(); next != connections_.end();) {
            auto& [fd, connection] = *next++;   // flush may drop it
            if (connection.answer_at == 0 || connection.answer_at > now) continue;
            connection.answer_at = 0;
            --late_;
            connection.out += connection.late_answer;
            flush(fd, connection);
        }
    }

    std::string version_;
    std::string body_;
    int status_;
    int64_t drain_ms_;
    int64_t stop_at_ = 0;   // 0: nobody asked
    int late_ = 0;
    int poll_ = -1;
    int listener_ = -1;
    int datagrams_ = -1;
    int signals_ = -1;
    std::map<int, Connection> connections_;
};

}   // namespace

int main() {
    return Server{}.run(static_cast<uint16_t>(std::atoi(setting("PORT", "8080").c_str())));
}
