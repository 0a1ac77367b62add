// The server on real sockets of the loopback; another of its kind plays the host's resolver.
#include "dns/server.h"

#include <gtest/gtest.h>

#include <array>
#include <set>

#include <arpa/inet.h>
#include <sys/socket.h>

#include "api/view_testing.h"
#include "base/text.h"
#include "net/listen.h"

namespace skiff::dns {
namespace {

using api::of;

constexpr const char* here = "127.0.0.1";

// A server with sockets on free ports of the loopback.
struct Running {
    Running(std::string domain, Forwarder::Resolvers resolvers)
        : server{{.zone = {.domain = std::move(domain), .own_address = 1, .ranges = {}},
                  .resolvers = std::move(resolvers)},
                 *executor,
                 os_random(),
                 thread.loop()} {
        for (int i = 0; i < 100 && port == 0; ++i) {
            auto udp = net::listen_udp(here, 0);
            const auto chosen = net::port_of(*udp);
            auto tcp = net::listen_tcp(here, *chosen);
            if (!tcp) continue;
            port = *chosen;
            server.listen(std::move(*udp), std::move(*tcp));
        }
        EXPECT_NE(port, 0);
        server.set_synced();
    }
    // In force when it returns.
    void change(const std::function<void(Zone& zone)>& change) {
        const auto done = executor->make_waiter();
        server.change([&](Zone& zone) {
            change(zone);
            done->notify();
        });
        done->wait();
    }
    Resolver resolver() const { return {.address = here, .port = port}; }

    uint16_t port = 0;
    std::unique_ptr<Executor> executor = make_thread_pool(os_clock());
    net::LoopThread thread{os_clock(), "dns-test"};
    Server server;
};

class Client {
  public:
    Client(uint16_t port, int type)
        : tcp_{type == SOCK_STREAM}, fd_{::socket(AF_INET, type | SOCK_CLOEXEC, 0)} {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(port);
        inet_pton(AF_INET, here, &address.sin_addr);
        const timeval patience{.tv_sec = 10, .tv_usec = 0};
        setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        const int bytes = 4 << 20;
        setsockopt(fd_.get(), SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
        EXPECT_EQ(::connect(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    }
    void send(std::string bytes) {
        if (tcp_)
            bytes.insert(0,
                         {static_cast<char>(bytes.size() >> 8), static_cast<char>(bytes.size())});
        EXPECT_EQ(::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL),
                  static_cast<ssize_t>(bytes.size()));
    }
    std::string receive() {   // "" when nothing came
        std::array<char, 65535> buffer;
        if (!tcp_) {
            const auto size = ::recv(fd_.get(), buffer.data(), buffer.size(), 0);
            return size < 0 ? "" : std::string{buffer.data(), static_cast<size_t>(size)};
        }
        while (in_.size() < 2 || in_.size() < 2 + length()) {
            const auto size = ::recv(fd_.get(), buffer.data(), buffer.size(), 0);
            if (size <= 0) return "";
            in_.append(buffer.data(), static_cast<size_t>(size));
        }
        auto message = in_.substr(2, length());
        in_.erase(0, 2 + message.size());
        return message;
    }
    std::optional<Outline> ask(std::string_view name, Type type = Type::A) {
        send(make_query({.name = std::string{name}, .type = type}, 7));
        return parse_response(receive());
    }

  private:
    size_t length() const {
        return size_t{static_cast<uint8_t>(in_[0])} << 8 | static_cast<uint8_t>(in_[1]);
    }
    bool tcp_;
    Fd fd_;
    std::string in_;
};

std::string first_address(const std::optional<Outline>& answer) {
    if (!answer) return "no answer";
    for (const auto& one : answer->answers)
        if (one.type == Type::A) {
            uint32_t address = 0;
            for (const char c : one.data) address = address << 8 | static_cast<uint8_t>(c);
            return ipv4_text(address);
        }
    return concat("code ", static_cast<int>(answer->code));
}

TEST(DnsServer, it_answers_over_both_and_asks_others_for_what_is_not_ours) {
    Running upstream{"example.com", [] { return std::vector<Resolver>{}; }};
    Running cluster{"cluster.local", [&] { return std::vector{upstream.resolver()}; }};
    cluster.change([](Zone& zone) {
        zone.put(of<view::Service>(
            R"({"metadata":{"name":"web","namespace":"default"},"spec":{"clusterIP":"10.96.0.7"}})"));
        zone.put(of<view::Service>(
            R"({"metadata":{"name":"out","namespace":"default"},"spec":{"type":"ExternalName","externalName":"1-2-3-4.x.pod.example.com"}})"));
    });
    for (const int type : {SOCK_DGRAM, SOCK_STREAM}) {
        Client client{cluster.port, type};
        EXPECT_EQ(first_address(client.ask("web.default.svc.cluster.local")), "10.96.0.7");
        EXPECT_EQ(first_address(client.ask("none.default.svc.cluster.local")), "code 3");
        EXPECT_EQ(first_address(client.ask("5-6-7-8.x.pod.example.com")), "5.6.7.8");
        EXPECT_EQ(first_address(client.ask("5-6-7-8.x.pod.Example.com")), "5.6.7.8");
        EXPECT_EQ(first_address(client.ask("none.example.com")), "code 3");
        EXPECT_EQ(first_address(client.ask("out.default.svc.cluster.local")), "1.2.3.4");
        EXPECT_EQ(first_address(client.ask("elsewhere.test")), "code 2");   // nobody to ask
    }
    // A change shows at once.
    cluster.change([](Zone& zone) {
        zone.put(of<view::Service>(
            R"({"metadata":{"name":"web","namespace":"default"},"spec":{"clusterIP":"10.96.0.8"}})"));
    });
    Client client{cluster.port, SOCK_DGRAM};
    EXPECT_EQ(first_address(client.ask("web.default.svc.cluster.local")), "10.96.0.8");
}

TEST(DnsServer, a_resolver_that_is_silent_is_followed_by_the_next) {
    const auto silent = net::listen_udp(here, 0);
    const auto silent_port = *net::port_of(*silent);
    Running upstream{"example.com", [] { return std::vector<Resolver>{}; }};
    Running cluster{"cluster.local", [&] {
                        return std::vector<Resolver>{{.address = here, .port = silent_port},
                                                     {.address = "::1", .port = 1},
                                                     upstream.resolver()};
                    }};
    Client client{cluster.port, SOCK_DGRAM};
    EXPECT_EQ(first_address(client.ask("5-6-7-8.x.pod.example.com")), "5.6.7.8");
}

TEST(DnsServer, until_the_services_are_known_nothing_is_denied) {
    std::unique_ptr<Executor> executor = make_thread_pool(os_clock());
    net::LoopThread thread{os_clock(), "dns-test"};
    Server server{{.zone = {}, .resolvers = [] { return std::vector<Resolver>{}; }},
                  *executor,
                  os_random(),
                  thread.loop()};
    const auto ask = [&] {
        std::string answer;
        const auto waiter = executor->make_waiter();
        server.answer(make_query({.name = "none.default.svc.cluster.local", .type = Type::A}, 7),
                      false, [&](std::string bytes) {
                          answer = std::move(bytes);
                          waiter->notify();
                      });
        waiter->wait();
        return parse_response(answer)->code;
    };
    EXPECT_EQ(ask(), Code::ServerFailure);   // after a while
    EXPECT_EQ(ask(), Code::ServerFailure);   // at once
    server.set_synced();
    EXPECT_EQ(ask(), Code::NameError);
}

TEST(DnsServer, who_asks_a_server_that_just_started_waits_a_moment) {
    std::unique_ptr<Executor> executor = make_thread_pool(os_clock());
    net::LoopThread thread{os_clock(), "dns-test"};
    Server server{{.zone = {}, .resolvers = [] { return std::vector<Resolver>{}; }},
                  *executor,
                  os_random(),
                  thread.loop()};
    std::string answer;
    const auto waiter = executor->make_waiter();
    server.answer(make_query({.name = "none.default.svc.cluster.local", .type = Type::A}, 7), false,
                  [&](std::string bytes) {
                      answer = std::move(bytes);
                      waiter->notify();
                  });
    server.set_synced();
    waiter->wait();
    EXPECT_EQ(parse_response(answer)->code, Code::NameError);
}

// Malformed ones among them change nothing for the rest.
TEST(DnsServer, many_questions_with_malformed_ones_among_them_are_all_answered) {
    Running cluster{"cluster.local", [] { return std::vector<Resolver>{}; }};
    cluster.change([](Zone& zone) {
        for (int i = 0; i < 100; ++i)
            zone.put(of<view::Service>(
                concat(R"({"metadata":{"name":"s)", i,
                       R"(","namespace":"default"},"spec":{"clusterIP":"10.96.1.)", i, R"("}})")));
    });
    auto& random = os_random();
    Client client{cluster.port, SOCK_DGRAM};
    constexpr int questions = 3000;
    constexpr int at_once = 50;
    int right = 0;
    const MonoTime began = os_clock().monotonic();
    for (int first = 0; first < questions; first += at_once) {
        for (int i = first; i < first + at_once; ++i) {
            const auto good = make_query(
                {.name = concat("s", i % 100, ".default.svc.cluster.local"), .type = Type::A},
                static_cast<uint16_t>(i));
            auto bad = good.substr(0, header_bytes + random.below(good.size() - header_bytes));
            bad[2] |= '\x80';   // so that it gets no answer
            for (int change = 0; change < 4; ++change)
                bad[3 + random.below(bad.size() - 3)] = static_cast<char>(random.below(256));
            client.send(std::move(bad));
            client.send(good);
        }
        std::set<uint16_t> wanted;
        for (int i = first; i < first + at_once; ++i) wanted.insert(static_cast<uint16_t>(i));
        for (int i = 0; i < at_once; ++i) {
            const auto answer = parse_response(client.receive());
            if (!answer) continue;
            right += wanted.erase(answer->id) == 1 &&
                     first_address(answer) == concat("10.96.1.", answer->id % 100);
        }
    }
    EXPECT_EQ(right, questions);
    EXPECT_LT(os_clock().monotonic() - began,
              std::chrono::seconds{6});   // 1,000 a second, busy CPU
}

TEST(DnsServer, malformed_streams_end_alone) {
    Running cluster{"cluster.local", [] { return std::vector<Resolver>{}; }};
    Client broken{cluster.port, SOCK_STREAM};
    broken.send(std::string(5, '\xff'));   // no header: no answer
    Client client{cluster.port, SOCK_STREAM};
    for (int i = 0; i < 3; ++i)
        client.send(make_query({.name = "a.cluster.local", .type = Type::A}, 7));
    for (int i = 0; i < 3; ++i) EXPECT_EQ(parse_response(client.receive())->code, Code::NameError);
}

TEST(DnsServer, resolvers_are_read_as_the_host_has_them) {
    const auto list = resolvers_of(
        "# nameserver 1.1.1.1\nnameserver 192.0.2.1\n nameserver\t192.0.2.2 # second\n"
        "nameservers 3.3.3.3\nsearch a b\nnameserver\n");
    EXPECT_EQ(list, (std::vector<Resolver>{{.address = "192.0.2.1"}, {.address = "192.0.2.2"}}));
}

}   // namespace
}   // namespace skiff::dns
