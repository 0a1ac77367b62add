// The ingress controller of a node, in the agent's process under an identity of its own.
#pragma once

#include <memory>

#include "base/executor.h"
#include "base/random.h"
#include "cmd/certificate_renewal.h"
#include "cmd/cluster.h"
#include "net/loop.h"

namespace skiff::cmd {

class NodeIngress {
  public:
    virtual ~NodeIngress() = default;

    // Blocks until nothing is sent to that pod any more, or the time is over. Any thread.
    virtual void wait_until_dropped(const std::string& pod_uid, Duration timeout) = 0;
};

// Null where the cluster has none; what keeps it from starting goes to the log.
std::unique_ptr<NodeIngress> start_ingress(const Cluster& cluster,
                                           ComponentCertificates& certificates, Executor& executor,
                                           Random& random, net::Loop& loop);

}   // namespace skiff::cmd
