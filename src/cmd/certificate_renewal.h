// Certificates are renewed while they are in use: connections made later use the new ones. The
// server's process makes them, the agent's takes what is new on disk; the node's own are renewed by
// agent/identity.h.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/executor.h"
#include "cmd/cluster.h"
#include "cmd/pki.h"

namespace skiff::cmd {

class ServerCertificates {
  public:
    // `serving` is the API's port, `to_nodes` what it shows the agents.
    ServerCertificates(const Cluster& cluster, Executor& executor,
                       std::shared_ptr<net::TlsContext> serving,
                       std::shared_ptr<net::TlsContext> to_nodes);
    void start(const Pki& current);

  private:
    void plan(WallTime at);
    void renew();

    const Cluster& cluster_;
    std::shared_ptr<net::TlsContext> serving_;
    std::shared_ptr<net::TlsContext> to_nodes_;
    Strand strand_;
};

// Those of service accounts that work in the agent's process.
class ComponentCertificates {
  public:
    ComponentCertificates(const Cluster& cluster, Executor& executor);
    // A context that presents the account's certificate of today, whenever that is.
    Result<std::shared_ptr<net::TlsContext>> tls_for(const std::string& account);

  private:
    struct Followed {
        std::string account;
        std::shared_ptr<net::TlsContext> tls;
        std::string certificate_pem;   // in use
    };
    void look(const std::shared_ptr<Followed>& followed);

    const Cluster& cluster_;
    Strand strand_;
};

}   // namespace skiff::cmd
