// The service network of this node, which lives in the agent's process: begins when the node has
// its identity, and has its say when pods begin and end.
#pragma once

#include <atomic>
#include <functional>
#include <memory>

#include "agent/network_hooks.h"
#include "base/executor.h"
#include "base/random.h"
#include "client/transport.h"
#include "cmd/cluster.h"
#include "proxy/policies.h"
#include "proxy/proxy.h"

namespace skiff::cmd {

class NodeNetwork {
  public:
    NodeNetwork(const Cluster& cluster, Executor& executor, Random& random, net::Loop& loop);

    void begin(client::Transport& transport);
    agent::NetworkHooks hooks();
    // Who else waits for a pod's last request; before the agent starts.
    void also_release(std::function<void(const std::string& pod_uid, Duration timeout)> wait) {
        also_release_ = std::move(wait);
    }

  private:
    Result<> make(client::Transport& transport);

    Executor& executor_;
    Random& random_;
    net::Loop& loop_;
    Result<proxy::ServiceRulesOptions> options_;
    std::atomic<proxy::Proxy*> proxy_ = nullptr;   // once it has begun
    std::atomic<proxy::Policies*> policies_ = nullptr;
    std::function<void(const std::string&, Duration)> also_release_;
    std::unique_ptr<proxy::Proxy> own_proxy_;
    std::unique_ptr<proxy::Policies> own_policies_;
};

}   // namespace skiff::cmd
