#include "controllers/load_balancer_controller.h"

#include <algorithm>
#include <set>

#include "base/text.h"
#include "controllers/synced.h"

namespace skiff::controllers {
namespace {

using client::ObjectKey;
using client::Plan;
using client::Requeue;

bool balanced(const view::Service& service) {
    return service.spec.type == "LoadBalancer" && !service.spec.loadBalancerClass;
}

// A node's addresses towards the outside; where it tells none, those within.
std::vector<std::string> addresses_of(const view::Node& node) {
    std::vector<std::string> outside;
    std::vector<std::string> inside;
    for (const auto& address : node.status.addresses) {
        if (address.type == "ExternalIP") outside.push_back(address.address);
        if (address.type == "InternalIP") inside.push_back(address.address);
    }
    return outside.empty() ? inside : outside;
}

}   // namespace

Plan plan_load_balancer(const view::Service& service,
                        const std::vector<client::Shared<view::Node>>& nodes) {
    Plan plan;
    if (!balanced(service) || service.metadata.deletionTimestamp) return plan;
    std::set<std::string> addresses;
    for (const auto& node : nodes)
        for (auto& address : addresses_of(*node)) addresses.insert(std::move(address));
    std::vector<view::Service::LoadBalancerIngress> wanted;
    for (const auto& address : addresses)
        wanted.push_back({.ip = address, .hostname = {}, .ipMode = "VIP"});
    if (service.status.loadBalancer.ingress == wanted) return plan;
    std::string body = R"({"status":{"loadBalancer":{"ingress":[)";
    for (size_t i = 0; i < wanted.size(); ++i)
        append(body, i ? "," : "", R"({"ip":")", wanted[i].ip, R"(","ipMode":"VIP"})");
    body += "]}}}";
    plan.patch<view::Service>(
            {.name_space = service.metadata.namespace_.str(), .name = service.metadata.name},
            std::move(body), "status", client::PatchType::Merge)
        .uid = service.metadata.uid;
    return plan;
}

LoadBalancerController::LoadBalancerController(Executor& executor, Random& random,
                                               const ControllersOptions& options,
                                               ServiceInformers& informers)
    : component_{executor, options, "service-controller"},
      informers_{informers},
      nodes_{executor, random, *component_.transport},
      queue_{executor,
             [this](const ObjectKey& key) { return reconcile(key); },
             {.name = "load balancers"}} {
    component_.plans.observe(client::resource_of<view::Service>(), informers.services.core());
    const auto add = [this](const view::Service& service) {
        if (balanced(service))
            queue_.add(
                {.name_space = service.metadata.namespace_.str(), .name = service.metadata.name});
    };
    informers.services.on_change([add](const auto&, const auto& now) {
        if (now) add(*now);
    });
    nodes_.on_change([this, add](const auto& old, const auto& now) {
        if (old && now && old->status.addresses == now->status.addresses) return;
        for (const auto& service : informers_.services.all()) add(*service);
    });
}

void LoadBalancerController::start() {
    when_all_synced([this] { queue_.start(); }, informers_.services, nodes_);
    nodes_.start();
}

Result<Requeue> LoadBalancerController::reconcile(const ObjectKey& key) {
    return component_.plans.reconcile(key, [&]() -> Result<Plan> {
        const auto service = informers_.services.find(key);
        return service ? plan_load_balancer(*service, nodes_.all()) : Plan{};
    });
}

}   // namespace skiff::controllers
