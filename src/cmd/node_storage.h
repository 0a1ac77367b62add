// The provisioner of local folders of a node, in the agent's process under an identity of its own.
#pragma once

#include <memory>

#include "base/executor.h"
#include "base/random.h"
#include "cmd/certificate_renewal.h"
#include "cmd/cluster.h"
#include "net/loop.h"

namespace skiff::cmd {

class NodeStorage {
  public:
    virtual ~NodeStorage() = default;
};

// What keeps it from starting goes to the log, and null comes back.
std::unique_ptr<NodeStorage> start_storage(const Cluster& cluster,
                                           ComponentCertificates& certificates, Executor& executor,
                                           Random& random, net::Loop& loop);

}   // namespace skiff::cmd
