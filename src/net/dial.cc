#include "net/dial.h"

#include <cerrno>
#include <cstring>
#include <thread>
#include <vector>

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/guarded.h"
#include "base/text.h"

namespace skiff::net {
namespace {

struct Address {
    sockaddr_storage storage{};
    socklen_t size = 0;
};

bool add_literal(std::vector<Address>& addresses, const std::string& host, uint16_t port) {
    Address address;
    auto& four = reinterpret_cast<sockaddr_in&>(address.storage);
    auto& six = reinterpret_cast<sockaddr_in6&>(address.storage);
    if (::inet_pton(AF_INET, host.c_str(), &four.sin_addr) == 1) {
        four.sin_family = AF_INET;
        four.sin_port = htons(port);
        address.size = sizeof four;
    } else if (::inet_pton(AF_INET6, host.c_str(), &six.sin6_addr) == 1) {
        six.sin6_family = AF_INET6;
        six.sin6_port = htons(port);
        address.size = sizeof six;
    } else {
        return false;
    }
    addresses.push_back(address);
    return true;
}

Result<std::vector<Address>> look_up(const std::string& host, uint16_t port) {
    const addrinfo hints{.ai_flags = AI_ADDRCONFIG, .ai_socktype = SOCK_STREAM};
    addrinfo* found = nullptr;
    const int problem = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
    if (problem)
        return fail(Reason::ServiceUnavailable,
                    concat("look up ", host, ": ", ::gai_strerror(problem)));
    std::vector<Address> addresses;
    for (const auto* at = found; at; at = at->ai_next) {
        Address address;
        std::memcpy(&address.storage, at->ai_addr, at->ai_addrlen);
        address.size = at->ai_addrlen;
        addresses.push_back(address);
    }
    ::freeaddrinfo(found);
    return addresses;
}

class Dialer final : public Dial, public std::enable_shared_from_this<Dialer> {
  public:
    Dialer(Loop& loop, DialTarget target, std::function<void(Result<Fd>)> done)
        : loop_{loop}, target_{std::move(target)}, done_{std::move(done)} {}
    ~Dialer() override {
        if (timer_ != TimerId::None) loop_.cancel(timer_);
        if (bridge_) bridge_->use([](Loop*& loop) { loop = nullptr; });
    }
    Dialer(const Dialer&) = delete;
    Dialer& operator=(const Dialer&) = delete;

    void start(Duration timeout) {
        timer_ = loop_.after(timeout, [weak = weak_from_this()] {
            const auto self = weak.lock();
            if (!self) return;
            self->timer_ = TimerId::None;
            self->finish(fail(Reason::ServiceUnavailable,
                              concat("connect to ", self->target_.text(), ": no answer in time")));
        });
        loop_.post([weak = weak_from_this()] {
            if (const auto self = weak.lock()) self->find_addresses();
        });
    }

  private:
    void find_addresses() {
        if (!target_.unix_path.empty()) {
            Address address;
            auto& path = reinterpret_cast<sockaddr_un&>(address.storage);
            path.sun_family = AF_UNIX;
            if (target_.unix_path.size() >= sizeof path.sun_path)
                return finish(fail(Reason::Invalid,
                                   concat("socket path '", target_.unix_path, "' is too long")));
            std::memcpy(path.sun_path, target_.unix_path.c_str(), target_.unix_path.size() + 1);
            address.size = sizeof path;
            addresses_.push_back(address);
        } else if (target_.host == "localhost") {
            add_literal(addresses_, "127.0.0.1", target_.port);
            add_literal(addresses_, "::1", target_.port);
        } else if (!add_literal(addresses_, target_.host, target_.port)) {
            return look_up_apart();
        }
        connect_next();
    }

    // getaddrinfo blocks for as long as the resolver likes. Its thread reaches the loop through
    // the bridge only, which is cut when nobody waits for the answer any more.
    void look_up_apart() {
        bridge_ = std::make_shared<Bridge>(&loop_);
        std::thread{[bridge = bridge_, weak = weak_from_this(), host = target_.host,
                     port = target_.port] {
            auto found = look_up(host, port);
            bridge->use([&](Loop*& loop) {
                if (!loop) return;
                loop->post([weak, found = std::move(found)]() mutable {
                    if (const auto self = weak.lock()) self->found(std::move(found));
                });
            });
        }}.detach();
    }

    void found(Result<std::vector<Address>> addresses) {
        if (!addresses) return finish(std::unexpected{std::move(addresses).error()});
        addresses_ = *std::move(addresses);
        connect_next();
    }

    void connect_next() {
        watch_.reset();
        fd_.reset();
        if (next_ == addresses_.size())
            return finish(fail_errno(concat("connect to ", target_.text()), problem_,
                                     Reason::ServiceUnavailable));
        const auto& address = addresses_[next_++];
        fd_ =
            Fd{::socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
        if (!fd_) {
            problem_ = errno;
            return connect_next();
        }
        if (::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&address.storage),
                      address.size) == 0)
            return connected();
        problem_ = errno;
        // A unix socket whose queue is full says EAGAIN: nobody will tell when to try again.
        if (problem_ != EINPROGRESS) return connect_next();
        watch_ = loop_.watch(fd_.get(), Loop::Writable, [this](unsigned) {
            const auto self = shared_from_this();
            socklen_t size = sizeof problem_;
            ::getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &problem_, &size);
            if (problem_) {
                connect_next();
            } else {
                connected();
            }
        });
    }

    void connected() {
        watch_.reset();
        if (target_.unix_path.empty()) {
            const int on = 1;
            ::setsockopt(fd_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
            ::setsockopt(fd_.get(), SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
        }
        finish(std::move(fd_));
    }

    void finish(Result<Fd> result) {
        const auto self = shared_from_this();
        watch_.reset();
        if (timer_ != TimerId::None) loop_.cancel(std::exchange(timer_, TimerId::None));
        if (const auto done = std::exchange(done_, nullptr)) done(std::move(result));
    }

    using Bridge = Guarded<Loop*>;

    Loop& loop_;
    const DialTarget target_;
    std::function<void(Result<Fd>)> done_;
    std::vector<Address> addresses_;
    size_t next_ = 0;
    int problem_ = 0;
    Fd fd_;
    std::unique_ptr<Loop::Watch> watch_;
    TimerId timer_ = TimerId::None;
    std::shared_ptr<Bridge> bridge_;
};

}   // namespace

std::string DialTarget::text() const {
    if (!unix_path.empty()) return unix_path;
    if (host.find(':') != std::string::npos) return concat('[', host, "]:", port);
    return concat(host, ':', port);
}

std::shared_ptr<Dial> dial(Loop& loop, const DialTarget& target, Duration timeout,
                           std::function<void(Result<Fd>)> done) {
    auto dialer = std::make_shared<Dialer>(loop, target, std::move(done));
    dialer->start(timeout);
    return dialer;
}

}   // namespace skiff::net
