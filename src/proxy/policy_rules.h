// NetworkPolicies as one nftables table. A pod that some policy isolates is an element of a map
// that leads to a chain, shared by all pods that the same policies hold for; it tries each policy's
// own chain and drops what none let through. Whom a rule names is in sets of addresses: a pod that
// comes, goes or changes its labels changes elements only. Packets are looked at on their way
// between interfaces: after services were resolved, and never those of the node itself, which may
// always reach its pods and be reached. There is no table while no pod is isolated. Pure.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "api/selectors.h"
#include "client/object_key.h"
#include "proxy/addresses.h"
#include "proxy/ruleset.h"
#include "proxy/views.h"

namespace skiff::proxy {

using SharedPod = std::shared_ptr<const view::Pod>;
using SharedNamespace = std::shared_ptr<const view::Namespace>;
using SharedPolicy = std::shared_ptr<const view::NetworkPolicy>;

inline std::string policies_table(std::string_view cluster_id) {
    return "skiff-" + std::string{cluster_id} + "-policies";
}

class PolicyRules {
  public:
    PolicyRules(std::string_view cluster_id, std::string node_name);

    // Null: it is gone.
    void set_pod(const client::ObjectKey& key, SharedPod pod);
    void set_namespace(const std::string& name, SharedNamespace now);
    void set_policy(const client::ObjectKey& key, SharedPolicy policy);

    // The address of a pod of this node, before the API tells it. It holds until the pod is gone,
    // also against another that had it before. False: that pod is not known (yet).
    bool admit(const client::ObjectKey& key, const std::string& uid, Address address);

    Ruleset& rules() { return rules_; }
    const Ruleset& rules() const { return rules_; }

  private:
    enum class Way : uint8_t { In, Out };

    struct Peer {
        std::optional<api::LabelSelector> pods;
        std::optional<api::LabelSelector> namespaces;
    };
    struct PolicyRule {
        std::string peers_set;   // "" when it names no pods
        std::vector<Peer> peers;
    };
    struct Policy {
        std::string id;   // in the names of its chains and sets
        std::string name_space;
        std::optional<api::LabelSelector> subject;   // absent: nobody (it cannot be read)
        bool isolates[2] = {false, false};           // by Way
        std::vector<PolicyRule> rules;
        std::set<std::string> sets;   // that its chains need and others may share
    };
    using Elements = std::set<std::pair<std::string, std::string>>;   // set, key
    struct Pod {
        SharedPod object;
        std::optional<Address> address;
        std::string admitted_uid;
        std::map<client::ObjectKey, Elements> elements;   // by policy that named it
        Elements ports;                                   // in the sets of named ports
        std::set<client::ObjectKey> isolated_by[2];
        std::string group[2];   // the chain it is led to
    };
    struct Group {
        std::set<client::ObjectKey> policies;
        size_t pods = 0;
    };

    void add_skeleton();
    std::string chain_of(const Policy& policy, Way way) const;
    Policy compile(const client::ObjectKey& key, const view::NetworkPolicy& object);
    template <class Rule>
    void add_rules(Policy& policy, Way way, const std::vector<Rule>& rules);
    void share_set(Policy& policy, const std::string& name, const SetShape& shape);
    void release_set(const std::string& name);
    std::vector<Rule> port_matches(
        Policy& policy, const std::vector<view::NetworkPolicy::NetworkPolicyPort>& ports);

    void settle_pod(const client::ObjectKey& key);
    void take_address(const client::ObjectKey& key, Pod& pod);
    void apply(Pod& pod, const client::ObjectKey& policy_key, const Policy* policy);
    void apply_ports(Pod& pod);
    void lead(Pod& pod, Way way);
    void leave_group(const std::string& name);
    bool names(const Peer& peer, const Policy& policy, const view::Pod& pod) const;
    bool is_subject(const Policy& policy, const view::Pod& pod) const;
    void put_elements(Elements& now, Elements wanted);

    std::string node_name_;
    Ruleset rules_;
    std::map<client::ObjectKey, Pod> pods_;
    std::map<Address, client::ObjectKey> by_address_;
    std::map<std::string, SharedNamespace> namespaces_;
    std::map<client::ObjectKey, Policy> policies_;
    std::map<std::string, Group> groups_;                                   // by chain
    std::map<std::string, unsigned> set_users_;                             // of shared sets
    std::map<std::string, std::pair<std::string, Protocol>> named_ports_;   // by set
};

}   // namespace skiff::proxy
