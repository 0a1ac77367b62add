// What stands behind a service with a selector: its pods, with the ports that each of them has for
// the service's. Pure; Endpoints and EndpointSlices are both made from it.
#pragma once

#include <compare>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "controllers/pods.h"
#include "controllers/service.h"

namespace skiff::controllers {

using PodList = std::vector<std::shared_ptr<const view::Pod>>;

struct BackendPort {
    std::string name;
    std::string protocol;
    int32_t port = 0;
    std::optional<std::string> app_protocol;
    auto operator<=>(const BackendPort&) const = default;
};

struct Backend {
    std::string ip;
    std::string hostname;   // "" unless its subdomain is the service
    std::string node;
    std::string name_space, name, uid;   // the pod
    bool serving = false;                // passes its readiness probe
    bool terminating = false;
    bool ready = false;               // new connections may go there
    std::vector<BackendPort> ports;   // those of the service that the pod has
};

bool selects(const api::Labels& selector, const api::Labels& labels);   // an empty one: nothing
bool managed(const view::Service& service);   // its endpoints follow from its selector
// Pods of the service that have an address and did not end, by address.
std::vector<Backend> backends_of(const view::Service& service, const PodList& pods);
// Whether the change of a pod can change anything that backends_of reads.
bool same_backend(const view::Pod& left, const view::Pod& right);
// When what is published now last changed: a pod's readiness, or the service's creation.
std::optional<WallTime> last_change(const view::Service& service, const PodList& pods);

}   // namespace skiff::controllers
