// What the node answers: logs, exec, attach, port-forward and nodes/proxy, passed on byte by byte
// to the agent's port 10250 over TLS with the API server's own client certificate.
#pragma once

#include <memory>

#include "apiserver/registry.h"
#include "net/tls.h"

namespace skiff::apiserver {

class NodeProxy {
  public:
    NodeProxy(Registry& registry, std::shared_ptr<net::TlsContext> client_tls)
        : registry_{registry}, tls_{std::move(client_tls)} {}
    // True when the call was one of these; it is answered then or later.
    bool serve(const CallPtr& call);

  private:
    void stream(const CallPtr& call, std::string host, uint16_t port, std::string target);
    void upgrade(const CallPtr& call, std::string host, uint16_t port, std::string target);
    Result<> to_pod(const CallPtr& call);
    Result<> to_node(const CallPtr& call);

    Registry& registry_;
    std::shared_ptr<net::TlsContext> tls_;
};

}   // namespace skiff::apiserver
