// From an endpoint to an open channel: dials and shakes hands. Loop thread only.
#pragma once

#include <functional>
#include <memory>

#include "net/channel.h"
#include "net/dial.h"
#include "net/http_client.h"

namespace skiff::net {

class Opening final : public Channel::User, public std::enable_shared_from_this<Opening> {
  public:
    using Done = std::function<void(Result<std::shared_ptr<Channel>>)>;

    // `timeout` is for connecting and again for the handshake. `done` is called once, in a later
    // round, with a channel without user; not if this is destroyed before.
    Opening(Loop& loop, Endpoint endpoint, Transport::ClientTls tls);
    ~Opening();
    Opening(const Opening&) = delete;
    Opening& operator=(const Opening&) = delete;
    void start(Duration timeout, Done done);

    void opened() override;
    void received(std::string_view) override {}
    void writable() override {}
    void ended(const Error* problem) override;

  private:
    void dialled(Result<Fd> fd);
    Result<Transport> make_transport(Fd fd);
    void finish(Result<std::shared_ptr<Channel>> result);

    Loop& loop_;
    const Endpoint endpoint_;
    const Transport::ClientTls tls_;
    const DialTarget target_;
    Duration timeout_{};
    Done done_;
    std::shared_ptr<Dial> dial_;
    std::shared_ptr<Channel> channel_;
    TimerId timer_ = TimerId::None;
};

}   // namespace skiff::net
