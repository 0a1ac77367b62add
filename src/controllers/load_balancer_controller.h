// Services of type LoadBalancer are reached at the nodes' own addresses: no other machine stands in
// front of them. Those of another loadBalancerClass are left to whoever serves it.
#pragma once

#include "controllers/component.h"
#include "controllers/endpoints_controller.h"
#include "controllers/namespace.h"

namespace skiff::controllers {

// Pure. `nodes` in any order.
client::Plan plan_load_balancer(const view::Service& service,
                                const std::vector<client::Shared<view::Node>>& nodes);

class LoadBalancerController {
  public:
    LoadBalancerController(Executor& executor, Random& random, const ControllersOptions& options,
                           ServiceInformers& informers);
    ~LoadBalancerController() { nodes_.stop(); }
    void start();

  private:
    Result<client::Requeue> reconcile(const client::ObjectKey& key);

    Component component_;
    ServiceInformers& informers_;
    client::Informer<view::Node> nodes_;
    client::WorkQueue queue_;
};

}   // namespace skiff::controllers
