#include "controllers/endpoints_plan.h"

#include <algorithm>
#include <map>

namespace skiff::controllers {
namespace {

using Subset = view::Endpoints::EndpointSubset;
constexpr std::string_view capacity_annotation = "endpoints.kubernetes.io/over-capacity";

view::Endpoints::EndpointAddress address_of(const Backend& backend) {
    view::Endpoints::EndpointAddress address{.ip = backend.ip,
                                             .targetRef = {},
                                             .hostname = backend.hostname,
                                             .nodeName = std::string_view{backend.node}};
    auto& pod = address.targetRef.emplace();
    pod.kind = "Pod";
    pod.namespace_ = std::string_view{backend.name_space};
    pod.name = backend.name;
    pod.uid = backend.uid;
    return address;
}

// Pods that end are none of it, unless even those that are not ready shall be found.
std::vector<Backend> published(const view::Service& service, const PodList& pods) {
    auto backends = backends_of(service, pods);
    std::erase_if(backends, [&](const Backend& one) {
        const bool no_port =
            one.ports.empty() && !(service.spec.ports.empty() && headless(service));
        return no_port || (one.terminating && !service.spec.publishNotReadyAddresses);
    });
    return backends;
}

// Keeps the ready ones first.
bool truncate(std::vector<Backend>& backends) {
    if (backends.size() <= endpoints_addresses_max) return false;
    std::ranges::stable_partition(backends, [](const Backend& one) { return one.ready; });
    backends.resize(endpoints_addresses_max);
    std::ranges::sort(backends, {}, [](const Backend& one) { return std::tie(one.ip, one.uid); });
    return true;
}

// Ports that have the same addresses share a subset, as upstream's repacking does it.
std::vector<Subset> subsets_of(const std::vector<Backend>& backends) {
    std::map<BackendPort, std::vector<size_t>> by_port;
    std::map<std::vector<size_t>, std::vector<BackendPort>> by_addresses;
    for (size_t i = 0; i < backends.size(); ++i) {
        for (const auto& port : backends[i].ports) by_port[port].push_back(i);
        if (backends[i].ports.empty()) by_port[{}].push_back(i);
    }
    for (const auto& [port, addresses] : by_port) by_addresses[addresses].push_back(port);
    std::vector<Subset> subsets;
    for (const auto& [addresses, ports] : by_addresses) {
        Subset& subset = subsets.emplace_back();
        for (const size_t i : addresses)
            (backends[i].ready ? subset.addresses : subset.notReadyAddresses)
                .push_back(address_of(backends[i]));
        for (const auto& port : ports)
            if (port.port != 0)
                subset.ports.push_back({.name = port.name,
                                        .port = port.port,
                                        .protocol = std::string_view{port.protocol},
                                        .appProtocol = port.app_protocol});
    }
    return subsets;
}

// Ports and subsets may stand in any order in an object that others wrote.
bool same_subsets(const std::vector<Subset>& left, const std::vector<Subset>& right) {
    return std::ranges::is_permutation(left, right);
}

}   // namespace

bool headless(const view::Service& service) { return service.spec.clusterIP == "None"; }

client::Plan plan_endpoints(const view::Service* service, const PodList& pods,
                            const view::Endpoints* current) {
    client::Plan plan;
    if (!service) {
        if (current)
            plan.remove<view::Endpoints>(
                {.name_space = current->metadata.namespace_.str(), .name = current->metadata.name},
                current->metadata.uid);
        return plan;
    }
    if (!managed(*service) || (current && current->metadata.deletionTimestamp)) return plan;
    auto backends = published(*service, pods);
    const bool truncated = truncate(backends);
    view::Endpoints wanted;
    if (current) wanted = *current;
    wanted.metadata.name = service->metadata.name;
    wanted.metadata.namespace_ = service->metadata.namespace_;
    wanted.metadata.labels = service->metadata.labels;
    wanted.metadata.labels[endpoints_managed_by] = "endpoint-controller";
    if (headless(*service))
        wanted.metadata.labels[headless_label] = "";
    else
        wanted.metadata.labels.erase(headless_label);
    if (truncated)
        wanted.metadata.annotations[capacity_annotation] = "truncated";
    else
        wanted.metadata.annotations.erase(capacity_annotation);
    wanted.subsets = subsets_of(backends);
    if (current && same_subsets(current->subsets, wanted.subsets) &&
        current->metadata == wanted.metadata)
        return plan;
    if (const auto time = last_change(*service, pods))
        wanted.metadata.annotations[last_change_annotation] = rfc3339(*time);
    const client::ObjectKey key{.name_space = wanted.metadata.namespace_.str(),
                                .name = wanted.metadata.name};
    if (!current) {
        plan.create(wanted, key).if_absent = true;
        return plan;
    }
    auto& write = plan.update(wanted, key);
    write.uid = current->metadata.uid;
    write.resource_version = current->metadata.resourceVersion;
    return plan;
}

}   // namespace skiff::controllers
