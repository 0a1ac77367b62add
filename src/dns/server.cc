#include "dns/server.h"

#include <array>
#include <atomic>
#include <cerrno>
#include <set>
#include <utility>

#include <netinet/in.h>
#include <sys/socket.h>

#include "base/text.h"
#include "client/informer.h"

namespace skiff::dns {
namespace {

constexpr size_t datagrams_at_once = 64;   // then others on the loop have their turn
constexpr size_t connections_max = 256;
constexpr Duration idle_time_max = std::chrono::seconds{10};
constexpr size_t message_bytes_max = 65535;
constexpr size_t query_bytes_max = 4096;
constexpr size_t early_max = 1000;
constexpr Duration early_time_max = std::chrono::seconds{2};   // clients wait five
constexpr uint16_t type_ixfr = 251;
constexpr uint16_t type_axfr = 252;

Answer failure(Code code) { return {.code = code, .authoritative = false}; }

}   // namespace

// A client's TCP connection: one message after the other, each with its length before it.
struct Connection {
    Fd socket;
    std::unique_ptr<net::Loop::Watch> watch;
    TimerId timer = TimerId::None;
    std::string in;
    std::string out;
    size_t asked = 0;   // questions that are not answered yet
};

struct Server::State : std::enable_shared_from_this<State> {
    State(ServerOptions options, Random& chance, net::Loop& its_loop)
        : loop{its_loop},
          random{chance},
          zone{std::move(options.zone)},
          forwarder{its_loop, chance, std::move(options.resolvers)} {}

    using Reply = std::function<void(std::string)>;
    struct Early {   // asked before the services are known
        std::string bytes;
        bool tcp;
        Reply reply;
    };

    void handle(std::string bytes, bool tcp, const Reply& reply) {
        auto received = parse_query(bytes);
        if (received.refusal) return reply(encode_refusal(bytes, *received.refusal));
        if (!received.query) return;
        const Query query = *std::move(received.query);
        const size_t room = tcp ? message_bytes_max : query.udp_bytes;
        const auto send = [&](const Answer& answer) { reply(encode(query, answer, room)); };
        const auto type = static_cast<uint16_t>(query.question.type);
        if (query.question.klass != class_internet || type == type_axfr || type == type_ixfr)
            return send(failure(Code::Refused));
        if (!synced && zone.owns(query.question.name)) {
            if (early.size() >= early_max || late) return send(failure(Code::ServerFailure));
            return wait_until_synced({std::move(bytes), tcp, reply});
        }
        auto found = zone.find(query.question, turn++);
        if (!found) return forward(query, std::move(bytes), tcp, room, reply);
        if (found->alias.empty()) return send(found->answer);
        resolve_alias(query, *std::move(found), room, reply);
    }

    // A server that has just started answers in a moment: who asks meanwhile waits that long.
    void wait_until_synced(Early question) {
        early.push_back(std::move(question));
        if (early.size() > 1) return;
        loop.after(early_time_max, [weak = weak_from_this()] {
            const auto self = weak.lock();
            if (!self || self->synced) return;
            self->late = true;
            self->answer_early();
        });
    }

    void answer_early() {
        for (auto& one : std::exchange(early, {})) handle(std::move(one.bytes), one.tcp, one.reply);
    }

    void forward(const Query& query, std::string bytes, bool tcp, size_t room, const Reply& reply) {
        forwarder.ask(query, std::move(bytes), tcp,
                      [query, room, reply](std::optional<std::string> answer) {
                          if (answer) return reply(std::move(*answer));
                          reply(encode(query, failure(Code::ServerFailure), room));
                      });
    }

    // Clients follow no aliases themselves: what stands behind one belongs into the answer.
    void resolve_alias(const Query& query, Zone::Reply found, size_t room, const Reply& reply) {
        const Question question{.name = found.alias, .type = query.question.type};
        auto bytes = make_query(question, static_cast<uint16_t>(random.below(65536)));
        auto parsed = parse_query(bytes).query;
        if (!parsed) return reply(encode(query, found.answer, room));
        forwarder.ask(
            *parsed, std::move(bytes), false,
            [query, found = std::move(found), room,
             reply](const std::optional<std::string>& answer) mutable {
                const auto outline = answer ? parse_response(*answer) : std::nullopt;
                if (outline)
                    for (const auto& one : outline->answers)
                        found.answer.answers.push_back(
                            {.name = one.name, .type = one.type, .ttl = one.ttl, .data = one.data});
                reply(encode(query, found.answer, room));
            });
    }

    void read_datagrams() {
        std::array<char, query_bytes_max> buffer;
        for (size_t i = 0; i < datagrams_at_once; ++i) {
            sockaddr_storage from{};
            socklen_t from_size = sizeof from;
            const auto size = ::recvfrom(datagrams.get(), buffer.data(), buffer.size(), 0,
                                         reinterpret_cast<sockaddr*>(&from), &from_size);
            if (size < 0) return;
            handle({buffer.data(), static_cast<size_t>(size)}, false,
                   [weak = weak_from_this(), from, from_size](const std::string& answer) {
                       const auto self = weak.lock();
                       if (self && self->datagrams)
                           ::sendto(self->datagrams.get(), answer.data(), answer.size(),
                                    MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&from),
                                    from_size);
                   });
        }
    }

    void accept_connections() {
        for (;;) {
            Fd socket{::accept4(listener.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)};
            if (!socket) return;
            if (connections.size() >= connections_max) continue;   // closed at once
            auto connection = std::make_shared<Connection>();
            connection->socket = std::move(socket);
            const std::weak_ptr<Connection> weak = connection;
            connection->watch = loop.watch(connection->socket.get(), net::Loop::Readable,
                                           [this, weak](unsigned events) {
                                               if (const auto held = weak.lock())
                                                   serve(held, events);
                                           });
            connections.insert(connection);
            wait_for(connection);
        }
    }

    void wait_for(const std::shared_ptr<Connection>& connection) {
        if (connection->timer != TimerId::None) loop.cancel(connection->timer);
        connection->timer = loop.after(
            idle_time_max, [self = weak_from_this(), weak = std::weak_ptr<Connection>{connection}] {
                const auto state = self.lock();
                const auto held = weak.lock();
                if (!state || !held) return;
                held->timer = TimerId::None;
                state->close(held);
            });
    }

    void close(const std::shared_ptr<Connection>& connection) {
        if (connection->timer != TimerId::None)
            loop.cancel(std::exchange(connection->timer, TimerId::None));
        connection->watch.reset();
        connections.erase(connection);
    }

    void serve(const std::shared_ptr<Connection>& connection, unsigned events) {
        if (events & net::Loop::Writable) flush(connection);
        if (!connection->watch || !(events & (net::Loop::Readable | net::Loop::HangUp))) return;
        std::array<char, 4096> buffer;
        const auto size = ::recv(connection->socket.get(), buffer.data(), buffer.size(), 0);
        if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
        if (size <= 0) return close(connection);
        connection->in.append(buffer.data(), static_cast<size_t>(size));
        wait_for(connection);
        take_messages(connection);
    }

    void take_messages(const std::shared_ptr<Connection>& connection) {
        auto& in = connection->in;
        while (in.size() >= 2 && connection->watch) {
            const size_t size =
                size_t{static_cast<uint8_t>(in[0])} << 8 | static_cast<uint8_t>(in[1]);
            if (in.size() < size + 2) return;
            auto message = in.substr(2, size);
            in.erase(0, size + 2);
            handle(std::move(message), true,
                   [self = weak_from_this(),
                    weak = std::weak_ptr<Connection>{connection}](const std::string& answer) {
                       const auto state = self.lock();
                       const auto held = weak.lock();
                       if (!state || !held || !held->watch || answer.size() > message_bytes_max)
                           return;
                       held->out += static_cast<char>(answer.size() >> 8);
                       held->out += static_cast<char>(answer.size());
                       held->out += answer;
                       state->flush(held);
                   });
        }
    }

    void flush(const std::shared_ptr<Connection>& connection) {
        auto& out = connection->out;
        while (!out.empty()) {
            const auto sent =
                ::send(connection->socket.get(), out.data(), out.size(), MSG_NOSIGNAL);
            if (sent < 0 && errno == EINTR) continue;
            if (sent < 0 && errno == EAGAIN) break;
            if (sent < 0) return close(connection);
            out.erase(0, static_cast<size_t>(sent));
        }
        // Who does not read its answers asks no more questions either.
        if (connection->watch)
            connection->watch->want(out.empty() ? net::Loop::Readable : net::Loop::Writable);
    }

    void end() {
        while (!connections.empty()) close(*connections.begin());
        udp_watch.reset();
        tcp_watch.reset();
        datagrams.reset();
        listener.reset();
    }

    net::Loop& loop;
    Random& random;
    Zone zone;
    Forwarder forwarder;
    bool synced = false;
    bool late = false;   // the services were not known in time
    std::vector<Early> early;
    uint16_t turn = 0;
    Fd datagrams;
    Fd listener;
    std::unique_ptr<net::Loop::Watch> udp_watch;
    std::unique_ptr<net::Loop::Watch> tcp_watch;
    std::set<std::shared_ptr<Connection>> connections;
};

// What the API says, brought to the loop change by change.
class Server::Follow {
  public:
    Follow(Server& server, Executor& executor, Random& random, client::Transport& transport)
        : server_{server},
          services_{executor, random, transport},
          slices_{executor, random, transport} {
        services_.on_change([this](const auto& old, const auto& now) {
            server_.change([old, now](Zone& zone) {
                if (now)
                    zone.put(*now);
                else
                    zone.remove(*old);
            });
        });
        slices_.on_change([this](const auto& old, const auto& now) {
            server_.change([old, now](Zone& zone) {
                if (old && (!now || !(old->metadata.labels == now->metadata.labels)))
                    zone.remove(*old);
                if (now) zone.put(*now);
            });
        });
        // The handlers of the first lists have posted their changes before these are called.
        const auto one = [this] {
            if (++synced_ == 2) server_.set_synced();
        };
        services_.on_synced(one);
        slices_.on_synced(one);
        services_.start();
        slices_.start();
    }
    ~Follow() {
        services_.stop();
        slices_.stop();
    }

  private:
    Server& server_;
    std::atomic<int> synced_ = 0;
    client::Informer<view::Service> services_;
    client::Informer<view::EndpointSlice> slices_;
};

Server::Server(ServerOptions options, Executor& executor, Random& random, net::Loop& loop)
    : state_{std::make_shared<State>(std::move(options), random, loop)},
      executor_{executor},
      random_{random} {}

Server::~Server() {
    follow_.reset();
    const auto ended = executor_.make_waiter();
    auto& loop = state_->loop;
    loop.post([state = std::move(state_), ended]() mutable {
        state->end();
        state.reset();
        ended->notify();
    });
    ended->wait();
}

void Server::listen(Fd udp, Fd tcp) {
    auto sockets = std::make_shared<std::pair<Fd, Fd>>(std::move(udp), std::move(tcp));
    state_->loop.post([state = state_, sockets] {
        state->datagrams = std::move(sockets->first);
        state->listener = std::move(sockets->second);
        auto& loop = state->loop;
        state->udp_watch = loop.watch(state->datagrams.get(), net::Loop::Readable,
                                      [self = state.get()](unsigned) { self->read_datagrams(); });
        state->tcp_watch =
            loop.watch(state->listener.get(), net::Loop::Readable,
                       [self = state.get()](unsigned) { self->accept_connections(); });
    });
}

void Server::follow(client::Transport& transport) {
    follow_ = std::make_unique<Follow>(*this, executor_, random_, transport);
}

void Server::answer(std::string bytes, bool tcp, std::function<void(std::string)> reply) {
    state_->loop.post(
        [state = state_, bytes = std::move(bytes), tcp, reply = std::move(reply)]() mutable {
            state->handle(std::move(bytes), tcp, reply);
        });
}

void Server::change(std::function<void(Zone& zone)> change) {
    state_->loop.post([state = state_, change = std::move(change)] { change(state->zone); });
}

void Server::set_synced() {
    state_->loop.post([state = state_] {
        state->synced = true;
        state->answer_early();
    });
}

}   // namespace skiff::dns
