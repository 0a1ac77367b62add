// The cluster's DNS server: UDP and TCP on one address. Names of the cluster are answered from the
// zone, all else by the host's resolvers.
#pragma once

#include <memory>
#include <string>

#include "base/executor.h"
#include "base/os.h"
#include "base/random.h"
#include "client/transport.h"
#include "dns/forwarder.h"
#include "dns/zone.h"
#include "net/loop.h"

namespace skiff::dns {

struct ServerOptions {
    ZoneOptions zone;
    Forwarder::Resolvers resolvers;   // called on the loop's thread
};

class Server {
  public:
    // The loop outlives the server, and so does the executor.
    Server(ServerOptions options, Executor& executor, Random& random, net::Loop& loop);
    ~Server();   // not on the loop's thread

    // The sockets: of each kind one, on the same port. Any thread.
    void listen(Fd udp, Fd tcp);
    // Follows services and endpoints; until they are known, questions about them wait a while, and
    // then get SERVFAIL.
    void follow(client::Transport& transport);

    // For tests: what a query (bytes) is answered; asynchronously where it is forwarded.
    void answer(std::string bytes, bool tcp, std::function<void(std::string)> reply);
    // For tests: changes the zone, on the loop's thread.
    void change(std::function<void(Zone& zone)> change);
    void set_synced();

  private:
    struct State;
    class Follow;
    std::shared_ptr<State> state_;
    std::unique_ptr<Follow> follow_;
    Executor& executor_;
    Random& random_;
};

}   // namespace skiff::dns
