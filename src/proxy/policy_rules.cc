#include "proxy/policy_rules.h"

#include <algorithm>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>

#include "base/text.h"
#include "codec/json.h"

namespace skiff::proxy {

namespace {

constexpr int32_t priority_out = -5;   // just before other filters
constexpr int32_t priority_in = -4;
constexpr uint32_t state_established = 1u << 1;   // NF_CT_STATE_BIT of nf_conntrack_tuple_common
constexpr uint32_t state_related = 1u << 2;

constexpr std::string_view self_set = "self";

uint64_t hash_of(std::string_view text) {
    uint64_t hash = 14695981039346656037u;
    for (const char c : text) hash = (hash ^ static_cast<uint8_t>(c)) * 1099511628211u;
    return hash;
}

std::optional<api::LabelSelector> selector_of(const std::string& text) {
    const auto document = codec::parse_json(text.empty() ? "{}" : text);
    if (!document) return std::nullopt;
    auto selector = api::LabelSelector::from_object(document->root);
    if (!selector) return std::nullopt;
    return *std::move(selector);
}

// The pod has a network of its own, and somebody may still use it.
std::optional<Address> address_of(const view::Pod& pod) {
    if (pod.spec.hostNetwork || pod.status.phase == "Succeeded" || pod.status.phase == "Failed")
        return std::nullopt;
    return parse_address(pod.status.podIP);
}

// Ports of that name and protocol.
std::vector<uint16_t> ports_named(const view::Pod& pod, const std::string& name,
                                  Protocol protocol) {
    std::vector<uint16_t> out;
    const auto look = [&](const auto& containers) {
        for (const auto& container : containers)
            for (const auto& port : container.ports)
                if (port.name == name && parse_protocol(port.protocol) == protocol)
                    out.push_back(static_cast<uint16_t>(port.containerPort));
    };
    look(pod.spec.containers);
    look(pod.spec.initContainers);
    return out;
}

const auto& peers_of(const view::NetworkPolicy::NetworkPolicyIngressRule& rule) {
    return rule.from;
}
const auto& peers_of(const view::NetworkPolicy::NetworkPolicyEgressRule& rule) { return rule.to; }

}   // namespace

PolicyRules::PolicyRules(std::string_view cluster_id, std::string node_name)
    : node_name_{std::move(node_name)}, rules_{policies_table(cluster_id)} {}

// ---- the table --------------------------------------------------------------------------------

void PolicyRules::add_skeleton() {
    if (rules_.has_chain("in")) return;
    rules_.put_set(std::string{self_set}, {.key = {Part::Ipv4, Part::Ipv4}, .value = {}});
    for (const auto* name : {"isolated-in", "isolated-out"})
        rules_.put_set(name, {.key = {Part::Ipv4}, .value = {}, .verdict = Verdict::Jump});
    const auto chain = [](int32_t priority, bool out) {
        Rule subject;
        if (out)
            subject.source_address(0);
        else
            subject.target_address(0);
        return Chain{.hook = Hook{"filter", NF_INET_FORWARD, priority},
                     .rules = {Rule{}
                                   .tracked_state(0)
                                   .mask(0, number_part(state_established | state_related))
                                   .differs(0, number_part(0))
                                   .verdict(Verdict::Accept),
                               Rule{}
                                   .source_address(0)
                                   .target_address(1)
                                   .in_set(self_set, 0)
                                   .verdict(Verdict::Accept),
                               subject.verdict_from(out ? "isolated-out" : "isolated-in", 0)}};
    };
    rules_.put_chain("out", chain(priority_out, true));
    rules_.put_chain("in", chain(priority_in, false));
}

// ---- policies ---------------------------------------------------------------------------------

std::string PolicyRules::chain_of(const Policy& policy, Way way) const {
    return concat(policy.id, way == Way::In ? "-in" : "-out");
}

void PolicyRules::share_set(Policy& policy, const std::string& name, const SetShape& shape) {
    if (!policy.sets.insert(name).second) return;
    if (++set_users_[name] == 1) rules_.put_set(name, shape);
}

void PolicyRules::release_set(const std::string& name) {
    if (--set_users_[name] > 0) return;
    set_users_.erase(name);
    if (named_ports_.erase(name) > 0)
        for (auto& [key, pod] : pods_)
            std::erase_if(pod.ports, [&](const auto& one) { return one.first == name; });
    rules_.remove_set(name);
}

// What a packet's port must be, a rule for each possibility; at least one.
std::vector<Rule> PolicyRules::port_matches(
    Policy& policy, const std::vector<view::NetworkPolicy::NetworkPolicyPort>& ports) {
    if (ports.empty()) return {Rule{}};
    std::vector<Rule> out;
    for (const auto& port : ports) {
        const auto protocol = parse_protocol(port.protocol);
        if (!protocol) continue;
        if (port.port && port.port->is_string) {
            const auto name =
                concat("port-", hash_of(concat(port.port->text, "/", protocol_text(*protocol))));
            const bool fresh = !set_users_.contains(name);
            share_set(policy, name,
                      {.key = {Part::Ipv4, Part::Transport, Part::Port}, .value = {}});
            if (fresh) {
                named_ports_[name] = {port.port->text, *protocol};
                for (auto& [key, pod] : pods_) apply_ports(pod);
            }
            out.push_back(Rule{}.target_address(0).protocol(1).target_port(2).in_set(name, 0));
            continue;
        }
        Rule rule;
        rule.protocol(0).equals(0, std::string(1, static_cast<char>(*protocol)));
        if (port.port) {
            const auto first = port_part(static_cast<uint16_t>(port.port->number)).substr(0, 2);
            const auto last =
                port.endPort ? port_part(static_cast<uint16_t>(*port.endPort)).substr(0, 2) : first;
            rule.target_port(0);
            if (first == last)
                rule.equals(0, first);
            else
                rule.between(0, first, last);
        }
        out.push_back(std::move(rule));
    }
    return out;
}

template <class RuleView>
void PolicyRules::add_rules(Policy& policy, Way way, const std::vector<RuleView>& rules) {
    Chain chain;
    const auto load = [&] {
        return way == Way::In ? Rule{}.source_address(0) : Rule{}.target_address(0);
    };
    for (size_t i = 0; i < rules.size(); ++i) {
        std::vector<Rule> whom;   // each possibility
        PolicyRule compiled;
        std::vector<Range> blocks;
        for (const auto& peer : peers_of(rules[i])) {
            if (peer.ipBlock) {
                std::vector<Range> except;
                for (const auto& text : peer.ipBlock->except)
                    if (const auto cidr = parse_cidr(text)) except.push_back(cidr->range());
                if (const auto cidr = parse_cidr(peer.ipBlock->cidr))
                    for (const auto& range : without(cidr->range(), except))
                        blocks.push_back(range);
                continue;
            }
            Peer one;
            if (!peer.podSelector.empty()) one.pods = selector_of(peer.podSelector);
            if (!peer.namespaceSelector.empty())
                one.namespaces = selector_of(peer.namespaceSelector);
            const bool read = (peer.podSelector.empty() || one.pods) &&
                              (peer.namespaceSelector.empty() || one.namespaces);
            if (read) compiled.peers.push_back(std::move(one));
        }
        if (peers_of(rules[i]).empty()) whom.emplace_back();   // everyone
        if (!compiled.peers.empty()) {
            compiled.peers_set = concat(chain_of(policy, way), "-", i);
            share_set(policy, compiled.peers_set, {.key = {Part::Ipv4}, .value = {}});
            whom.push_back(load().in_set(compiled.peers_set, 0));
        }
        if (blocks = merged(std::move(blocks)); !blocks.empty()) {
            std::string text;
            for (const auto& range : blocks) append(text, range.first, "-", range.end, " ");
            const auto name = concat("blocks-", hash_of(text));
            share_set(policy, name, {.key = {Part::Ipv4}, .value = {}, .intervals = true});
            for (const auto& range : blocks)
                rules_.put(name, address_part(range.first) + address_part(range.end));
            whom.push_back(load().in_set(name, 0));
        }
        const auto ports = port_matches(policy, rules[i].ports);
        for (const auto& peer : whom)
            for (const auto& port : ports) {
                Rule rule = peer;
                chain.rules.push_back(rule.append(port).verdict(Verdict::Accept));
            }
        policy.rules.push_back(std::move(compiled));
    }
    rules_.put_chain(chain_of(policy, way), std::move(chain));
}

PolicyRules::Policy PolicyRules::compile(const client::ObjectKey& key,
                                         const view::NetworkPolicy& object) {
    const auto& spec = object.spec;
    Policy policy;
    policy.id = concat("policy-", hash_of(key.text()));
    policy.name_space = key.name_space;
    policy.subject = selector_of(spec.podSelector);
    const auto says = [&](const char* type) {
        return std::ranges::find(spec.policyTypes, type) != spec.policyTypes.end();
    };
    policy.isolates[size_t(Way::In)] = spec.policyTypes.empty() || says("Ingress");
    policy.isolates[size_t(Way::Out)] =
        says("Egress") || (spec.policyTypes.empty() && !spec.egress.empty());
    if (policy.isolates[size_t(Way::In)]) add_rules(policy, Way::In, spec.ingress);
    if (policy.isolates[size_t(Way::Out)]) add_rules(policy, Way::Out, spec.egress);
    return policy;
}

void PolicyRules::set_policy(const client::ObjectKey& key, SharedPolicy policy) {
    add_skeleton();
    const auto old = policies_.find(key);
    std::optional<Policy> before;
    if (old != policies_.end()) before = std::move(old->second);
    if (policy) {
        policies_[key] = compile(key, *policy);
    } else if (old != policies_.end()) {
        policies_.erase(old);
    }
    const auto now = policies_.find(key);
    for (auto& [name, pod] : pods_)
        apply(pod, key, now == policies_.end() ? nullptr : &now->second);
    if (before) {
        for (const auto& set : before->sets) release_set(set);
        for (const auto way : {Way::In, Way::Out})
            if (before->isolates[size_t(way)] &&
                (now == policies_.end() || !now->second.isolates[size_t(way)]))
                rules_.remove_chain(chain_of(*before, way));
    }
    if (!policies_.empty()) return;
    for (const auto* chain : {"in", "out"}) rules_.remove_chain(chain);
    for (const auto* set : {"self", "isolated-in", "isolated-out"}) rules_.remove_set(set);
}

// ---- pods -------------------------------------------------------------------------------------

void PolicyRules::put_elements(Elements& now, Elements wanted) {
    for (const auto& one : wanted)
        if (!now.contains(one)) rules_.put(one.first, one.second);
    for (const auto& one : now)
        if (!wanted.contains(one) && rules_.has_set(one.first))
            rules_.remove(one.first, one.second);
    now = std::move(wanted);
}

bool PolicyRules::names(const Peer& peer, const Policy& policy, const view::Pod& pod) const {
    if (peer.namespaces) {
        const auto found = namespaces_.find(pod.metadata.namespace_.str());
        if (found == namespaces_.end() || !peer.namespaces->matches(found->second->metadata.labels))
            return false;
    } else if (pod.metadata.namespace_ != policy.name_space) {
        return false;
    }
    return !peer.pods || peer.pods->matches(pod.metadata.labels);
}

bool PolicyRules::is_subject(const Policy& policy, const view::Pod& pod) const {
    return pod.spec.nodeName == node_name_ && pod.metadata.namespace_ == policy.name_space &&
           policy.subject && policy.subject->matches(pod.metadata.labels);
}

void PolicyRules::apply(Pod& pod, const client::ObjectKey& policy_key, const Policy* policy) {
    Elements wanted;
    const bool there = policy && pod.object && pod.address;
    if (there) {
        for (const auto& rule : policy->rules)
            for (const auto& peer : rule.peers)
                if (names(peer, *policy, *pod.object))
                    wanted.insert({rule.peers_set, address_part(*pod.address)});
    }
    const bool subject = there && is_subject(*policy, *pod.object);
    auto& known = pod.elements[policy_key];
    put_elements(known, std::move(wanted));
    if (known.empty()) pod.elements.erase(policy_key);
    for (const auto way : {Way::In, Way::Out}) {
        auto& by = pod.isolated_by[size_t(way)];
        const bool isolated = subject && policy->isolates[size_t(way)];
        const bool changed = isolated ? by.insert(policy_key).second : by.erase(policy_key) > 0;
        if (changed) lead(pod, way);
    }
}

void PolicyRules::apply_ports(Pod& pod) {
    Elements wanted;
    if (pod.object && pod.address)
        for (const auto& [set, port] : named_ports_)
            for (const auto number : ports_named(*pod.object, port.first, port.second))
                wanted.insert({set, address_part(*pod.address) + protocol_part(port.second) +
                                        port_part(number)});
    put_elements(pod.ports, std::move(wanted));
}

void PolicyRules::leave_group(const std::string& name) {
    const auto group = groups_.find(name);
    if (group == groups_.end() || --group->second.pods > 0) return;
    rules_.remove_chain(name);
    groups_.erase(group);
}

// To the chain of just its policies, or to none.
void PolicyRules::lead(Pod& pod, Way way) {
    const auto& policies = pod.isolated_by[size_t(way)];
    const std::string map = way == Way::In ? "isolated-in" : "isolated-out";
    const auto key = address_part(*pod.address);
    std::string name;
    if (!policies.empty()) {
        std::string text;
        for (const auto& one : policies) append(text, one.text(), "\n");
        name = concat("pods-", hash_of(text), way == Way::In ? "-in" : "-out");
        auto& group = groups_[name];
        if (++group.pods == 1) {
            group.policies = policies;
            Chain chain;
            for (const auto& one : policies)
                chain.rules.push_back(
                    Rule{}.verdict(Verdict::Jump, chain_of(policies_.at(one), way)));
            chain.rules.push_back(Rule{}.verdict(Verdict::Drop));
            rules_.put_chain(name, std::move(chain));
        }
        rules_.put(map, key, name);
    } else {
        rules_.remove(map, key);
    }
    leave_group(std::exchange(pod.group[size_t(way)], name));
    if (pod.group[0].empty() && pod.group[1].empty())
        rules_.remove(self_set, key + key);
    else
        rules_.put(self_set, key + key);
}

// A pod whose address another has been given since has none.
void PolicyRules::take_address(const client::ObjectKey& key, Pod& pod) {
    auto wanted = pod.object ? address_of(*pod.object) : std::nullopt;
    if (pod.object && !pod.admitted_uid.empty() && pod.admitted_uid == pod.object->metadata.uid &&
        pod.address && pod.object->status.podIP.empty())
        wanted = pod.address;
    if (wanted) {
        const auto holder = by_address_.find(*wanted);
        if (holder != by_address_.end() && holder->second != key &&
            !pods_[holder->second].admitted_uid.empty())
            wanted.reset();
    }
    if (wanted == pod.address) return;
    if (pod.address) {   // everything under the old one goes first
        auto object = std::exchange(pod.object, nullptr);
        for (const auto& [name, policy] : policies_) apply(pod, name, &policy);
        apply_ports(pod);
        by_address_.erase(*pod.address);
        pod.address.reset();
        pod.object = std::move(object);
    }
    if (!wanted) return;
    if (const auto holder = by_address_.find(*wanted); holder != by_address_.end()) {
        const auto other = holder->second;
        auto& loser = pods_[other];
        auto object = std::exchange(loser.object, nullptr);
        settle_pod(other);
        pods_[other].object = std::move(object);
    }
    pod.address = wanted;
    by_address_[*wanted] = key;
}

void PolicyRules::settle_pod(const client::ObjectKey& key) {
    auto& pod = pods_[key];
    take_address(key, pod);
    for (const auto& [name, policy] : policies_) apply(pod, name, &policy);
    apply_ports(pod);
}

void PolicyRules::set_pod(const client::ObjectKey& key, SharedPod pod) {
    auto& known = pods_[key];
    if (!pod || known.admitted_uid != pod->metadata.uid) known.admitted_uid.clear();
    known.object = std::move(pod);
    settle_pod(key);
    if (!known.object) pods_.erase(key);
}

bool PolicyRules::admit(const client::ObjectKey& key, const std::string& uid, Address address) {
    const auto found = pods_.find(key);
    if (found == pods_.end() || !found->second.object || found->second.object->metadata.uid != uid)
        return false;
    auto& pod = found->second;
    if (pod.address == address) {
        pod.admitted_uid = uid;
        return true;
    }
    if (const auto holder = by_address_.find(address); holder != by_address_.end())
        pods_[holder->second].admitted_uid.clear();
    auto told = std::make_shared<view::Pod>(*pod.object);
    told->status.podIP = address_text(address);
    const auto object = std::exchange(pod.object, told);
    settle_pod(key);
    pod.object = object;
    pod.admitted_uid = uid;
    return true;
}

void PolicyRules::set_namespace(const std::string& name, SharedNamespace now) {
    if (now)
        namespaces_[name] = std::move(now);
    else
        namespaces_.erase(name);
    for (auto pod = pods_.lower_bound({.name_space = name, .name = ""});
         pod != pods_.end() && pod->first.name_space == name; ++pod)
        for (const auto& [key, policy] : policies_) apply(pod->second, key, &policy);
}

}   // namespace skiff::proxy
