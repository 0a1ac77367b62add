#include "controllers/cluster_services_controller.h"

#include "base/text.h"
#include "controllers/endpointslice_plan.h"
#include "controllers/synced.h"

namespace skiff::controllers {
namespace {

using client::ObjectKey;
using client::Plan;
using client::Requeue;

const ObjectKey kubernetes{.name_space = "default", .name = "kubernetes"};
const ObjectKey dns{.name_space = "kube-system", .name = "kube-dns"};
constexpr int32_t https_port = 443;
constexpr int32_t dns_port = 53;

view::Service service_of(const ObjectKey& key, const std::string& address) {
    view::Service service;
    service.metadata.name = key.name;
    service.metadata.namespace_ = key.name_space;
    service.spec.type = "ClusterIP";
    service.spec.clusterIP = address;
    service.spec.clusterIPs = {address};
    return service;
}

}   // namespace

Plan plan_kubernetes_service(const ClusterServices& cluster, const view::Service* service) {
    Plan plan;
    auto wanted = service_of(kubernetes, cluster.api_service_address);
    wanted.metadata.labels["component"] = "apiserver";
    wanted.metadata.labels["provider"] = "kubernetes";
    wanted.spec.ports = {{.name = "https",
                          .protocol = "TCP",
                          .port = https_port,
                          .targetPort = cluster.api_port,
                          .appProtocol = {}}};
    if (!service)
        plan.create(wanted, kubernetes).if_absent = true;
    else if (!(service->spec.ports == wanted.spec.ports))
        plan.patch<view::Service>(
            kubernetes,
            concat(R"({"spec":{"ports":[{"name":"https","port":443,"protocol":"TCP","targetPort":)",
                   cluster.api_port, "}]}}"),
            {}, client::PatchType::Merge);
    return plan;
}

Plan plan_kubernetes_endpoints(const ClusterServices& cluster, const view::Endpoints* endpoints) {
    Plan plan;
    view::Endpoints wanted;
    if (endpoints) wanted = *endpoints;
    wanted.metadata.name = kubernetes.name;
    wanted.metadata.namespace_ = kubernetes.name_space;
    wanted.metadata.labels["endpointslice.kubernetes.io/skip-mirror"] = "true";
    wanted.subsets.clear();
    auto& subset = wanted.subsets.emplace_back();
    subset.addresses.push_back(
        {.ip = cluster.api_address, .targetRef = {}, .hostname = {}, .nodeName = {}});
    subset.ports.push_back(
        {.name = "https", .port = cluster.api_port, .protocol = "TCP", .appProtocol = {}});
    if (!endpoints)
        plan.create(wanted, kubernetes).if_absent = true;
    else if (!(wanted == *endpoints))
        plan.update(wanted, kubernetes).resource_version = endpoints->metadata.resourceVersion;
    return plan;
}

Plan plan_kubernetes_slice(const ClusterServices& cluster, const view::EndpointSlice* slice) {
    Plan plan;
    view::EndpointSlice wanted;
    if (slice) wanted = *slice;
    wanted.metadata.name = kubernetes.name;
    wanted.metadata.namespace_ = kubernetes.name_space;
    wanted.metadata.labels[service_name_label] = kubernetes.name;
    wanted.addressType = "IPv4";
    wanted.endpoints = {{.addresses = {cluster.api_address},
                         .conditions = {.ready = true, .serving = {}, .terminating = {}},
                         .hostname = {},
                         .nodeName = {},
                         .zone = {},
                         .targetRef = {}}};
    wanted.ports = {
        {.name = "https", .protocol = "TCP", .port = cluster.api_port, .appProtocol = {}}};
    if (!slice) {
        plan.create(wanted, kubernetes).if_absent = true;
    } else if (slice->addressType != "IPv4") {
        plan.remove<view::EndpointSlice>(kubernetes, slice->metadata.uid);   // it cannot change
    } else if (!(wanted == *slice)) {
        plan.update(wanted, kubernetes).resource_version = slice->metadata.resourceVersion;
    }
    return plan;
}

Plan plan_dns_service(const ClusterServices& cluster, const view::Service* service) {
    Plan plan;
    auto wanted = service_of(dns, cluster.dns_address);
    wanted.metadata.labels["k8s-app"] = "kube-dns";
    wanted.metadata.labels["kubernetes.io/cluster-service"] = "true";
    wanted.metadata.labels["kubernetes.io/name"] = "KubeDNS";
    wanted.spec.ports = {{.name = "dns",
                          .protocol = "UDP",
                          .port = dns_port,
                          .targetPort = dns_port,
                          .appProtocol = {}},
                         {.name = "dns-tcp",
                          .protocol = "TCP",
                          .port = dns_port,
                          .targetPort = dns_port,
                          .appProtocol = {}}};
    if (!service) plan.create(wanted, dns).if_absent = true;
    return plan;
}

ClusterServicesController::ClusterServicesController(Executor& executor,
                                                     const ControllersOptions& options,
                                                     ServiceInformers& informers)
    : cluster_{*options.cluster_services},
      transport_{options.transport_as("system:apiserver")},
      client_{executor, *transport_, "skiff-server"},
      plans_{client_},
      informers_{informers},
      queue_{executor,
             [this](const ObjectKey& key) { return reconcile(key); },
             {.name = "cluster services"}} {
    const auto look = [this](const auto& old, const auto& now) {
        const auto& metadata = (now ? now : old)->metadata;
        const ObjectKey key{.name_space = metadata.namespace_.str(), .name = metadata.name};
        if (key == kubernetes || key == dns) queue_.add(key);
    };
    plans_.observe(client::resource_of<view::Service>(), informers.services.core());
    plans_.observe(client::resource_of<view::Endpoints>(), informers.endpoints.core());
    plans_.observe(client::resource_of<view::EndpointSlice>(), informers.slices.core());
    informers.services.on_change(look);
    informers.endpoints.on_change(look);
    informers.slices.on_change(look);
}

void ClusterServicesController::start() {
    queue_.add(kubernetes);
    queue_.add(dns);
    when_all_synced([this] { queue_.start(); }, informers_.services, informers_.endpoints,
                    informers_.slices);
}

Result<Requeue> ClusterServicesController::reconcile(const ObjectKey& key) {
    return plans_.reconcile(key, [&]() -> Result<Plan> {
        const auto service = informers_.services.find(key);
        if (key == dns) return plan_dns_service(cluster_, service.get());
        auto plan = plan_kubernetes_service(cluster_, service.get());
        const auto join = [&plan](Plan more) {
            for (auto& write : more.writes) plan.writes.push_back(std::move(write));
        };
        join(plan_kubernetes_endpoints(cluster_, informers_.endpoints.find(key).get()));
        join(plan_kubernetes_slice(cluster_, informers_.slices.find(key).get()));
        return plan;
    });
}

}   // namespace skiff::controllers
