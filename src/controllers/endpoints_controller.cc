#include "controllers/endpoints_controller.h"

#include <algorithm>

#include "base/text.h"
#include "controllers/endpoints_plan.h"
#include "controllers/endpointslice_plan.h"
#include "controllers/synced.h"

namespace skiff::controllers {
namespace {

using client::ObjectKey;
using client::Plan;
using client::Requeue;
using client::resource_of;

constexpr const char* service_index = "service";
constexpr unsigned workers = 3;

template <class V>
ObjectKey key_of(const V& object) {
    return {.name_space = object.metadata.namespace_.str(), .name = object.metadata.name};
}

std::string index_key(const ObjectKey& service) { return service.text(); }

std::vector<std::string> service_of_slice(const view::EndpointSlice& slice) {
    const auto* name = slice.metadata.labels.find(service_name_label);
    if (!name) return {};
    return {index_key({.name_space = slice.metadata.namespace_.str(), .name = name->str()})};
}

// Nothing is made any more in a namespace that is being emptied, and nothing has to be.
Result<Requeue> unless_terminating(Result<Requeue> done) {
    if (done || std::ranges::none_of(done.error().causes, [](const Cause& cause) {
            return cause.type == "NamespaceTerminating";
        }))
        return done;
    return Requeue::no();
}

}   // namespace

ServiceInformers::ServiceInformers(Executor& executor, Random& random, client::Transport& transport)
    : services{executor, random, transport},
      endpoints{executor, random, transport},
      slices{executor, random, transport},
      nodes{executor, random, transport} {
    slices.add_index(service_index, service_of_slice);
}

void ServiceInformers::start() {
    services.start();
    endpoints.start();
    slices.start();
    nodes.start();
}

void ServiceInformers::stop() {
    services.stop();
    endpoints.stop();
    slices.stop();
    nodes.stop();
}

std::vector<client::Shared<view::EndpointSlice>> ServiceInformers::slices_of(
    const ObjectKey& service, std::string_view managed_by) const {
    auto found = slices.by_index(service_index, index_key(service));
    std::erase_if(found, [&](const auto& slice) {
        const auto* by = slice->metadata.labels.find(slice_managed_by_label);
        return !by || *by != managed_by;
    });
    return found;
}

EndpointsController::EndpointsController(Executor& executor, const ControllersOptions& options,
                                         ServiceInformers& informers,
                                         client::Informer<view::Pod>& pods)
    : informers_{informers},
      pods_{pods},
      endpoints_{executor, options, "endpoint-controller"},
      slices_{executor, options, "endpointslice-controller"},
      mirror_{executor, options, "endpointslicemirroring-controller"},
      endpoints_queue_{executor,
                       [this](const ObjectKey& key) { return reconcile_endpoints(key); },
                       {.name = "endpoints", .workers = workers}},
      slices_queue_{executor,
                    [this](const ObjectKey& key) { return reconcile_slices(key); },
                    {.name = "endpoint slices", .workers = workers}},
      mirror_queue_{executor,
                    [this](const ObjectKey& key) { return reconcile_mirror(key); },
                    {.name = "mirrored slices"}},
      service_pods_{informers.services, pods, [this](const ObjectKey& key) {
                        slices_queue_.add(key);
                        endpoints_queue_.add(key);
                    }} {
    endpoints_.plans.observe(resource_of<view::Endpoints>(), informers.endpoints.core());
    slices_.plans.observe(resource_of<view::EndpointSlice>(), informers.slices.core());
    mirror_.plans.observe(resource_of<view::EndpointSlice>(), informers.slices.core());
    informers.services.on_change([this](const auto& old, const auto& now) {
        const auto key = key_of(now ? *now : *old);
        slices_queue_.add(key);
        endpoints_queue_.add(key);
        mirror_queue_.add(key);
    });
    informers.endpoints.on_change([this](const auto& old, const auto& now) {
        const auto& object = now ? *now : *old;
        const auto key = key_of(object);
        mirror_queue_.add(key);
        // Without a service they are somebody's who is just about to make one, unless they are
        // left over from ours.
        if (informers_.services.find(key) || object.metadata.labels.contains(endpoints_managed_by))
            endpoints_queue_.add(key);
    });
    informers.slices.on_change([this](const auto& old, const auto& now) {
        if (old) slice_changed(*old);
        if (now) slice_changed(*now);
    });
    informers.nodes.on_change([this](const auto& old, const auto& now) {
        if ((old ? zone_of(*old) : "") != (now ? zone_of(*now) : ""))
            zone_changed((now ? now : old)->metadata.name);
    });
}

// Rare: whoever has a pod there is looked at.
void EndpointsController::zone_changed(const std::string& node) {
    for (const auto& slice : informers_.slices.all())
        if (std::ranges::any_of(slice->endpoints,
                                [&](const auto& one) { return one.nodeName == node; }))
            slice_changed(*slice);
}

void EndpointsController::slice_changed(const view::EndpointSlice& slice) {
    const auto* service = slice.metadata.labels.find(service_name_label);
    const auto* by = slice.metadata.labels.find(slice_managed_by_label);
    if (!service || !by) return;
    const ObjectKey key{.name_space = slice.metadata.namespace_.str(), .name = service->str()};
    if (*by == slice_controller) slices_queue_.add(key);
    if (*by == mirroring_controller) mirror_queue_.add(key);
}

void EndpointsController::start() {
    when_all_synced(
        [this] {
            slices_queue_.start();
            endpoints_queue_.start();
            mirror_queue_.start();
        },
        informers_.services, informers_.endpoints, informers_.slices, informers_.nodes, pods_);
}

Result<Requeue> EndpointsController::reconcile_endpoints(const ObjectKey& key) {
    return unless_terminating(endpoints_.plans.reconcile(key, [&]() -> Result<Plan> {
        const auto service = informers_.services.find(key);
        const auto current = informers_.endpoints.find(key);
        return plan_endpoints(service.get(), service_pods_.pods_of(key), current.get());
    }));
}

Result<Requeue> EndpointsController::reconcile_slices(const ObjectKey& key) {
    return unless_terminating(slices_.plans.reconcile(key, [&]() -> Result<Plan> {
        const auto service = informers_.services.find(key);
        return plan_slices(
            service.get(), service_pods_.pods_of(key), informers_.slices_of(key, slice_controller),
            [this](const std::string& node) {
                const auto found = informers_.nodes.find({.name_space = {}, .name = node});
                return found ? zone_of(*found) : std::string{};
            });
    }));
}

Result<Requeue> EndpointsController::reconcile_mirror(const ObjectKey& key) {
    return unless_terminating(mirror_.plans.reconcile(key, [&]() -> Result<Plan> {
        const auto service = informers_.services.find(key);
        const auto endpoints = informers_.endpoints.find(key);
        return plan_mirror(service.get(), endpoints.get(),
                           informers_.slices_of(key, mirroring_controller));
    }));
}

}   // namespace skiff::controllers
