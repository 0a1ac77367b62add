#include "controllers/backends.h"

#include <algorithm>

namespace skiff::controllers {
namespace {

using Condition = std::remove_cvref_t<decltype(view::Pod{}.status.conditions[0])>;

const Condition* ready_condition(const view::Pod& pod) {
    for (const auto& condition : pod.status.conditions)
        if (condition.type == "Ready") return &condition;
    return nullptr;
}

bool passes_readiness(const view::Pod& pod) {
    const auto* condition = ready_condition(pod);
    return condition && condition->status == "True";
}

bool ended(const view::Pod& pod) {
    return pod.status.phase == "Failed" || pod.status.phase == "Succeeded";
}

std::string address_of(const view::Pod& pod) {
    if (!pod.status.podIPs.empty()) return pod.status.podIPs.front().ip;
    return pod.status.podIP;
}

template <class Containers>
std::optional<int32_t> named_port(const Containers& containers, std::string_view name,
                                  std::string_view protocol) {
    for (const auto& container : containers) {
        if constexpr (requires { container.restartPolicy; })
            if (container.restartPolicy != "Always") continue;   // of the initial ones: sidecars
        for (const auto& port : container.ports) {
            const std::string_view spoken = port.protocol.view();
            if (port.name == name && (spoken.empty() ? "TCP" : spoken) == protocol)
                return port.containerPort;
        }
    }
    return std::nullopt;
}

std::optional<int32_t> target_of(const view::Pod& pod, const view::Service::ServicePort& port) {
    const auto& target = port.targetPort;
    if (!target.is_string) return target.number == 0 ? port.port : target.number;
    const std::string_view protocol = port.protocol.view();
    if (const auto found = named_port(pod.spec.containers, target.text, protocol)) return found;
    return named_port(pod.spec.initContainers, target.text, protocol);
}

std::vector<BackendPort> ports_of(const view::Service& service, const view::Pod& pod) {
    std::vector<BackendPort> ports;
    for (const auto& port : service.spec.ports)
        if (const auto number = target_of(pod, port))
            ports.push_back({.name = port.name,
                             .protocol = port.protocol.str(),
                             .port = *number,
                             .app_protocol = port.appProtocol});
    return ports;
}

}   // namespace

bool selects(const api::Labels& selector, const api::Labels& labels) {
    return !selector.empty() && std::ranges::all_of(selector, [&](const auto& pair) {
        const auto* value = labels.find(pair.first.view());
        return value && *value == pair.second;
    });
}

bool managed(const view::Service& service) {
    return service.spec.type != "ExternalName" && !service.spec.selector.empty();
}

std::vector<Backend> backends_of(const view::Service& service, const PodList& pods) {
    std::vector<Backend> backends;
    for (const auto& pod : pods) {
        const auto ip = address_of(*pod);
        if (ip.empty() || ended(*pod) || !selects(service.spec.selector, pod->metadata.labels))
            continue;
        const bool serving = passes_readiness(*pod);
        const bool terminating = pod->metadata.deletionTimestamp.has_value();
        const bool named = pod->spec.subdomain == service.metadata.name;
        backends.push_back(
            {.ip = ip,
             .hostname = named ? std::string{pod->spec.hostname} : std::string{},
             .node = pod->spec.nodeName.str(),
             .name_space = pod->metadata.namespace_.str(),
             .name = pod->metadata.name,
             .uid = pod->metadata.uid,
             .serving = serving,
             .terminating = terminating,
             .ready = service.spec.publishNotReadyAddresses || (serving && !terminating),
             .ports = ports_of(service, *pod)});
    }
    std::ranges::sort(backends, {}, [](const Backend& one) { return std::tie(one.ip, one.uid); });
    return backends;
}

bool same_backend(const view::Pod& left, const view::Pod& right) {
    return address_of(left) == address_of(right) && ended(left) == ended(right) &&
           left.metadata.uid == right.metadata.uid &&
           left.metadata.labels == right.metadata.labels &&
           left.metadata.deletionTimestamp.has_value() ==
               right.metadata.deletionTimestamp.has_value() &&
           passes_readiness(left) == passes_readiness(right) &&
           left.spec.nodeName == right.spec.nodeName;
}

std::optional<WallTime> last_change(const view::Service& service, const PodList& pods) {
    auto last = service.metadata.creationTimestamp;
    for (const auto& pod : pods) {
        const auto* condition = ready_condition(*pod);
        if (!condition || !condition->lastTransitionTime) continue;
        if (!last || *condition->lastTransitionTime > *last) last = condition->lastTransitionTime;
    }
    return last;
}

}   // namespace skiff::controllers
