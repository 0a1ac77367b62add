// A node agent without containers: registers its Node, renews its lease, and says of its pods what
// an agent would say, after a while.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "client/client.h"
#include "client/informer.h"
#include "client/work_queue.h"
#include "scheduler/scheduling.h"
#include "sim/cluster.h"

namespace skiff::sim {

class HollowAgent {
  public:
    HollowAgent(Cluster& cluster, std::string name, int cpu_milli, int pods);
    ~HollowAgent();

  private:
    using Pod = scheduler::view::Pod;
    void keep_node();
    void register_node();
    void renew_lease();
    Result<client::Requeue> reconcile(const client::ObjectKey& key);
    Result<> say(const client::ObjectKey& key, const Pod& pod, std::string_view phase);
    std::optional<Duration> left(const std::string& what, Duration least, Duration most);

    World& world_;
    const std::string name_;
    const int cpu_milli_;
    const int pods_max_;
    Process process_;
    FaultTransport transport_;
    client::Client client_;
    client::Informer<Pod> pods_;
    std::map<std::string, MonoTime> due_;   // by "uid/step"
    client::WorkQueue queue_;
    bool registered_ = false;
};

}   // namespace skiff::sim
