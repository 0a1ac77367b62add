// What is wrong with a service, in upstream's words.
#include "api/service_validation.h"

#include <set>
#include <string>

#include "api/json_fields.h"
#include "api/names.h"
#include "api/pod_validation.h"
#include "api/special_addresses.h"
#include "base/ipv4.h"
#include "base/text.h"

namespace skiff::api {

using codec::Arena;
using codec::Json;

bool has_node_ports(std::string_view type) { return type == "NodePort" || type == "LoadBalancer"; }

bool reached_from_outside(const Json& spec) {
    const auto type = text_of(spec, "type");
    return has_node_ports(type) || (type == "ClusterIP" && !blank(field(spec, "externalIPs")));
}

bool needs_health_port(const Json& spec) {
    return text_of(spec, "type") == "LoadBalancer" &&
           text_of(spec, "externalTrafficPolicy") == "Local";
}

namespace {

constexpr int64_t affinity_seconds_max = 86400;
constexpr int64_t agent_port = 10250;

bool headless(const Json& spec) { return text_of(spec, "clusterIP") == "None"; }

void validate_target_port(const Json& target, const FieldPath& path, Causes& causes) {
    if (target.is_string())
        add_unless_ok(causes, path, target.as_string(),
                      check_format(Format::PortName, target.as_string()));
    else if (present(target))
        check_port_number(causes, path, int_or(target, 0));
}

void validate_port(const Json& spec, const Json& port, const FieldPath& path, Causes& causes) {
    const size_t count = field(spec, "ports").size();
    const auto name = text_of(port, "name");
    if (name.empty() && count > 1) add_required(causes, path.child("name"));
    if (!name.empty()) add_unless_ok(causes, path.child("name"), name, check_dns1123_label(name));
    validate_target_port(field(port, "targetPort"), path.child("targetPort"), causes);
    const int64_t node_port = int_or(field(port, "nodePort"), 0);
    const auto type = text_of(spec, "type");
    if (node_port != 0 && !has_node_ports(type))
        add_forbidden(causes, path.child("nodePort"),
                      concat("may not be used when `type` is '", type, "'"));
    else if (node_port != 0)
        check_port_number(causes, path.child("nodePort"), node_port);
    if (type == "LoadBalancer" && int_or(field(port, "port"), 0) == agent_port)
        add_invalid(causes, path, agent_port,
                    "may not expose port 10250 externally since it is used by kubelet");
    if (const auto protocol = text_of(port, "appProtocol"); !protocol.empty())
        add_unless_ok(causes, path.child("appProtocol"), protocol, check_qualified_name(protocol));
}

void validate_ports(const Json& spec, const FieldPath& path, Causes& causes) {
    const auto ports = field(spec, "ports").items();
    const auto type = text_of(spec, "type");
    if (ports.empty() && !headless(spec) && type != "ExternalName")
        add_required(causes, path.child("ports"));
    std::set<std::string_view> names;
    std::set<std::string> addresses;
    std::set<std::string> node_addresses;
    for (size_t i = 0; i < ports.size(); ++i) {
        const FieldPath entry = path.child("ports", i);
        validate_port(spec, ports[i], entry, causes);
        const auto name = text_of(ports[i], "name");
        if (!name.empty() && !names.insert(name).second)
            add_duplicate(causes, entry.child("name"), name);
        const int64_t number = int_or(field(ports[i], "port"), 0);
        const auto protocol = text_of(ports[i], "protocol");
        if (const int64_t node_port = int_or(field(ports[i], "nodePort"), 0);
            node_port != 0 && !node_addresses.insert(concat(protocol, "/", node_port)).second)
            add_duplicate(causes, entry.child("nodePort"), Json::integer(node_port));
        if (number != 0 && !addresses.insert(concat(protocol, "/", number)).second) {
            Arena arena;
            Json address = Json::object();
            address.set_borrowed(arena, "protocol", Json::borrowed(protocol));
            address.set_borrowed(arena, "port", Json::integer(number));
            add_duplicate(causes, entry, address);
        }
    }
}

void validate_cluster_ips(const Json& spec, const FieldPath& path, Causes& causes) {
    const auto addresses = field(spec, "clusterIPs").items();
    if (text_of(spec, "type") == "ExternalName") {
        for (const std::string_view name : {"clusterIPs", "ipFamilies", "ipFamilyPolicy"})
            if (!blank(field(spec, name)))
                add_forbidden(causes, path.child(name),
                              "may not be set when `type` is 'ExternalName'");
        return;
    }
    if (!addresses.empty() && text_of(spec, "clusterIP") != addresses[0].text())
        add_invalid(causes, path.child("clusterIPs"), field(spec, "clusterIPs"),
                    "first value must match `clusterIP`");
    for (size_t i = 0; i < addresses.size(); ++i)
        if (const auto ip = addresses[i].text(); ip != "None" || i > 0)
            add_unless_ok(causes, path.child("clusterIPs", i), ip, check_format(Format::Ip, ip));
    if (addresses.size() > 2)
        add_invalid(causes, path.child("clusterIPs"), field(spec, "clusterIPs"),
                    "may only hold up to 2 values");
}

// No address that is special everywhere may be taken by a service.
void validate_external_ip(std::string_view ip, const FieldPath& path, Causes& causes) {
    if (const auto problem = check_format(Format::Ip, ip); !problem.empty())
        return add_invalid(causes, path, ip, problem);
    validate_no_special_address(ip, path, causes);
}

// What only makes sense towards the outside.
void validate_traffic(const Json& spec, const FieldPath& path, Causes& causes) {
    const auto policy = text_of(spec, "externalTrafficPolicy");
    if (!policy.empty() && !reached_from_outside(spec))
        add_invalid(causes, path.child("externalTrafficPolicy"), policy,
                    "may only be set for externally-accessible services");
    const int64_t health_port = int_or(field(spec, "healthCheckNodePort"), 0);
    if (health_port != 0 && !needs_health_port(spec))
        add_invalid(causes, path.child("healthCheckNodePort"), health_port,
                    "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is "
                    "'Local'");
    else if (health_port != 0)
        check_port_number(causes, path.child("healthCheckNodePort"), health_port);
    const auto distribution = text_of(spec, "trafficDistribution");
    if (!distribution.empty() && distribution != "PreferClose" &&
        distribution != "PreferSameZone" && distribution != "PreferSameNode")
        add_not_supported(causes, path.child("trafficDistribution"), distribution,
                          {"PreferClose", "PreferSameNode", "PreferSameZone"});
}

void validate_load_balancer(const Json& spec, const FieldPath& path, Causes& causes) {
    const bool balanced = text_of(spec, "type") == "LoadBalancer";
    constexpr std::string_view only = "may only be used when `type` is 'LoadBalancer'";
    for (const std::string_view name :
         {"loadBalancerSourceRanges", "allocateLoadBalancerNodePorts", "loadBalancerClass"})
        if (!balanced && !(name == "loadBalancerSourceRanges" ? blank(field(spec, name))
                                                              : !present(field(spec, name))))
            add_forbidden(causes, path.child(name), only);
    const auto ranges = field(spec, "loadBalancerSourceRanges").items();
    for (size_t i = 0; i < ranges.size(); ++i)
        add_unless_ok(causes, path.child("loadBalancerSourceRanges", i), ranges[i].text(),
                      check_format(Format::Cidr, trim(ranges[i].text())));
    if (const auto name = text_of(spec, "loadBalancerClass"); balanced && !name.empty())
        add_unless_ok(causes, path.child("loadBalancerClass"), name, check_qualified_name(name));
}

void validate_external(const Json& spec, const FieldPath& path, Causes& causes) {
    const auto type = text_of(spec, "type");
    const auto name = text_of(spec, "externalName");
    if (type == "ExternalName") {
        std::string_view host = name;
        if (host.ends_with('.')) host.remove_suffix(1);
        if (name.empty())
            add_required(causes, path.child("externalName"));
        else
            add_unless_ok(causes, path.child("externalName"), name, check_dns1123_subdomain(host));
    }
    const auto addresses = field(spec, "externalIPs").items();
    for (size_t i = 0; i < addresses.size(); ++i)
        validate_external_ip(addresses[i].text(), path.child("externalIPs", i), causes);
    if (type == "LoadBalancer" && headless(spec))
        add_invalid(causes, path.child("clusterIPs", size_t{0}), "None",
                    "may not be set to 'None' for LoadBalancer services");
    else if (type == "NodePort" && headless(spec))
        add_invalid(causes, path.child("clusterIPs", size_t{0}), "None",
                    "may not be set to 'None' for NodePort services");
}

void validate_affinity(const Json& spec, const FieldPath& path, Causes& causes) {
    const FieldPath config = path.child("sessionAffinityConfig");
    if (text_of(spec, "sessionAffinity") != "ClientIP") {
        if (present(field(spec, "sessionAffinityConfig")))
            add_forbidden(causes, config, "must not be set when session affinity is None");
        return;
    }
    const FieldPath client = config.child("clientIP");
    const int64_t seconds =
        int_or(field(spec, "sessionAffinityConfig", "clientIP", "timeoutSeconds"), 0);
    if (seconds <= 0 || seconds > affinity_seconds_max)
        add_invalid(causes, client.child("timeoutSeconds"), seconds,
                    concat("must be greater than 0 and less than ", affinity_seconds_max));
}

void validate_update(const Json& spec, const Json& old, const FieldPath& path, Causes& causes) {
    if (needs_health_port(spec) && needs_health_port(old) &&
        !(field(spec, "healthCheckNodePort") == field(old, "healthCheckNodePort")))
        add_forbidden(causes, path.child("healthCheckNodePort"), immutable_message);
    if (text_of(spec, "type") == "LoadBalancer" && text_of(old, "type") == "LoadBalancer" &&
        !(field(spec, "loadBalancerClass") == field(old, "loadBalancerClass")))
        add_invalid(causes, path.child("loadBalancerClass"), field(spec, "loadBalancerClass"),
                    "may not change once set");
    if (text_of(old, "type") == "ExternalName" || text_of(spec, "type") == "ExternalName") return;
    const auto before = field(old, "clusterIPs").items();
    const auto now = field(spec, "clusterIPs").items();
    if (before.empty() || (!now.empty() && now[0] == before[0])) return;
    add_invalid(causes, path.child("clusterIPs", size_t{0}), field(spec, "clusterIPs"),
                "may not change once set");
}

}   // namespace

void validate_service(const Json& service, const Json* old, Causes& causes) {
    const FieldPath path{"spec"};
    const Json& spec = field(service, "spec");
    validate_ports(spec, path, causes);
    validate_labels(field(spec, "selector"), path.child("selector"), causes);
    validate_cluster_ips(spec, path, causes);
    validate_external(spec, path, causes);
    validate_traffic(spec, path, causes);
    validate_load_balancer(spec, path, causes);
    validate_affinity(spec, path, causes);
    if (old) validate_update(spec, field(*old, "spec"), path, causes);
}

void validate_service_status(const Json& service, const Json*, Causes& causes) {
    const FieldPath status{"status"};
    const FieldPath balancer = status.child("loadBalancer");
    const auto ingress = field(service, "status", "loadBalancer", "ingress").items();
    if (!ingress.empty() && text_of(service, "spec", "type") != "LoadBalancer")
        return add_forbidden(causes, balancer.child("ingress"),
                             "may only be used when `spec.type` is \"LoadBalancer\"");
    for (size_t i = 0; i < ingress.size(); ++i) {
        const FieldPath entry = balancer.child("ingress", i);
        const auto ip = text_of(ingress[i], "ip");
        const auto host = text_of(ingress[i], "hostname");
        if (!ip.empty()) add_unless_ok(causes, entry.child("ip"), ip, check_format(Format::Ip, ip));
        const auto mode = text_of(ingress[i], "ipMode");
        if (ip.empty() && !mode.empty())
            add_forbidden(causes, entry.child("ipMode"),
                          "may not be specified when `ip` is not set");
        if (!mode.empty() && mode != "VIP" && mode != "Proxy")
            add_not_supported(causes, entry.child("ipMode"), mode, {"Proxy", "VIP"});
        if (host.empty()) continue;
        add_unless_ok(causes, entry.child("hostname"), host, check_dns1123_subdomain(host));
        if (check_format(Format::Ip, host).empty())
            add_invalid(causes, entry.child("hostname"), host,
                        "must be a DNS name, not an IP address");
    }
}

}   // namespace skiff::api
