#include "ingress/service_endpoints.h"

#include <set>

#include "base/text.h"

namespace skiff::ingress {
namespace {

void add_server(const view::EndpointSlice::Endpoint& endpoint, int32_t port,
                std::set<std::string>& ready, std::set<std::string>& ending, PodServers& pods) {
    if (endpoint.addresses.empty()) return;
    const auto& address = endpoint.addresses[0];
    const bool six = address.find(':') != address.npos;
    const auto text = six ? concat("[", address, "]:", port) : concat(address, ":", port);
    const auto& conditions = endpoint.conditions;
    const bool terminating = conditions.terminating.value_or(false);
    if (conditions.ready.value_or(true)) {
        ready.insert(text);
        if (!terminating && endpoint.targetRef && endpoint.targetRef->kind == "Pod")
            pods[endpoint.targetRef->uid].push_back(text);
    } else if (terminating && conditions.serving.value_or(false)) {
        ending.insert(text);
    }
}

// Those that are ready; when none is, those that still serve while they end.
std::vector<std::string> servers_of(const std::vector<const view::EndpointSlice*>& slices,
                                    std::string_view port_name, PodServers& pods) {
    std::set<std::string> ready, ending;
    for (const auto* slice : slices) {
        if (slice->addressType == "FQDN") continue;
        for (const auto& port : slice->ports) {
            if (port.name.value_or("") != port_name || !port.port) continue;
            if (!port.protocol.empty() && port.protocol != "TCP") continue;
            for (const auto& endpoint : slice->endpoints)
                add_server(endpoint, *port.port, ready, ending, pods);
        }
    }
    const auto& chosen = ready.empty() ? ending : ready;
    return {chosen.begin(), chosen.end()};
}

}   // namespace

ServiceEndpoints endpoints_of(const std::vector<const view::EndpointSlice*>& slices,
                              const std::vector<ServicePort>& ports) {
    ServiceEndpoints found;
    for (const auto& port : ports)
        found.upstreams[port.upstream] = servers_of(slices, port.port, found.pods);
    return found;
}

}   // namespace skiff::ingress
