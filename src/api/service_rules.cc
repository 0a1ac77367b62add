// Services: defaults, and what an update keeps of what was handed out. Which address a service gets
// is the server's allocator's to say, not decided here; service_validation.cc says what is wrong.
#include <initializer_list>
#include <set>
#include <string_view>

#include "api/json_fields.h"
#include "api/kind_rules.h"
#include "api/service_validation.h"

namespace skiff::api {
namespace {

using codec::Arena;
using codec::Json;

constexpr int64_t affinity_seconds_default = 10800;

void default_service(Json& service, Arena& arena) {
    Json* found = service.find("spec");
    if (!found || !found->is_object()) return;
    Json& spec = *found;
    const auto type = text_of(spec, "type");
    const auto set_if_absent = [&](std::string_view name, Json value) {
        if (blank(field(spec, name))) spec.set_borrowed(arena, name, value);
    };
    if (Json* ports = spec.find("ports"))
        for (Json& port : ports->items())
            if (const Json& target = field(port, "targetPort");
                blank(target) || (target.is_integer() && target.as_int() == 0))
                port.set_borrowed(arena, "targetPort", field(port, "port"));
    if (text_of(spec, "sessionAffinity") == "ClientIP") {
        Json& client =
            spec.make_object(arena, "sessionAffinityConfig").make_object(arena, "clientIP");
        if (int_or(field(client, "timeoutSeconds"), 0) == 0)
            client.set_borrowed(arena, "timeoutSeconds", Json::integer(affinity_seconds_default));
    }
    if (text_of(spec, "sessionAffinity") == "None") spec.remove("sessionAffinityConfig");
    if (reached_from_outside(spec))
        set_if_absent("externalTrafficPolicy", Json::borrowed("Cluster"));
    if (has_node_ports(type) || type == "ClusterIP")
        set_if_absent("internalTrafficPolicy", Json::borrowed("Cluster"));
    if (type == "LoadBalancer" && !present(field(spec, "allocateLoadBalancerNodePorts")))
        spec.set_borrowed(arena, "allocateLoadBalancerNodePorts", Json::boolean(true));
}

// clusterIP and the first of clusterIPs always say the same; one that is given alone sets both.
void align_cluster_ips(Json& spec, const Json* old_spec, Arena& arena) {
    const Json one = field(spec, "clusterIP");
    const Json many = field(spec, "clusterIPs");
    const auto set_list = [&] {
        Json list = Json::array();
        list.push(arena, one);
        spec.set_borrowed(arena, "clusterIPs", list);
    };
    if (!blank(one) && blank(many)) return set_list();
    if (!old_spec && blank(one) && !blank(many)) {
        spec.set_borrowed(arena, "clusterIP", many.items()[0]);
        return;
    }
    if (!old_spec) return;
    // A client that only knows the old field clears or changes it alone.
    const bool old_field_changed = !(one == field(*old_spec, "clusterIP"));
    const bool list_unchanged = many == field(*old_spec, "clusterIPs");
    if (!old_field_changed || !list_unchanged) return;
    if (blank(one))
        spec.remove("clusterIPs");
    else
        set_list();
}

std::set<int64_t> node_ports_of(const Json& spec) {
    std::set<int64_t> ports;
    for (const Json& port : field(spec, "ports").items())
        if (const int64_t number = int_or(field(port, "nodePort"), 0); number != 0)
            ports.insert(number);
    return ports;
}

// Node ports that were handed out stay with the port of the same protocol and number.
void keep_node_ports(Json& spec, const Json& old, Arena& arena) {
    Json* ports = spec.find("ports");
    if (!ports) return;
    auto used = node_ports_of(spec);
    for (Json& port : ports->items()) {
        if (int_or(field(port, "nodePort"), 0) != 0) continue;
        for (const Json& before : field(old, "ports").items()) {
            const int64_t number = int_or(field(before, "nodePort"), 0);
            if (number == 0 || !(field(before, "port") == field(port, "port")) ||
                text_of(before, "protocol") != text_of(port, "protocol"))
                continue;
            const bool shared = node_ports_of(old).size() < field(old, "ports").size();
            if (!used.insert(number).second && !shared) continue;
            port.set_borrowed(arena, "nodePort", Json::integer(number));
            break;
        }
    }
}

// An update that says nothing about what was handed out keeps it.
void keep_allocated(Json& spec, const Json& old, Arena& arena) {
    const auto type = text_of(spec, "type");
    if (type != "ExternalName" && text_of(old, "type") != "ExternalName") {
        if (blank(field(spec, "clusterIP")))
            spec.set_borrowed(arena, "clusterIP", field(old, "clusterIP").deep_copy(arena));
        if (blank(field(spec, "clusterIPs")) && field(spec, "clusterIP") == field(old, "clusterIP"))
            spec.set_borrowed(arena, "clusterIPs", field(old, "clusterIPs").deep_copy(arena));
        for (const std::string_view name : {"ipFamilies", "ipFamilyPolicy"})
            if (blank(field(spec, name)) && !blank(field(old, name)))
                spec.set_borrowed(arena, name, field(old, name).deep_copy(arena));
        for (const std::string_view name : {"clusterIP", "clusterIPs"})
            if (blank(field(spec, name))) spec.remove(name);
    }
    if (has_node_ports(type) && has_node_ports(text_of(old, "type")))
        keep_node_ports(spec, old, arena);
    if (needs_health_port(spec) && needs_health_port(old) &&
        int_or(field(spec, "healthCheckNodePort"), 0) == 0)
        spec.set_borrowed(arena, "healthCheckNodePort", field(old, "healthCheckNodePort"));
}

// What the new type cannot have, and the update did not set itself, goes.
void drop_unused(Json& spec, const Json& old) {
    const auto type = text_of(spec, "type");
    const auto before = text_of(old, "type");
    const auto drop = [&](std::initializer_list<std::string_view> names) {
        for (const std::string_view name : names)
            if (field(spec, name) == field(old, name)) spec.remove(name);
    };
    if (type == "ExternalName" && before != "ExternalName")
        drop({"clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy"});
    if (!has_node_ports(type) && has_node_ports(before) &&
        node_ports_of(spec) == node_ports_of(old))
        if (Json* ports = spec.find("ports"))
            for (Json& port : ports->items()) port.remove("nodePort");
    if (!needs_health_port(spec) && needs_health_port(old)) drop({"healthCheckNodePort"});
    if (type != "LoadBalancer" && before == "LoadBalancer")
        drop({"allocateLoadBalancerNodePorts", "loadBalancerClass"});
    if (!reached_from_outside(spec) && reached_from_outside(old)) drop({"externalTrafficPolicy"});
}

void prepare(Json& service, const Json* old, Arena& arena) {
    Json* spec = service.find("spec");
    if (!spec || !spec->is_object()) return;
    const Json* old_spec = old ? &field(*old, "spec") : nullptr;
    if (!old_spec) {
        Json status = Json::object();
        status.set_borrowed(arena, "loadBalancer", Json::object());
        service.set_borrowed(arena, "status", status);
    }
    align_cluster_ips(*spec, old_spec, arena);
    if (!old_spec) return;
    keep_allocated(*spec, *old_spec, arena);
    drop_unused(*spec, *old_spec);
    // The load balancer is gone with the type.
    if (text_of(*spec, "type") != "LoadBalancer" && text_of(*old_spec, "type") == "LoadBalancer")
        service.make_object(arena, "status").set_borrowed(arena, "loadBalancer", Json::object());
}

}   // namespace

const Rules service_rules{.defaults = default_service,
                          .prepare = prepare,
                          .validate = validate_service,
                          .validate_status = validate_service_status};

}   // namespace skiff::api
