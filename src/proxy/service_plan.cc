#include "proxy/service_plan.h"

#include <algorithm>
#include <set>

#include "base/text.h"

namespace skiff::proxy {

namespace {

constexpr uint32_t affinity_seconds_default = 10800;
constexpr std::string_view other_proxy_label = "service.kubernetes.io/service-proxy-name";

struct Candidate {
    Endpoint endpoint;
    bool ready = false;
    bool last_resort = false;   // ends, but still serves
    bool here = false;
    std::set<std::string_view> zones;   // for which it is hinted
};

// Every endpoint of one port, once.
std::vector<Candidate> candidates(const view::Service::ServicePort& port,
                                  const std::vector<SharedSlice>& slices, const NodeOfProxy& node) {
    std::vector<Candidate> out;
    const auto wanted = parse_protocol(port.protocol);
    for (const auto& slice : slices) {
        if (slice->addressType != "IPv4") continue;
        for (const auto& slice_port : slice->ports) {
            if (slice_port.name.value_or("") != port.name || !slice_port.port ||
                parse_protocol(slice_port.protocol) != wanted)
                continue;
            for (const auto& endpoint : slice->endpoints) {
                if (endpoint.addresses.empty()) continue;
                const auto address = parse_address(endpoint.addresses.front());
                if (!address) continue;
                const auto& conditions = endpoint.conditions;
                const bool terminating = conditions.terminating.value_or(false);
                Candidate one{.endpoint = {*address, static_cast<uint16_t>(*slice_port.port)},
                              .ready = conditions.ready.value_or(true),
                              .last_resort = terminating && conditions.serving.value_or(true),
                              .here = endpoint.nodeName == node.name,
                              .zones = {}};
                if (endpoint.hints)
                    for (const auto& zone : endpoint.hints->forZones) one.zones.insert(zone.name);
                const auto same = std::ranges::find(out, one.endpoint, &Candidate::endpoint);
                if (same == out.end()) {
                    out.push_back(one);
                    continue;
                }
                same->ready |= one.ready;   // in two slices for a moment, while it moves
                same->last_resort |= one.last_resort;
                same->here |= one.here;
                same->zones.merge(one.zones);
            }
        }
    }
    return out;
}

enum class Reach { Everywhere, Here };

// Hints are followed when every endpoint has some and one of them is for this zone: what is half
// written, or for others only, would leave the zone without.
bool hints_count(const std::vector<Candidate>& all, std::string_view zone) {
    bool ours = false;
    for (const auto& one : all) {
        if (!one.ready) continue;
        if (one.zones.empty()) return false;
        ours |= one.zones.contains(zone);
    }
    return ours;
}

// Those that are ready; if there are none, those that end but still serve.
std::vector<Endpoint> usable(const std::vector<Candidate>& all, Reach reach,
                             std::string_view zone) {
    std::vector<Endpoint> out;
    const bool near = reach == Reach::Everywhere && !zone.empty() && hints_count(all, zone);
    for (const bool Candidate::*good : {&Candidate::ready, &Candidate::last_resort}) {
        for (const auto& one : all)
            if (one.*good && (reach == Reach::Everywhere || one.here) &&
                (!near || one.zones.contains(zone)))
                out.push_back(one.endpoint);
        if (!out.empty()) break;
    }
    std::ranges::sort(out);
    return out;
}

// Makes groups of one port when an entrance asks for them.
class Groups {
  public:
    Groups(ServicePlan& plan, const view::Service::ServicePort& port,
           const std::vector<Candidate>& all, std::string_view zone)
        : plan_{plan},
          name_{concat(port.name, "/", port.protocol.view())},
          all_{all},
          zone_{zone} {}

    size_t of(Reach reach) {
        auto& known = reach == Reach::Here ? here_ : everywhere_;
        if (known) return *known;
        Group group{.name = concat(name_, reach == Reach::Here ? "/here" : ""),
                    .endpoints = usable(all_, reach, zone_)};
        if (reach == Reach::Here && !usable(all_, Reach::Everywhere, {}).empty())
            group.when_empty = WhenEmpty::Drop;
        plan_.groups.push_back(std::move(group));
        known = plan_.groups.size() - 1;
        return *known;
    }

  private:
    ServicePlan& plan_;
    std::string name_;
    const std::vector<Candidate>& all_;
    std::string_view zone_;
    std::optional<size_t> everywhere_;
    std::optional<size_t> here_;
};

std::vector<std::string> cluster_addresses(const view::Service& service) {
    if (!service.spec.clusterIPs.empty()) return service.spec.clusterIPs;
    return {service.spec.clusterIP};
}

std::vector<Cidr> source_ranges(const view::Service& service) {
    std::vector<Cidr> ranges;
    for (const auto& text : service.spec.loadBalancerSourceRanges)
        if (const auto range = parse_cidr(trim(text))) ranges.push_back(*range);
    return ranges;
}

void add_entrances(ServicePlan& plan, const view::Service& service,
                   const view::Service::ServicePort& port, Groups& groups,
                   const NodeOfProxy& node) {
    const Entrance base{.address = {},
                        .protocol = *parse_protocol(port.protocol),
                        .port = static_cast<uint16_t>(port.port)};
    for (const auto& text : cluster_addresses(service)) {
        const auto address = parse_address(text);
        if (!address || address == node.dns_address) continue;
        auto entrance = base;
        entrance.address = address;
        entrance.known_address = true;
        entrance.group = groups.of(
            service.spec.internalTrafficPolicy == "Local" ? Reach::Here : Reach::Everywhere);
        plan.entrances.push_back(std::move(entrance));
    }
    const bool local = service.spec.externalTrafficPolicy == "Local";
    const auto outside = [&](std::optional<Address> address, uint16_t number) -> Entrance& {
        auto entrance = base;
        entrance.address = address;
        entrance.port = number;
        entrance.masked = !local;
        entrance.group = groups.of(local ? Reach::Here : Reach::Everywhere);
        if (local) entrance.near_group = groups.of(Reach::Everywhere);
        return plan.entrances.emplace_back(std::move(entrance));
    };
    for (const auto& text : service.spec.externalIPs)
        if (const auto address = parse_address(text)) outside(address, base.port);
    if (service.spec.type == "LoadBalancer") {
        for (const auto& ingress : service.status.loadBalancer.ingress) {
            const auto address = parse_address(ingress.ip);
            if (!address || ingress.ipMode.value_or("VIP") == "Proxy") continue;
            outside(address, base.port).only_from = source_ranges(service);
        }
    }
    if (port.nodePort != 0) outside(std::nullopt, static_cast<uint16_t>(port.nodePort));
}

}   // namespace

ServicePlan plan_service(const view::Service& service, const std::vector<SharedSlice>& slices,
                         const NodeOfProxy& node) {
    ServicePlan plan;
    const auto& spec = service.spec;
    if (spec.type == "ExternalName" || spec.clusterIP.empty() || spec.clusterIP == "None" ||
        service.metadata.labels.contains(other_proxy_label))
        return plan;
    if (spec.sessionAffinity == "ClientIP") {
        plan.affinity_seconds = affinity_seconds_default;
        if (spec.sessionAffinityConfig && spec.sessionAffinityConfig->clientIP) {
            const auto& config = *spec.sessionAffinityConfig->clientIP;
            plan.affinity_seconds = config.timeoutSeconds.value_or(affinity_seconds_default);
        }
    }
    std::set<Address> healthy;
    for (const auto& port : spec.ports) {
        if (!parse_protocol(port.protocol)) continue;
        const auto all = candidates(port, slices, node);
        Groups groups{plan, port, all, node.zone};
        add_entrances(plan, service, port, groups, node);
        for (const auto& one : all) {
            if (one.here) plan.hairpins.push_back(one.endpoint.address);
            if (one.here && one.ready) healthy.insert(one.endpoint.address);
        }
    }
    if (spec.type == "LoadBalancer" && spec.externalTrafficPolicy == "Local" &&
        spec.healthCheckNodePort != 0)
        plan.health = {.port = static_cast<uint16_t>(spec.healthCheckNodePort),
                       .endpoints = healthy.size()};
    std::ranges::sort(plan.hairpins);
    plan.hairpins.erase(std::ranges::unique(plan.hairpins).begin(), plan.hairpins.end());
    return plan;
}

}   // namespace skiff::proxy
