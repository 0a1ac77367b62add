// The service proxy of a node: follows services and their endpoints, and keeps the kernel's rules
// in step. The rules outlive it: what is there goes on when the agent ends, and the next one takes
// it over without a gap.
#pragma once

#include <memory>
#include <string>

#include "base/executor.h"
#include "base/random.h"
#include "client/transport.h"
#include "net/loop.h"
#include "proxy/service_rules.h"

namespace skiff::proxy {

class Proxy {
  public:
    virtual ~Proxy() = default;   // the rules stay
    virtual void start() = 0;

    // Blocks until no rule leads to that pod's endpoints any more, for lack of a better one at
    // most, or the time is over. At once for a pod that is in no EndpointSlice. Any thread.
    virtual void wait_until_dropped(const std::string& pod_uid, Duration timeout) = 0;
};

// `transport` acts as the node and outlives the proxy, as the loop does. Fails where the kernel
// gives no netfilter socket.
Result<std::unique_ptr<Proxy>> make_proxy(Executor& executor, Random& random, net::Loop& loop,
                                          client::Transport& transport,
                                          ServiceRulesOptions options);

}   // namespace skiff::proxy
