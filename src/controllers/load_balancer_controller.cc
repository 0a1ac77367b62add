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
bool left_to_others(const view::Service& service) {
    return service.spec.loadBalancerClass.has_value();
}
bool concerned(const view::Service& service) {
    return balanced(service) ||
           (!left_to_others(service) && !service.status.loadBalancer.ingress.empty());
}

// What is told before and after the addresses are written.
struct Story {
    const char* before_reason = nullptr;
    const char* before = nullptr;
    const char* after_reason = nullptr;
    const char* after = nullptr;
};
Story story_of(const view::Service& service) {
    if (!balanced(service))
        return {"DeletingLoadBalancer", "Deleting load balancer", "DeletedLoadBalancer",
                "Deleted load balancer"};
    if (!service.status.loadBalancer.ingress.empty())
        return {.after_reason = "UpdatedLoadBalancer",
                .after = "Updated load balancer with new hosts"};
    return {"EnsuringLoadBalancer", "Ensuring load balancer", "EnsuredLoadBalancer",
            "Ensured load balancer"};
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
    if (left_to_others(service) || service.metadata.deletionTimestamp) return plan;
    std::set<std::string> addresses;
    if (balanced(service))
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

LoadBalancerController::LoadBalancerController(Executor& executor,
                                               const ControllersOptions& options,
                                               ServiceInformers& informers)
    : component_{executor, options, "service-controller"},
      informers_{informers},
      events_{executor, *component_.transport, {.component = "service-controller", .host = {}}},
      queue_{executor,
             [this](const ObjectKey& key) { return reconcile(key); },
             {.name = "load balancers"}} {
    component_.plans.observe(client::resource_of<view::Service>(), informers.services.core());
    const auto add = [this](const view::Service& service) {
        if (concerned(service))
            queue_.add(
                {.name_space = service.metadata.namespace_.str(), .name = service.metadata.name});
    };
    informers.services.on_change([this, add](const auto& old, const auto& now) {
        if (!now) return;
        if (old && balanced(*old) != balanced(*now))
            tell(*now, "Type", concat(old->spec.type.view(), " -> ", now->spec.type.view()));
        add(*now);
    });
    informers.nodes.on_change([this, add](const auto& old, const auto& now) {
        if (old && now && old->status.addresses == now->status.addresses) return;
        for (const auto& service : informers_.services.all()) add(*service);
    });
}

void LoadBalancerController::start() {
    when_all_synced([this] { queue_.start(); }, informers_.services, informers_.nodes);
}

void LoadBalancerController::tell(const view::Service& service, std::string reason,
                                  std::string message) {
    events_.record(client::reference_to(service), client::EventType::Normal, std::move(reason),
                   std::move(message));
}

Result<Requeue> LoadBalancerController::reconcile(const ObjectKey& key) {
    client::Shared<view::Service> service;
    Story story;
    const auto done = component_.plans.reconcile(key, [&]() -> Result<Plan> {
        story = {};
        service = informers_.services.find(key);
        auto plan = service ? plan_load_balancer(*service, informers_.nodes.all()) : Plan{};
        if (plan.empty()) return plan;
        story = story_of(*service);
        if (story.before) tell(*service, story.before_reason, story.before);
        return plan;
    });
    if (done && story.after) tell(*service, story.after_reason, story.after);
    return done;
}

}   // namespace skiff::controllers
