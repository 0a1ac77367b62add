#include "controllers/controllers.h"

#include "controllers/certificate_controller.h"
#include "controllers/cluster_role_aggregation_controller.h"
#include "controllers/cluster_services_controller.h"
#include "controllers/endpoints_controller.h"
#include "controllers/garbage_collector.h"
#include "controllers/load_balancer_controller.h"
#include "controllers/namespace_controller.h"
#include "controllers/namespace_defaults_controller.h"
#include "controllers/pod_gc.h"
#include "controllers/pods.h"
#include "controllers/token_controller.h"
#include "controllers/volume_controller.h"
#include "controllers/volume_protection.h"
#include "controllers/workload_controllers.h"

namespace skiff::controllers {
namespace {

class AllControllers final : public Controllers {
  public:
    AllControllers(Executor& executor, Random& random, ControllersOptions options)
        : options_{std::move(options)},
          reader_{options_.transport_as("system:serviceaccount:kube-system:namespace-controller")},
          namespaces_{executor, random, *reader_},
          pods_{executor, random, *reader_},
          service_informers_{executor, random, *reader_},
          volume_informers_{executor, random, *reader_},
          namespace_controller_{executor, random, options_, namespaces_},
          namespace_defaults_{executor, random, options_, namespaces_},
          certificates_{executor, random, options_},
          cluster_roles_{executor, random, options_},
          endpoints_{executor, options_, service_informers_, pods_},
          load_balancers_{executor, options_, service_informers_},
          volumes_{executor, options_, volume_informers_},
          volume_protection_{executor, options_, volume_informers_, pods_},
          workloads_{executor, random, options_, *reader_, pods_},
          pod_gc_{executor, random, options_, pods_},
          garbage_collector_{executor, random, options_} {
        if (options_.cluster_services)
            cluster_services_.emplace(executor, options_, service_informers_);
        if (options_.secret_token) tokens_.emplace(executor, random, options_);
    }

    // Nothing wakes a controller any more before the first of them goes.
    ~AllControllers() override {
        namespaces_.stop();
        pods_.stop();
        service_informers_.stop();
        workloads_.stop();
        volume_informers_.stop();
    }

    void start() override {
        namespace_controller_.start();
        namespace_defaults_.start();
        certificates_.start();
        cluster_roles_.start();
        endpoints_.start();
        load_balancers_.start();
        volumes_.start();
        volume_protection_.start();
        if (cluster_services_) cluster_services_->start();
        if (tokens_) tokens_->start();
        workloads_.start();
        pod_gc_.start();
        garbage_collector_.start();
        namespaces_.start();
        service_informers_.start();
        volume_informers_.start();
        pods_.start();
    }

  private:
    ControllersOptions options_;
    std::unique_ptr<client::Transport> reader_;   // of what several controllers share
    client::Informer<view::Namespace> namespaces_;
    client::Informer<view::Pod> pods_;
    ServiceInformers service_informers_;
    VolumeInformers volume_informers_;
    NamespaceController namespace_controller_;
    NamespaceDefaultsController namespace_defaults_;
    CertificateController certificates_;
    ClusterRoleAggregationController cluster_roles_;
    EndpointsController endpoints_;
    LoadBalancerController load_balancers_;
    VolumeController volumes_;
    VolumeProtection volume_protection_;
    std::optional<ClusterServicesController> cluster_services_;
    std::optional<TokenController> tokens_;
    WorkloadControllers workloads_;
    PodGc pod_gc_;
    GarbageCollector garbage_collector_;
};

}   // namespace

std::unique_ptr<Controllers> make_controllers(Executor& executor, Random& random,
                                              ControllersOptions options) {
    return std::make_unique<AllControllers>(executor, random, std::move(options));
}

}   // namespace skiff::controllers
