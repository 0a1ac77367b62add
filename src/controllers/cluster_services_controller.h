// The services that a cluster has by itself: `kubernetes` in default, the way to the API server,
// with its Endpoints and EndpointSlice, and `kube-dns` in kube-system, the cluster's DNS. They come
// back when they are deleted, and are put right when their endpoints are changed.
#pragma once

#include "controllers/component.h"
#include "controllers/endpoints_controller.h"

namespace skiff::controllers {

// What is missing or wrong. Null: it is not there.
client::Plan plan_kubernetes_service(const ClusterServices& cluster, const view::Service* service);
client::Plan plan_kubernetes_endpoints(const ClusterServices& cluster,
                                       const view::Endpoints* endpoints);
client::Plan plan_kubernetes_slice(const ClusterServices& cluster,
                                   const view::EndpointSlice* slice);
client::Plan plan_dns_service(const ClusterServices& cluster, const view::Service* service);

class ClusterServicesController {
  public:
    ClusterServicesController(Executor& executor, const ControllersOptions& options,
                              ServiceInformers& informers);
    void start();

  private:
    Result<client::Requeue> reconcile(const client::ObjectKey& key);

    ClusterServices cluster_;
    std::unique_ptr<client::Transport> transport_;
    client::Client client_;
    client::PlanExecutor plans_;
    ServiceInformers& informers_;
    client::WorkQueue queue_;
};

}   // namespace skiff::controllers
