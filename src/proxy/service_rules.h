// All services of the node as one nftables table. A change of one service changes the elements that
// are its own, however many others there are: an entrance's endpoints are elements of maps that all
// services share, one for each number of endpoints (the kernel's random number wants a constant
// bound), and each map has one rule:
//
//   address . protocol . port . random below 3 → endpoint   (map `addresses-3`, for cluster IPs …)
//             protocol . port . random below 3 → endpoint   (map `ports-3`, for node ports)
//
// What comes from near (this node and its pods) looks into `near-addresses-3` … first: a Local
// policy is for outsiders. Verdict maps would do with less, but the kernel walks them whole at
// every change; lookups by what another lookup found crash `nft list` (1.0.6). Pure.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "client/object_key.h"
#include "proxy/ruleset.h"
#include "proxy/service_plan.h"

namespace skiff::proxy {

struct ServiceRulesOptions {
    std::string cluster_id;
    NodeOfProxy node;
    Cidr pod_range;   // of the whole cluster
    Cidr service_range;
};

// Where connections may go that the kernel keeps in mind: for UDP, which has no end, and for
// clients with affinity.
struct StaleFlows {
    std::optional<Address> address;   // absent: a node port
    Protocol protocol = Protocol::Tcp;
    uint16_t port = 0;
    std::set<Endpoint> endpoints;   // that are still right
    bool affinity = false;
};

inline std::string services_table(std::string_view cluster_id) {
    return "skiff-" + std::string{cluster_id} + "-services";
}
// Which client went where; elements come from rules and end by themselves.
inline constexpr std::string_view affinity_map = "affinity";             // by address, port, client
inline constexpr std::string_view port_affinity_map = "port-affinity";   // by node port, client

class ServiceRules {
  public:
    explicit ServiceRules(ServiceRulesOptions options);

    // Null: it is gone.
    void set_service(const client::ObjectKey& key, SharedService service);
    void set_slice(const client::ObjectKey& key, SharedSlice slice);
    void set_zone(const std::string& zone);   // of the node

    Ruleset& rules() { return rules_; }
    const Ruleset& rules() const { return rules_; }
    std::vector<StaleFlows> take_stale_flows() { return std::exchange(stale_, {}); }
    // Those that are no longer as they were.
    std::map<client::ObjectKey, HealthPort> take_health_ports() {
        return std::exchange(health_, {});
    }

  private:
    // One service's wish for an element. Several may have the same (external IPs, say): the first
    // by name has it.
    struct Claim {
        std::string set;
        std::string key;
        std::string value;
        auto operator<=>(const Claim&) const = default;
    };
    struct Service {
        SharedService object;
        std::map<client::ObjectKey, SharedSlice> slices;
        ServicePlan plan;
        std::vector<Claim> claims;                         // sorted
        std::map<std::string, std::vector<Cidr>> guards;   // chains that it needs
    };

    void add_sets();
    void add_chains();
    void set_door_chain(std::string_view door);
    void set_learning_chain();
    void look_again(const client::ObjectKey& key);
    std::vector<Claim> claims_of(const ServicePlan& plan);
    void claim_endpoints(std::vector<Claim>& claims, std::string_view door, const std::string& key,
                         const std::vector<Endpoint>& endpoints);
    void set_claims(const client::ObjectKey& key, Service& service, std::vector<Claim> claims);
    void set_guards(Service& service, const ServicePlan& plan);
    void note_stale(const ServicePlan& before, const ServicePlan& now);

    ServiceRulesOptions options_;
    Ruleset rules_;
    std::map<client::ObjectKey, Service> services_;
    std::map<client::ObjectKey, client::ObjectKey> service_of_slice_;
    std::map<std::pair<std::string, std::string>, std::map<client::ObjectKey, std::string>>
        claimed_;   // set and key: whose, and with what value
    std::map<std::string, unsigned> guard_users_;
    std::map<std::string_view, std::set<size_t>> counts_;   // by door: maps that there are
    std::set<uint32_t> affinity_times_;
    std::vector<StaleFlows> stale_;
    std::map<client::ObjectKey, HealthPort> health_;
};

}   // namespace skiff::proxy
