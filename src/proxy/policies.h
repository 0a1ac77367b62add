// Follows NetworkPolicies and, once there is one, the pods and namespaces that they are about, and
// keeps the kernel's rules in step. A pod begins only when its policies are in force.
#pragma once

#include <memory>
#include <string>

#include "base/executor.h"
#include "base/random.h"
#include "client/object_key.h"
#include "client/transport.h"

namespace skiff::proxy {

class Policies {
  public:
    virtual ~Policies() = default;   // the rules stay
    virtual void start() = 0;

    // Blocks until what holds for that pod of this node is in force under its address, at most for
    // that time. At once while there are no policies. Any thread.
    virtual Result<> admit(const client::ObjectKey& pod, const std::string& uid,
                           const std::string& address, Duration timeout) = 0;
};

Result<std::unique_ptr<Policies>> make_policies(Executor& executor, Random& random,
                                                client::Transport& transport,
                                                const std::string& cluster_id,
                                                const std::string& node_name);

}   // namespace skiff::proxy
