// The node's own port, 10250: logs, exec, attach, port-forward and what describes the node, for
// the API server and nobody else.
#pragma once

#include <functional>
#include <memory>

#include "agent/cri.h"
#include "agent/log_stream.h"
#include "agent/pods.h"
#include "net/http.h"

namespace skiff::agent {

// The name in the certificate with which the API server calls nodes.
inline constexpr std::string_view api_server_name = "kube-apiserver-kubelet-client";

struct ServerParts {
    Executor& executor;
    Cri& cri;
    LogFollowers& followers;
    std::function<Pods*()> pods;   // null until the agent has them
    std::function<std::string()> metrics;
    std::string node_name;
};

class AgentServer {
  public:
    explicit AgentServer(ServerParts parts);
    ~AgentServer();
    net::Handler handler();   // must not outlive this

  private:
    class Core;
    std::shared_ptr<Core> core_;
};

// Who may call: Unauthorized without a certificate that verifies, Forbidden for any other name.
Result<> check_caller(const net::Peer& peer);

}   // namespace skiff::agent
