// The node agent: everything of this folder, wired together.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "agent/network_hooks.h"
#include "base/executor.h"
#include "base/os.h"
#include "base/random.h"
#include "client/transport.h"
#include "net/http_client.h"
#include "net/loop.h"

namespace skiff::agent {

struct AgentOptions {
    std::string root;   // all state lies below it
    std::string cluster_id;
    std::string node_name;
    std::vector<std::string> addresses;   // of the machine; the first is the node's InternalIP
    std::string pod_cidr;
    std::map<std::string, std::string> labels;   // of the node, beside the usual ones
    std::string version = "v1.33.0";

    std::string api_host = "127.0.0.1";
    uint16_t api_port = 6443;
    std::string ca_pem;   // the cluster's
    // Asked when there is no certificate yet; "" when there is no token either.
    std::function<std::string()> bootstrap_token;

    std::string runtime_socket;   // containerd's
    // Null: our own containerd, into which the pause image is put.
    bool own_runtime = true;
    Fd listener;   // for the node's port
    std::string log_root = "/var/log";
    std::vector<std::string> cluster_dns;
    std::string cluster_domain = "cluster.local";

    // Told once, when the node has its identity: what else runs in this process begins then. The
    // transport acts as the node and lives as long as the agent.
    std::function<void(client::Transport& transport)> identified;
    NetworkHooks network;
};

class Agent {
  public:
    // The executor wants many threads: one for every container that is being ended. The loop
    // outlives the agent.
    Agent(AgentOptions options, Random& random, Executor& executor, net::Loop& loop);
    ~Agent();

    // Blocks until the node's identity is there and everything has begun; retries what is not
    // there yet (the API, the runtime) as long as it takes or until stop().
    Result<> start();
    void stop();   // any thread

  private:
    class Core;
    std::unique_ptr<Core> core_;
};

}   // namespace skiff::agent
