// metrics.k8s.io: what nodes and pods use, asked of the nodes when somebody wants to know. Nothing
// is measured while nobody asks: a figure is the difference to the measurement before, or, when
// that is too old or lacks something, to one made a second earlier for this question.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "apiserver/registry.h"
#include "net/http_client.h"
#include "net/loop.h"

namespace skiff::apiserver {

// Asks one node for /metrics/resource; `done` is called once, on any thread.
using FetchUsage =
    std::function<void(const net::Endpoint& node, std::function<void(Result<std::string>)> done)>;
FetchUsage fetch_usage_over(net::Loop& loop);

class ResourceMetrics {
  public:
    using FindNode = std::function<Result<net::Endpoint>(std::string_view node)>;
    ResourceMetrics(Registry& registry, FindNode find_node);
    ~ResourceMetrics();
    // Any thread; without one, or with null, there are no metrics (503).
    void set_fetch(FetchUsage fetch);
    // True when the call was for this group; it is answered then or later.
    bool serve(const CallPtr& call);

  private:
    class Core;
    std::shared_ptr<Core> core_;
};

}   // namespace skiff::apiserver
