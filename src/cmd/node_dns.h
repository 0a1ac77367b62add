// The cluster's DNS of this node, which lives in the agent's process: it serves on the service
// network's tenth address, which becomes one more of `lo`.
#pragma once

#include <memory>
#include <string>

#include "base/executor.h"
#include "base/random.h"
#include "client/transport.h"
#include "cmd/cluster.h"
#include "dns/server.h"
#include "net/loop.h"

namespace skiff::cmd {

// "" when the cluster's service range is none of IPv4.
std::string dns_address(const Cluster& cluster);

class NodeDns {
  public:
    NodeDns(const Cluster& cluster, Executor& executor, Random& random);

    // What comes in is answered from now on, on the sockets that somebody holds for us if there are
    // any; tries again as long as the address cannot be had.
    void open(Fd udp, Fd tcp);
    // Once the node has its identity.
    void begin(client::Transport& transport) { server_.follow(transport); }

  private:
    void open();
    Result<> try_open();

    Fd udp_, tcp_;   // given, and not in use yet
    const std::string address_;
    Executor& executor_;
    net::LoopThread loop_;
    dns::Server server_;
};

}   // namespace skiff::cmd
