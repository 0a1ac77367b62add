#include "dns/forwarder.h"

#include <array>
#include <cerrno>
#include <set>

#include <sys/socket.h>

#include "base/text.h"
#include "dns/answer_cache.h"
#include "net/listen.h"

namespace skiff::dns {
namespace {

constexpr size_t exchanges_max = 1000;   // at once; more are refused, as CoreDNS does
constexpr Duration try_time = std::chrono::milliseconds{1500};   // all within a client's 5 s
constexpr int tries_max = 3;
constexpr size_t read_bytes_max = 16384;   // more than any datagram that is let ask for

void set_id(std::string& bytes, uint16_t id) {
    bytes[0] = static_cast<char>(id >> 8);
    bytes[1] = static_cast<char>(id);
}

}   // namespace

std::vector<Resolver> resolvers_of(std::string_view resolv_conf) {
    std::vector<Resolver> list;
    for (auto line : split(resolv_conf, '\n')) {
        line = trim(line.substr(0, line.find_first_of("#;")));
        if (!line.starts_with("nameserver")) continue;
        line.remove_prefix(10);
        if (line.empty() || (line.front() != ' ' && line.front() != '\t')) continue;
        list.push_back({.address = std::string{trim(line)}});
    }
    return list;
}

std::string make_query(const Question& question, uint16_t id) {
    std::string bytes(header_bytes, '\0');
    set_id(bytes, id);
    bytes[2] = 1;   // recursion desired
    bytes[5] = 1;   // one question
    bytes += encode_name(question.name);
    for (const auto value : {static_cast<uint16_t>(question.type), question.klass}) {
        bytes += static_cast<char>(value >> 8);
        bytes += static_cast<char>(value);
    }
    return bytes;
}

struct Forwarder::State {
    net::Loop& loop;
    Random& random;
    Resolvers resolvers;
    AnswerCache cache;
    std::set<std::shared_ptr<Exchange>> exchanges;
};

// One question and its tries, each on a socket of its own: a port nobody can guess.
class Forwarder::Exchange : public std::enable_shared_from_this<Forwarder::Exchange> {
  public:
    Exchange(State& state, const Query& query, std::string bytes, bool tcp, Done done)
        : state_{state},
          query_{query},
          bytes_{std::move(bytes)},
          tcp_{tcp},
          done_{std::move(done)},
          resolvers_{state.resolvers()} {}
    ~Exchange() { stop(); }

    void try_next() {
        stop();
        while (tries_ < tries_max && !resolvers_.empty()) {
            const auto& resolver = resolvers_[static_cast<size_t>(tries_) % resolvers_.size()];
            ++tries_;
            if (begin(resolver)) return;
        }
        end(std::nullopt);
    }

  private:
    void stop() {
        if (timer_ != TimerId::None) state_.loop.cancel(std::exchange(timer_, TimerId::None));
        watch_.reset();
        socket_.reset();
    }

    void end(std::optional<std::string> answer) {
        const auto self = shared_from_this();
        stop();
        state_.exchanges.erase(self);
        const auto done = std::exchange(done_, nullptr);
        if (done) done(std::move(answer));
    }

    bool begin(const Resolver& resolver) {
        auto socket = tcp_ ? net::begin_connect_tcp(resolver.address, resolver.port)
                           : net::connect_udp(resolver.address, resolver.port);
        if (!socket) return false;
        socket_ = *std::move(socket);
        id_ = static_cast<uint16_t>(state_.random.below(65536));
        out_ = bytes_;
        set_id(out_, id_);
        in_.clear();
        if (tcp_) {
            const auto size = static_cast<uint16_t>(out_.size());
            out_.insert(0, {static_cast<char>(size >> 8), static_cast<char>(size)});
        } else if (::send(socket_.get(), out_.data(), out_.size(), MSG_NOSIGNAL) < 0) {
            return false;
        }
        watch_ = state_.loop.watch(socket_.get(), tcp_ ? net::Loop::Writable : net::Loop::Readable,
                                   [this](unsigned) { ready(); });
        timer_ = state_.loop.after(try_time, [weak = weak_from_this()] {
            if (const auto self = weak.lock()) {
                self->timer_ = TimerId::None;
                self->try_next();
            }
        });
        return true;
    }

    void ready() {
        const auto self = shared_from_this();
        if (tcp_ && !out_.empty()) return send_rest();
        std::array<char, read_bytes_max> buffer;
        const auto size = ::recv(socket_.get(), buffer.data(), buffer.size(), 0);
        if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
        if (size < 0 || (tcp_ && size == 0)) return try_next();
        const std::string_view bytes{buffer.data(), static_cast<size_t>(size)};
        if (!tcp_) return take(bytes);
        in_ += bytes;
        if (in_.size() < 2) return;
        const size_t wanted =
            size_t{static_cast<uint8_t>(in_[0])} << 8 | static_cast<uint8_t>(in_[1]);
        if (in_.size() >= wanted + 2) take(std::string_view{in_}.substr(2, wanted));
    }

    void send_rest() {
        const auto sent = ::send(socket_.get(), out_.data(), out_.size(), MSG_NOSIGNAL);
        if (sent < 0 && (errno == EAGAIN || errno == EINTR)) return;
        if (sent < 0) return try_next();
        out_.erase(0, static_cast<size_t>(sent));
        if (out_.empty()) watch_->want(net::Loop::Readable);
    }

    // What does not belong to the question was not sent by whom we asked: go on waiting.
    void take(std::string_view bytes) {
        const auto outline = parse_response(bytes);
        if (!outline || outline->id != id_ || outline->question.name != query_.question.name ||
            outline->question.type != query_.question.type)
            return;
        if (outline->code == Code::ServerFailure && tries_ < tries_max &&
            static_cast<size_t>(tries_) < resolvers_.size())
            return try_next();
        std::string answer{bytes};
        set_id(answer, query_.id);
        state_.cache.put(query_, bytes_, answer, state_.loop.clock().monotonic());
        end(std::move(answer));
    }

    State& state_;
    const Query query_;
    const std::string bytes_;
    const bool tcp_;
    Done done_;
    const std::vector<Resolver> resolvers_;
    int tries_ = 0;
    uint16_t id_ = 0;
    std::string out_;
    std::string in_;
    Fd socket_;
    std::unique_ptr<net::Loop::Watch> watch_;
    TimerId timer_ = TimerId::None;
};

Forwarder::Forwarder(net::Loop& loop, Random& random, Resolvers resolvers)
    : state_{std::make_shared<State>(
          State{.loop = loop, .random = random, .resolvers = std::move(resolvers)})} {}

Forwarder::~Forwarder() { state_->exchanges.clear(); }

void Forwarder::ask(const Query& query, std::string bytes, bool tcp, Done done) {
    if (auto known = state_->cache.find(query, bytes, state_->loop.clock().monotonic()))
        return done(std::move(known));
    if (state_->exchanges.size() >= exchanges_max) return done(std::nullopt);
    const auto exchange =
        std::make_shared<Exchange>(*state_, query, std::move(bytes), tcp, std::move(done));
    state_->exchanges.insert(exchange);
    exchange->try_next();
}

}   // namespace skiff::dns
