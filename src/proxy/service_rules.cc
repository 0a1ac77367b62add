#include "proxy/service_rules.h"

#include <algorithm>
#include <array>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/rtnetlink.h>

#include "base/text.h"

namespace skiff::proxy {

namespace {

constexpr int32_t priority_target = -100;   // NF_IP_PRI_NAT_DST
constexpr int32_t priority_source = 99;     // before the pods' own masquerading

// What traffic may enter by.
constexpr std::string_view by_address = "addresses";
constexpr std::string_view by_port = "ports";
constexpr std::string_view near_by_address = "near-addresses";
constexpr std::string_view near_by_port = "near-ports";
constexpr std::array doors{by_address, by_port, near_by_address, near_by_port};
bool has_address(std::string_view door) { return door == by_address || door == near_by_address; }

constexpr std::string_view targets = "targets";   // every address that is an entrance
constexpr std::string_view known = "known";       // the cluster IPs among them
constexpr std::string_view masked = "masked";
constexpr std::string_view masked_ports = "masked-ports";
constexpr std::string_view refused = "refused";
constexpr std::string_view refused_ports = "refused-ports";
constexpr std::string_view silent = "silent";
constexpr std::string_view silent_ports = "silent-ports";
constexpr std::string_view hairpins = "hairpins";
constexpr std::string_view guards = "guards";

std::string map_of(std::string_view door, size_t endpoints) { return concat(door, "-", endpoints); }
std::string sticky_of(uint32_t seconds) { return concat("sticky-", seconds); }
std::string sticky_ports_of(uint32_t seconds) { return concat("sticky-ports-", seconds); }

const std::string& local() {
    static const std::string value = number_part(RTN_LOCAL);
    return value;
}

// The entrance of a packet into registers 0, 1, 2; of one by its port into 0, 1.
Rule entrance_of(std::string_view door) {
    Rule rule;
    if (has_address(door))
        rule.target_address(0).protocol(1).target_port(2);
    else
        rule.protocol(0).target_port(1);
    return rule;
}
constexpr Register after_entrance(std::string_view door) { return door.ends_with("ports") ? 2 : 3; }

// The same of a connection, when it may be translated already.
Rule original_entrance() {
    return Rule{}.tracked_target(0).tracked_protocol(1).tracked_target_port(2);
}
Rule original_port() { return Rule{}.tracked_protocol(0).tracked_target_port(1); }

Rule in_range(Rule rule, const Cidr& range) {
    return rule.mask(0, address_part(range.mask)).equals(0, address_part(range.address));
}

std::string key_of(const Entrance& entrance) {
    const auto rest = protocol_part(entrance.protocol) + port_part(entrance.port);
    return entrance.address ? address_part(*entrance.address) + rest : rest;
}

std::string guard_name(const std::vector<Cidr>& ranges) {
    uint64_t hash = 14695981039346656037u;
    for (const auto& range : ranges)
        for (const uint64_t part : {range.address, range.mask})
            hash = (hash ^ part) * 1099511628211u;
    return concat("guard-", hash);
}

Chain guard_chain(const std::vector<Cidr>& ranges) {
    Chain chain;
    for (const auto& range : ranges)
        chain.rules.push_back(in_range(Rule{}.source_address(0), range).verdict(Verdict::Return));
    chain.rules.push_back(Rule{}.verdict(Verdict::Drop));
    return chain;
}

}   // namespace

// ---- the table --------------------------------------------------------------------------------

ServiceRules::ServiceRules(ServiceRulesOptions options)
    : options_{std::move(options)}, rules_{services_table(options_.cluster_id)} {
    add_sets();
    add_chains();
}

void ServiceRules::add_sets() {
    using enum Part;
    const auto add = [this](std::string_view name, const SetShape& shape) {
        rules_.put_set(std::string{name}, shape);
    };
    for (const auto name : {masked, refused, silent})
        add(name, {.key = {Ipv4, Transport, Port}, .value = {}});
    for (const auto name : {masked_ports, refused_ports, silent_ports})
        add(name, {.key = {Transport, Port}, .value = {}});
    for (const auto name : {targets, known}) add(name, {.key = {Ipv4}, .value = {}});
    add(hairpins, {.key = {Ipv4, Ipv4}, .value = {}});
    add(guards, {.key = {Ipv4, Transport, Port}, .value = {}, .verdict = Verdict::Jump});
    add(affinity_map,
        {.key = {Ipv4, Transport, Port, Ipv4}, .value = {Ipv4, Port}, .changed_by_rules = true});
    add(port_affinity_map,
        {.key = {Transport, Port, Ipv4}, .value = {Ipv4, Port}, .changed_by_rules = true});
}

// The endpoints of a door: who has affinity first, then one map after the other, small ones first.
void ServiceRules::set_door_chain(std::string_view door) {
    Chain chain;
    const auto free = after_entrance(door);
    if (door == by_address || door == by_port)
        chain.rules.push_back(
            entrance_of(door)
                .source_address(free)
                .look_up(has_address(door) ? affinity_map : port_affinity_map, 0, 8)
                .translate_target(8, 9));
    for (const auto count : counts_[door])
        chain.rules.push_back(entrance_of(door)
                                  .random(free, static_cast<uint32_t>(count))
                                  .look_up(map_of(door, count), 0, 8)
                                  .translate_target(8, 9));
    const auto end = [&](std::string_view set, std::string_view chain_name) {
        chain.rules.push_back(entrance_of(door).in_set(set, 0).verdict(Verdict::Goto, chain_name));
    };
    if (door == by_address) end(refused, "refuse");
    if (door == by_address) end(silent, "silence");
    if (door == by_port) end(refused_ports, "refuse");
    if (door == by_port) end(silent_ports, "silence");
    // Other ports of a cluster IP.
    if (door == by_address)
        chain.rules.push_back(
            Rule{}.target_address(0).in_set(known, 0).verdict(Verdict::Goto, "refuse"));
    rules_.put_chain(std::string{door}, std::move(chain));
}

// Where a connection goes is kept in mind on its way out, when it is known.
void ServiceRules::set_learning_chain() {
    Chain chain;
    for (const auto seconds : affinity_times_) {
        const std::chrono::seconds time{seconds};
        chain.rules.push_back(original_entrance()
                                  .in_set(sticky_of(seconds), 0)
                                  .source_address(3)
                                  .target_address(4)
                                  .target_port(5)
                                  .remember(affinity_map, 0, 4, time));
        chain.rules.push_back(original_port()
                                  .in_set(sticky_ports_of(seconds), 0)
                                  .source_address(2)
                                  .target_address(3)
                                  .target_port(4)
                                  .remember(port_affinity_map, 0, 3, time));
    }
    rules_.put_chain("learn", std::move(chain));
}

void ServiceRules::add_chains() {
    rules_.put_chain(
        "refuse",
        {.hook = {},
         .rules = {Rule{}.protocol(0).equals(0, std::string(1, IPPROTO_TCP)).refuse_with_reset(),
                   Rule{}.refuse_with_icmp()}});
    rules_.put_chain("silence", {.hook = {}, .rules = {Rule{}.verdict(Verdict::Drop)}});
    for (const auto door : doors) set_door_chain(door);
    const auto enter = [&](std::string_view door) {
        return (has_address(door) ? Rule{}.target_address(0).in_set(targets, 0)
                                  : Rule{}.address_type(0).equals(0, local()))
            .verdict(Verdict::Jump, door);
    };
    rules_.put_chain("near", {.hook = {}, .rules = {enter(near_by_address), enter(near_by_port)}});
    rules_.put_chain(
        "services",
        {.hook = {},
         .rules = {
             entrance_of(by_address).verdict_from(guards, 0),
             in_range(Rule{}.source_address(0), options_.pod_range).verdict(Verdict::Jump, "near"),
             Rule{}.address_type(0, true).equals(0, local()).verdict(Verdict::Jump, "near"),
             enter(by_address), enter(by_port),
             // A cluster IP that nobody has (yet) gives no answer, and leads nowhere else.
             in_range(Rule{}.target_address(0), options_.service_range)
                 .address_type(0)
                 .differs(0, local())
                 .verdict(Verdict::Drop)}});
    const auto nat = [](int hook, int32_t priority) {
        return Hook{"nat", static_cast<uint32_t>(hook), priority};
    };
    for (const auto& [name, hook] :
         {std::pair{"prerouting", NF_INET_PRE_ROUTING}, std::pair{"output", NF_INET_LOCAL_OUT}})
        rules_.put_chain(name, {.hook = nat(hook, priority_target),
                                .rules = {Rule{}.verdict(Verdict::Jump, "services")}});
    set_learning_chain();
    const auto unless_translated = Rule{}
                                       .tracked_status(0)
                                       .mask(0, number_part(IPS_DST_NAT))
                                       .equals(0, number_part(0))
                                       .verdict(Verdict::Return);
    rules_.put_chain("input",   // endpoints on the node itself
                     {.hook = nat(NF_INET_LOCAL_IN, priority_source),
                      .rules = {unless_translated, Rule{}.verdict(Verdict::Jump, "learn")}});
    rules_.put_chain(
        "postrouting",
        {.hook = nat(NF_INET_POST_ROUTING, priority_source),
         .rules = {unless_translated, Rule{}.verdict(Verdict::Jump, "learn"),
                   Rule{}.source_address(0).target_address(1).in_set(hairpins, 0).masquerade(),
                   in_range(Rule{}.source_address(0), *parse_cidr("127.0.0.0/8")).masquerade(),
                   original_entrance().in_set(masked, 0).masquerade(),
                   original_port().in_set(masked_ports, 0).masquerade(),
                   // Who is neither a pod nor this node reaches cluster IPs under its address.
                   Rule{}
                       .source_address(0)
                       .mask(0, address_part(options_.pod_range.mask))
                       .differs(0, address_part(options_.pod_range.address))
                       .address_type(0, true)
                       .differs(0, local())
                       .append(in_range(Rule{}.tracked_target(0), options_.service_range))
                       .masquerade()}});
}

// ---- one service ------------------------------------------------------------------------------

void ServiceRules::set_service(const client::ObjectKey& key, SharedService service) {
    services_[key].object = std::move(service);
    look_again(key);
}

void ServiceRules::set_slice(const client::ObjectKey& key, SharedSlice slice) {
    std::optional<client::ObjectKey> now;
    if (slice) {
        const auto name = slice->metadata.labels.get("kubernetes.io/service-name");
        if (!name.empty()) now = {.name_space = key.name_space, .name = name.str()};
    }
    const auto before = service_of_slice_.find(key);
    if (before != service_of_slice_.end() && before->second != now) {
        const auto service = before->second;
        service_of_slice_.erase(before);
        services_[service].slices.erase(key);
        look_again(service);
    }
    if (!now) return;
    service_of_slice_[key] = *now;
    services_[*now].slices[key] = std::move(slice);
    look_again(*now);
}

void ServiceRules::set_zone(const std::string& zone) {
    if (options_.node.zone == zone) return;
    options_.node.zone = zone;
    std::vector<client::ObjectKey> keys;
    for (const auto& [key, service] : services_) keys.push_back(key);
    for (const auto& key : keys) look_again(key);
}

void ServiceRules::look_again(const client::ObjectKey& key) {
    auto& service = services_[key];
    ServicePlan plan;
    if (service.object) {
        std::vector<SharedSlice> slices;
        for (const auto& [name, slice] : service.slices) slices.push_back(slice);
        plan = plan_service(*service.object, slices, options_.node);
    }
    if (plan != service.plan) {
        if (plan.health != service.plan.health) health_[key] = plan.health;
        note_stale(service.plan, plan);
        set_guards(service, plan);
        set_claims(key, service, claims_of(plan));
        service.plan = std::move(plan);
    }
    if (!service.object && service.slices.empty()) services_.erase(key);
}

// ---- its elements -----------------------------------------------------------------------------

void ServiceRules::claim_endpoints(std::vector<Claim>& claims, std::string_view door,
                                   const std::string& key, const std::vector<Endpoint>& endpoints) {
    using enum Part;
    const auto map = map_of(door, endpoints.size());
    if (counts_[door].insert(endpoints.size()).second) {
        SetShape shape{.key = {Transport, Port, Number}, .value = {Ipv4, Port}};
        if (has_address(door)) shape.key.insert(shape.key.begin(), Ipv4);
        rules_.put_set(map, shape);
        set_door_chain(door);
    }
    for (size_t i = 0; i < endpoints.size(); ++i)
        claims.push_back({map, key + number_part(static_cast<uint32_t>(i)),
                          address_part(endpoints[i].address) + port_part(endpoints[i].port)});
}

std::vector<ServiceRules::Claim> ServiceRules::claims_of(const ServicePlan& plan) {
    std::vector<Claim> claims;
    const auto claim = [&](std::string_view set, std::string key, std::string value = {}) {
        claims.push_back({std::string{set}, std::move(key), std::move(value)});
    };
    if (plan.affinity_seconds && affinity_times_.insert(*plan.affinity_seconds).second) {
        using enum Part;
        rules_.put_set(sticky_of(*plan.affinity_seconds),
                       {.key = {Ipv4, Transport, Port}, .value = {}});
        rules_.put_set(sticky_ports_of(*plan.affinity_seconds),
                       {.key = {Transport, Port}, .value = {}});
        set_learning_chain();
    }
    for (const auto& entrance : plan.entrances) {
        const auto key = key_of(entrance);
        const bool address = entrance.address.has_value();
        const auto& group = plan.groups[entrance.group];
        if (!group.endpoints.empty())
            claim_endpoints(claims, address ? by_address : by_port, key, group.endpoints);
        else if (group.when_empty == WhenEmpty::Refuse)
            claim(address ? refused : refused_ports, key);
        else
            claim(address ? silent : silent_ports, key);
        if (entrance.near_group && !plan.groups[*entrance.near_group].endpoints.empty())
            claim_endpoints(claims, address ? near_by_address : near_by_port, key,
                            plan.groups[*entrance.near_group].endpoints);
        if (address) claim(targets, address_part(*entrance.address));
        if (entrance.known_address) claim(known, address_part(*entrance.address));
        if (entrance.masked) claim(address ? masked : masked_ports, key);
        if (plan.affinity_seconds)
            claim(address ? sticky_of(*plan.affinity_seconds)
                          : sticky_ports_of(*plan.affinity_seconds),
                  key);
        if (!entrance.only_from.empty()) claim(guards, key, guard_name(entrance.only_from));
    }
    for (const auto address : plan.hairpins)
        claim(hairpins, address_part(address) + address_part(address));
    std::ranges::sort(claims);
    claims.erase(std::ranges::unique(claims).begin(), claims.end());
    return claims;
}

void ServiceRules::set_claims(const client::ObjectKey& key, Service& service,
                              std::vector<Claim> claims) {
    const auto settle = [&](const Claim& claim, bool wanted) {
        const std::pair place{claim.set, claim.key};
        auto& wishes = claimed_[place];
        if (wanted)
            wishes[key] = claim.value;
        else if (const auto own = wishes.find(key);
                 own != wishes.end() && own->second == claim.value)
            wishes.erase(own);
        if (wishes.empty()) {
            claimed_.erase(place);
            rules_.remove(claim.set, claim.key);
        } else {
            rules_.put(claim.set, claim.key, wishes.begin()->second);
        }
    };
    // A wish that has only another value now is there under the new one before the old is let go.
    for (const auto& claim : claims)
        if (!std::ranges::binary_search(service.claims, claim)) settle(claim, true);
    for (const auto& claim : service.claims)
        if (!std::ranges::binary_search(claims, claim)) settle(claim, false);
    service.claims = std::move(claims);
}

void ServiceRules::set_guards(Service& service, const ServicePlan& plan) {
    std::map<std::string, std::vector<Cidr>> now;
    for (const auto& entrance : plan.entrances)
        if (!entrance.only_from.empty()) now[guard_name(entrance.only_from)] = entrance.only_from;
    for (const auto& [name, ranges] : now)
        if (!service.guards.contains(name) && ++guard_users_[name] == 1)
            rules_.put_chain(name, guard_chain(ranges));
    for (const auto& [name, ranges] : service.guards) {
        if (now.contains(name) || --guard_users_[name] > 0) continue;
        guard_users_.erase(name);
        rules_.remove_chain(name);
    }
    service.guards = std::move(now);
}

void ServiceRules::note_stale(const ServicePlan& before, const ServicePlan& now) {
    std::set<std::string> noted;
    for (const auto* plan : {&before, &now}) {
        for (const auto& entrance : plan->entrances) {
            const bool sticky = before.affinity_seconds.has_value();
            if ((entrance.protocol != Protocol::Udp && !sticky) ||
                !noted.insert(key_of(entrance)).second)
                continue;
            StaleFlows flows{.address = entrance.address,
                             .protocol = entrance.protocol,
                             .port = entrance.port,
                             .endpoints = {},
                             .affinity = sticky};
            for (const auto& same : now.entrances) {
                if (key_of(same) != key_of(entrance)) continue;
                for (const auto group : {same.group, same.near_group.value_or(same.group)})
                    flows.endpoints.insert(now.groups[group].endpoints.begin(),
                                           now.groups[group].endpoints.end());
            }
            // Without affinity, nobody is held to what was.
            if (sticky && !now.affinity_seconds) flows.endpoints.clear();
            stale_.push_back(std::move(flows));
        }
    }
}

}   // namespace skiff::proxy
