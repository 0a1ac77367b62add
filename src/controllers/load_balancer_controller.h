// Services of type LoadBalancer are reached at the nodes' own addresses: no other machine stands in
// front of them. Those of another loadBalancerClass are left to whoever serves it.
#pragma once

#include "client/event_recorder.h"
#include "controllers/component.h"
#include "controllers/endpoints_controller.h"
#include "controllers/namespace.h"

namespace skiff::controllers {

// Pure. `nodes` in any order. A service that is none any more loses its addresses.
client::Plan plan_load_balancer(const view::Service& service,
                                const std::vector<client::Shared<view::Node>>& nodes);

class LoadBalancerController {
  public:
    LoadBalancerController(Executor& executor, const ControllersOptions& options,
                           ServiceInformers& informers);
    void start();

  private:
    Result<client::Requeue> reconcile(const client::ObjectKey& key);
    void tell(const view::Service& service, std::string reason, std::string message);

    Component component_;
    ServiceInformers& informers_;
    client::EventRecorder events_;
    client::WorkQueue queue_;
};

}   // namespace skiff::controllers
