// What others answer: logs, exec, attach, port-forward and nodes/proxy, passed on byte by byte to
// the agent's port 10250 over TLS with the API server's own client certificate; pods/proxy and
// services/proxy, passed on to the pod itself.
#pragma once

#include <map>
#include <memory>

#include "apiserver/registry.h"
#include "net/http_client.h"
#include "net/tls.h"

namespace skiff::apiserver {

class NodeProxy {
  public:
    using Addresses =
        std::map<std::string, std::string, std::less<>>;   // of nodes, instead of their own
    NodeProxy(Registry& registry, std::shared_ptr<net::TlsContext> client_tls, Addresses addresses)
        : registry_{registry}, tls_{std::move(client_tls)}, addresses_{std::move(addresses)} {}
    // True when the call was one of these; it is answered then or later.
    bool serve(const CallPtr& call);
    // Where the node's agent listens, and how it is believed.
    Result<net::Endpoint> endpoint_of(std::string_view node) const;

  private:
    // `prefix`: the path in front of what is passed on, for redirects; with one the request's
    // headers go along and the answer's come back. Empty towards the agent.
    void stream(const CallPtr& call, net::Endpoint node, std::string target,
                std::string prefix = {});
    void upgrade(const CallPtr& call, net::Endpoint node, std::string target);
    Result<> to_pod(const CallPtr& call);
    Result<> to_node(const CallPtr& call);
    Result<> to_backend(const CallPtr& call);   // pods/proxy, services/proxy

    Registry& registry_;
    std::shared_ptr<net::TlsContext> tls_;
    Addresses addresses_;
};

}   // namespace skiff::apiserver
