// Keeps the Endpoints and EndpointSlices of every service as its pods are: three controllers, each
// under its own name, over one set of caches.
#pragma once

#include "controllers/component.h"
#include "controllers/namespace.h"
#include "controllers/service_pods.h"

namespace skiff::controllers {

struct ServiceInformers {
    ServiceInformers(Executor& executor, Random& random, client::Transport& transport);

    client::Informer<view::Service> services;
    client::Informer<view::Endpoints> endpoints;
    client::Informer<view::EndpointSlice> slices;
    client::Informer<view::Node> nodes;

    void start();
    void stop();
    // Those that the controller of that kind made for the service.
    std::vector<client::Shared<view::EndpointSlice>> slices_of(const client::ObjectKey& service,
                                                               std::string_view managed_by) const;
};

class EndpointsController {
  public:
    EndpointsController(Executor& executor, const ControllersOptions& options,
                        ServiceInformers& informers, client::Informer<view::Pod>& pods);
    void start();   // before the informers

  private:
    void zone_changed(const std::string& node);
    void slice_changed(const view::EndpointSlice& slice);
    Result<client::Requeue> reconcile_endpoints(const client::ObjectKey& key);
    Result<client::Requeue> reconcile_slices(const client::ObjectKey& key);
    Result<client::Requeue> reconcile_mirror(const client::ObjectKey& key);

    ServiceInformers& informers_;
    client::Informer<view::Pod>& pods_;
    Component endpoints_;
    Component slices_;
    Component mirror_;
    client::WorkQueue endpoints_queue_;
    client::WorkQueue slices_queue_;
    client::WorkQueue mirror_queue_;
    ServicePods service_pods_;
};

}   // namespace skiff::controllers
