// What one service wants of its node: where traffic enters, and where it goes. Decides, never acts.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "proxy/addresses.h"
#include "proxy/health_checks.h"
#include "proxy/views.h"

namespace skiff::proxy {

struct Endpoint {
    Address address = 0;
    uint16_t port = 0;
    bool operator==(const Endpoint&) const = default;
    auto operator<=>(const Endpoint&) const = default;
};

// What happens to traffic that no endpoint may take.
enum class WhenEmpty : uint8_t {
    Refuse,   // there is none at all
    Drop      // there is none on this node, and the policy says Local
};

// Endpoints among which a connection's is drawn.
struct Group {
    std::string name;   // port, protocol and reach: unique within the service
    std::vector<Endpoint> endpoints;
    WhenEmpty when_empty = WhenEmpty::Refuse;
    bool operator==(const Group&) const = default;
};

struct Entrance {
    std::optional<Address> address;   // absent: a node port, on every address of the machine
    Protocol protocol = Protocol::Tcp;
    uint16_t port = 0;
    size_t group = 0;
    // Where traffic from this node and its pods goes instead: a Local policy is for outsiders.
    std::optional<size_t> near_group;
    bool masked = false;           // pods see the node's address, not the client's
    bool known_address = false;    // a cluster IP: its other ports are refused
    std::vector<Cidr> only_from;   // loadBalancerSourceRanges; empty: everyone
    bool operator==(const Entrance&) const = default;
};

struct ServicePlan {
    std::vector<Group> groups;
    std::vector<Entrance> entrances;
    std::optional<uint32_t> affinity_seconds;
    std::vector<Address> hairpins;   // endpoints on this node: they may reach themselves
    HealthPort health;               // asked by load balancers
    bool operator==(const ServicePlan&) const = default;
};

struct NodeOfProxy {
    std::string name;
    std::optional<Address> dns_address;   // is served on the machine itself: nothing is done for it
    std::string zone;                     // topology.kubernetes.io/zone; "" for none
};

using SharedService = std::shared_ptr<const view::Service>;
using SharedSlice = std::shared_ptr<const view::EndpointSlice>;

ServicePlan plan_service(const view::Service& service, const std::vector<SharedSlice>& slices,
                         const NodeOfProxy& node);

}   // namespace skiff::proxy
