// Services. Which address a service gets is the server's allocator's to say, not decided here.
#include <algorithm>
#include <set>
#include <string>

#include "api/field_errors.h"
#include "api/json_fields.h"
#include "api/kind_rules.h"
#include "api/names.h"
#include "api/pod_validation.h"
#include "base/text.h"

namespace skiff::api {
namespace {

using codec::Arena;
using codec::Json;

constexpr int64_t affinity_seconds_default = 10800;
constexpr int64_t affinity_seconds_max = 86400;

bool has_node_ports(std::string_view type) { return type == "NodePort" || type == "LoadBalancer"; }
bool headless(const Json& spec) { return text_of(spec, "clusterIP") == "None"; }

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
    if (has_node_ports(type)) set_if_absent("externalTrafficPolicy", Json::borrowed("Cluster"));
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

// An update that says nothing about what was handed out keeps it.
void keep_allocated(Json& spec, const Json& old, Arena& arena) {
    const auto type = text_of(spec, "type");
    if (type == "ExternalName" || text_of(old, "type") == "ExternalName") return;
    for (const std::string_view name : {"clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"})
        if (blank(field(spec, name)) && !blank(field(old, name)))
            spec.set_borrowed(arena, name, field(old, name).deep_copy(arena));
    if (!has_node_ports(type) || !has_node_ports(text_of(old, "type"))) return;
    Json* ports = spec.find("ports");
    if (!ports) return;
    for (Json& port : ports->items()) {
        if (int_or(field(port, "nodePort"), 0) != 0) continue;
        for (const Json& before : field(old, "ports").items())
            if (field(before, "port") == field(port, "port") &&
                text_of(before, "protocol") == text_of(port, "protocol") &&
                int_or(field(before, "nodePort"), 0) != 0)
                port.set_borrowed(arena, "nodePort", field(before, "nodePort"));
    }
}

void drop_unused(Json& spec, const Json& old) {
    const auto type = text_of(spec, "type");
    if (type == "ExternalName" && text_of(old, "type") != "ExternalName")
        for (const std::string_view name :
             {"clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"})
            if (field(spec, name) == field(old, name)) spec.remove(name);
    if (!has_node_ports(type) && has_node_ports(text_of(old, "type")))
        if (Json* ports = spec.find("ports"))
            for (Json& port : ports->items()) port.remove("nodePort");
}

void default_families(Json& spec, Arena& arena) {
    if (text_of(spec, "type") == "ExternalName") return;
    if (blank(field(spec, "ipFamilyPolicy")))
        spec.set_borrowed(arena, "ipFamilyPolicy", Json::borrowed("SingleStack"));
    if (!blank(field(spec, "ipFamilies"))) return;
    const bool six = text_of(spec, "clusterIP").find(':') != std::string_view::npos;
    spec.make_array(arena, "ipFamilies").push(arena, Json::borrowed(six ? "IPv6" : "IPv4"));
}

void prepare(Json& service, const Json* old, Arena& arena) {
    Json* spec = service.find("spec");
    if (!spec || !spec->is_object()) return;
    const Json* old_spec = old ? &field(*old, "spec") : nullptr;
    if (old_spec) {
        keep_allocated(*spec, *old_spec, arena);
        drop_unused(*spec, *old_spec);
    } else {
        Json status = Json::object();
        status.set_borrowed(arena, "loadBalancer", Json::object());
        service.set_borrowed(arena, "status", status);
    }
    align_cluster_ips(*spec, old_spec, arena);
    default_families(*spec, arena);
}

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
}

void validate_ports(const Json& spec, const FieldPath& path, Causes& causes) {
    const auto ports = field(spec, "ports").items();
    const auto type = text_of(spec, "type");
    if (ports.empty() && !headless(spec) && type != "ExternalName")
        add_required(causes, path.child("ports"));
    std::set<std::string_view> names;
    std::set<std::string> addresses;
    for (size_t i = 0; i < ports.size(); ++i) {
        const FieldPath entry = path.child("ports", i);
        validate_port(spec, ports[i], entry, causes);
        const auto name = text_of(ports[i], "name");
        if (!name.empty() && !names.insert(name).second)
            add_duplicate(causes, entry.child("name"), name);
        const int64_t number = int_or(field(ports[i], "port"), 0);
        const auto protocol = text_of(ports[i], "protocol");
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
        if (!addresses.empty())
            add_forbidden(causes, path.child("clusterIPs"),
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
        add_unless_ok(causes, path.child("externalIPs", i), addresses[i].text(),
                      check_format(Format::Ip, addresses[i].text()));
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
    if (text_of(old, "type") == "ExternalName" || text_of(spec, "type") == "ExternalName") return;
    const auto before = field(old, "clusterIPs").items();
    const auto now = field(spec, "clusterIPs").items();
    if (before.empty() || (!now.empty() && now[0] == before[0])) return;
    add_invalid(causes, path.child("clusterIPs", size_t{0}), field(spec, "clusterIPs"),
                "may not change once set");
}

void validate(const Json& service, const Json* old, Causes& causes) {
    const FieldPath path{"spec"};
    const Json& spec = field(service, "spec");
    validate_ports(spec, path, causes);
    validate_labels(field(spec, "selector"), path.child("selector"), causes);
    validate_cluster_ips(spec, path, causes);
    validate_external(spec, path, causes);
    validate_affinity(spec, path, causes);
    if (old) validate_update(spec, field(*old, "spec"), path, causes);
}

}   // namespace

const Rules service_rules{.defaults = default_service, .prepare = prepare, .validate = validate};

}   // namespace skiff::api
