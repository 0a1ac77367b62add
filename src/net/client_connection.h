// What the client's pool and its connections know of each other. Everything lives on the loop.
#pragma once

#include <memory>
#include <string>

#include "net/channel.h"
#include "net/http_client.h"

namespace skiff::net {

class ClientConnection;

// One exchange, whoever carries it at the moment. The sink is called through this only: never
// after the end, never after the user has let go.
struct Call : std::enable_shared_from_this<Call> {
    explicit Call(Loop& on) : loop{on} {}
    Loop& loop;
    ClientRequest request;
    ExchangeSink sink;
    // Set for upgrades: a 101 comes here and not to the sink.
    std::function<void(const Headers&, std::unique_ptr<RawStream>)> upgraded;
    std::weak_ptr<ClientConnection> connection;
    int32_t stream_id = 0;   // HTTP/2
    int attempts = 0;
    bool paused = false;
    bool head_seen = false;
    bool ended = false;
    TimerId timer = TimerId::None;

    void limit_time();   // starts the timer to the head
    void head(int status, const Headers& headers);
    void data(std::string_view bytes);
    void end(Result<> result);
    void forget();   // the user let go: nothing is called any more
    void stop_timer();
};

class ClientOwner {
  public:
    virtual ~ClientOwner() = default;
    virtual void idle(ClientConnection& connection) = 0;      // has no call and may take one
    virtual void retired(ClientConnection& connection) = 0;   // takes no more calls
    virtual void closed(ClientConnection& connection) = 0;    // may be dropped
    virtual void retry(std::shared_ptr<Call> call) = 0;       // the server has not looked at it
};

class ClientConnection : public Channel::User,
                         public std::enable_shared_from_this<ClientConnection> {
  public:
    virtual ~ClientConnection() = default;
    virtual void begin() = 0;
    virtual bool usable() const = 0;
    virtual void start(std::shared_ptr<Call> call) = 0;
    virtual void cancel(Call& call) = 0;
    virtual void set_paused(Call& call, bool paused) = 0;
    virtual void cut(const Error& problem) = 0;   // ends its calls with it
};

std::shared_ptr<ClientConnection> make_http1_client(std::shared_ptr<Channel> channel,
                                                    std::weak_ptr<ClientOwner> owner,
                                                    std::string authority);
std::shared_ptr<ClientConnection> make_http2_client(std::shared_ptr<Channel> channel,
                                                    std::weak_ptr<ClientOwner> owner,
                                                    std::string authority, bool tls);

}   // namespace skiff::net
