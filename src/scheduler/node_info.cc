#include "scheduler/node_info.h"

#include <algorithm>
#include <ranges>

namespace skiff::scheduler {
namespace {

Resources larger_of(Resources left, const Resources& right) {
    left.cpu_milli = std::max(left.cpu_milli, right.cpu_milli);
    left.memory_bytes = std::max(left.memory_bytes, right.memory_bytes);
    left.ephemeral_bytes = std::max(left.ephemeral_bytes, right.ephemeral_bytes);
    for (const auto& [name, amount] : right.others) {
        auto& held = left.others[name];
        held = std::max(held, amount);
    }
    return left;
}

}   // namespace

void Resources::add(const Resources& other, int sign) {
    cpu_milli += sign * other.cpu_milli;
    memory_bytes += sign * other.memory_bytes;
    ephemeral_bytes += sign * other.ephemeral_bytes;
    for (const auto& [name, amount] : other.others) others[name] += sign * amount;
}

Resources resources_in(const api::ResourceList& list) {
    Resources resources;
    for (const auto& [name, quantity] : list) {
        if (name == "cpu")
            resources.cpu_milli = quantity.milli_value();
        else if (name == "memory")
            resources.memory_bytes = quantity.value();
        else if (name == "ephemeral-storage")
            resources.ephemeral_bytes = quantity.value();
        else if (name != "pods")
            resources.others[name.str()] = quantity.value();
    }
    return resources;
}

Resources requests_of(const view::Pod& pod) {
    Resources sum;
    for (const auto& container : pod.spec.containers)
        sum.add(resources_in(container.resources.requests));
    // Sidecars run beside everything that starts after them, also beside later init containers.
    Resources sidecars;
    Resources peak;
    for (const auto& container : pod.spec.initContainers) {
        auto own = resources_in(container.resources.requests);
        if (container.restartPolicy == "Always") {
            sidecars.add(own);
            own = sidecars;
        } else {
            own.add(sidecars);
        }
        peak = larger_of(std::move(peak), own);
    }
    sum.add(sidecars);
    auto total = larger_of(std::move(sum), peak);
    total.add(resources_in(pod.spec.overhead));
    return total;
}

std::vector<HostPort> host_ports_of(const view::Pod& pod) {
    std::vector<HostPort> ports;
    const auto collect = [&](auto&& containers) {
        for (const auto& container : containers) {
            for (const auto& port : container.ports) {
                if (port.hostPort == 0) continue;
                const std::string_view address = port.hostIP;
                ports.emplace_back(port.protocol.empty() ? "TCP" : port.protocol.str(),
                                   port.hostPort, address == "0.0.0.0" ? "" : std::string{address});
            }
        }
    };
    collect(pod.spec.containers);
    // Sidecars only: what ends before the pod runs holds no port beside it.
    collect(pod.spec.initContainers |
            std::views::filter([](const auto& one) { return one.restartPolicy == "Always"; }));
    return ports;
}

void NodeInfo::add(const PodPtr& pod) {
    remove(pod->metadata.uid);
    Entry entry{.requests = requests_of(*pod), .ports = host_ports_of(*pod)};
    requested_.add(entry.requests);
    for (const auto& port : entry.ports) ports_.insert(port);
    pods_.emplace(pod->metadata.uid, std::move(entry));
}

void NodeInfo::remove(const std::string& uid) {
    const auto found = pods_.find(uid);
    if (found == pods_.end()) return;
    requested_.add(found->second.requests, -1);
    for (const auto& port : found->second.ports) ports_.erase(ports_.find(port));
    pods_.erase(found);
}

Resources NodeInfo::allocatable() const {
    return node ? resources_in(node->status.allocatable) : Resources{};
}

int64_t NodeInfo::pods_allocatable() const {
    if (!node) return 0;
    const auto* pods = node->status.allocatable.find("pods");
    return pods ? pods->value() : 110;
}

bool NodeInfo::ports_free(const std::vector<HostPort>& wanted) const {
    return std::ranges::none_of(wanted, [&](const HostPort& want) {
        return std::ranges::any_of(ports_, [&](const HostPort& taken) {
            const auto& [want_protocol, want_port, want_address] = want;
            const auto& [protocol, port, address] = taken;
            const bool same_address =
                want_address.empty() || address.empty() || want_address == address;
            return want_protocol == protocol && want_port == port && same_address;
        });
    });
}

}   // namespace skiff::scheduler
