// What the two server protocols share: the hub of a loop, the connection as a Responder sees it,
// and a response body on its way out. Everything here lives on the hub's loop.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "net/channel.h"
#include "net/http.h"
#include "net/server.h"

namespace skiff::net {

class Connection;

// The server's part on one loop. Connections own a share of it, so that it outlives the server
// for as long as one of them is still on the stack.
struct Hub {
    Hub(Loop& on, Handler to, ServerOptions with)
        : loop{on}, handler{std::move(to)}, options{with} {}
    Loop& loop;
    const Handler handler;
    const ServerOptions options;
    bool draining = false;
    std::unordered_map<Connection*, std::shared_ptr<Connection>> connections;
    // Every open channel, also those that were upgraded or only linger.
    std::unordered_map<Channel*, std::weak_ptr<Channel>> channels;

    void adopt(std::shared_ptr<Connection> connection);
    void release(Connection* connection) { connections.erase(connection); }
    std::string_view date();   // RFC 9110 date of now, made once a second

  private:
    int64_t date_second_ = -1;
    std::string date_;
};

class Connection : public Channel::User, public std::enable_shared_from_this<Connection> {
  public:
    using Take = std::function<void(std::unique_ptr<RawStream>)>;
    virtual ~Connection() = default;
    // `exchange` names a request of this connection; one that is over is ignored.
    virtual void answer(uint32_t exchange, Response response) = 0;
    virtual void upgrade(uint32_t exchange, Headers headers, Take take) = 0;
    virtual void watch_gone(uint32_t exchange, std::function<void()> gone) = 0;
    virtual void wake(uint32_t exchange) = 0;
    virtual void drain() = 0;
    virtual void cut() = 0;                           // tells whoever waits and closes
    virtual void begin(std::string_view early) = 0;   // `early` was read before it got the channel
};

std::shared_ptr<Connection> make_http1_connection(std::shared_ptr<Hub> hub,
                                                  std::shared_ptr<Channel> channel,
                                                  std::shared_ptr<const Peer> peer);
std::shared_ptr<Connection> make_http2_connection(std::shared_ptr<Hub> hub,
                                                  std::shared_ptr<Channel> channel,
                                                  std::shared_ptr<const Peer> peer);

std::shared_ptr<Responder> make_responder(Loop& loop, std::weak_ptr<Connection> connection,
                                          uint32_t exchange);
// What a BodySource calls; any thread, any number of times, at most one visit of the loop each.
std::function<void()> make_wake(Loop& loop, std::weak_ptr<Connection> connection,
                                uint32_t exchange);

// A response body on its way out: slices that are there, then what the source gives.
class OutgoingBody {
  public:
    using State = BodySource::State;
    OutgoingBody() = default;
    OutgoingBody(std::vector<Slice> slices, std::shared_ptr<BodySource> source);

    // Asks the source until there are bytes, or it waits or ends. More: there are bytes.
    State fill(size_t want);
    size_t available() const { return available_; }
    bool last() const { return !source_; }   // what is available is all that is left
    void take(char* into, size_t size);      // size <= available()
    void append_to(std::string& out, size_t size);
    bool may_end_early() const { return source_ && source_->may_end_early(); }

  private:
    template <class Use>
    void consume(size_t size, Use use);

    std::vector<Slice> slices_;
    size_t index_ = 0;
    size_t offset_ = 0;
    size_t available_ = 0;
    std::shared_ptr<BodySource> source_;
};

// A deadline that moves with every message: the timer behind it is set anew only when needed.
class Deadline {
  public:
    Deadline(Loop& loop, std::function<void()> passed) : loop_{loop}, passed_{std::move(passed)} {}
    ~Deadline();
    Deadline(const Deadline&) = delete;
    Deadline& operator=(const Deadline&) = delete;
    void set(Duration from_now);
    void clear() { at_ = MonoTime::max(); }
    bool is_set() const { return at_ != MonoTime::max(); }

  private:
    void arm();
    void fire();

    Loop& loop_;
    std::function<void()> passed_;
    MonoTime at_ = MonoTime::max();
    MonoTime timer_at_ = MonoTime::max();
    TimerId timer_ = TimerId::None;
};

}   // namespace skiff::net
