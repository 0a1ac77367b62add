// The ingress controller of a node, in the agent's process under an identity of its own.
#pragma once

#include <memory>

#include "base/executor.h"
#include "base/random.h"
#include "cmd/cluster.h"
#include "net/loop.h"

namespace skiff::cmd {

class NodeIngress {
  public:
    virtual ~NodeIngress() = default;
};

// Null where the cluster has none; what keeps it from starting goes to the log.
std::unique_ptr<NodeIngress> start_ingress(const Cluster& cluster, Executor& executor,
                                           Random& random, net::Loop& loop);

}   // namespace skiff::cmd
