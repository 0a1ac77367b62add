// EndpointSlices as pure plans: of a service with a selector from its pods, of one without from the
// Endpoints that somebody wrote (mirroring). Few objects change when few endpoints do: an endpoint
// stays in its slice, room in slices that are written anyway is used first.
#pragma once

#include <functional>

#include "client/plan.h"
#include "controllers/backends.h"
#include "controllers/namespace.h"

namespace skiff::controllers {

inline constexpr std::string_view service_name_label = "kubernetes.io/service-name";
inline constexpr std::string_view slice_managed_by_label = "endpointslice.kubernetes.io/managed-by";
inline constexpr std::string_view slice_controller = "endpointslice-controller.k8s.io";
inline constexpr std::string_view mirroring_controller = "endpointslicemirroring-controller.k8s.io";
inline constexpr size_t slice_endpoints_max = 100;       // upstream's --max-endpoints-per-slice
inline constexpr size_t mirrored_addresses_max = 1000;   // of a subset

using SliceList = std::vector<std::shared_ptr<const view::EndpointSlice>>;

// Endpoints that have the same ports, to be spread over slices.
struct EndpointGroup {
    std::string address_type;
    std::vector<view::EndpointSlice::EndpointPort> ports;
    std::vector<view::EndpointSlice::Endpoint> endpoints;
};
// What all slices of one set have in common: metadata without name.
struct SliceSet {
    std::string prefix;   // of generated names
    view::EndpointSlice::ObjectMeta metadata;
    bool placeholder = false;   // an empty slice where there is nothing else
};
client::Plan plan_slice_set(const SliceSet& set, std::vector<EndpointGroup> groups,
                            const SliceList& current);

// By a node's name; "" where it is in none.
using ZoneOfNode = std::function<std::string(const std::string& node)>;
std::string zone_of(const view::Node& node);

// `current`: the slices that the controller of that kind made for the service. `service` null: it
// is gone.
client::Plan plan_slices(const view::Service* service, const PodList& pods,
                         const SliceList& current, const ZoneOfNode& zone = {});
client::Plan plan_mirror(const view::Service* service, const view::Endpoints* endpoints,
                         const SliceList& current);

}   // namespace skiff::controllers
