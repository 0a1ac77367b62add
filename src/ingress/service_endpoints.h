// What stands behind the ports of a service, as nginx is told of it. Pure.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "ingress/balancer.h"
#include "ingress/ingress.h"

namespace skiff::ingress {

struct ServicePort {
    std::string upstream;   // its name in nginx
    std::string port;       // its name in the service
};

using PodServers = std::map<std::string, std::vector<std::string>>;   // by uid

struct ServiceEndpoints {
    Endpoints upstreams;   // "10.1.2.3:8080", sorted; without any it is 503
    PodServers pods;       // that get requests and do not end yet
};

// `slices`: all of the one service.
ServiceEndpoints endpoints_of(const std::vector<const view::EndpointSlice*>& slices,
                              const std::vector<ServicePort>& ports);

}   // namespace skiff::ingress
