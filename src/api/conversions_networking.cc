// Older versions of ingresses, endpoint slices and role bindings, where a list of differences
// cannot say what is another.
#include "api/conversions_families.h"
#include "api/json_fields.h"
#include "base/text.h"

namespace skiff::api {
namespace {

using codec::Arena;
using codec::Json;

constexpr std::string_view zone_label = "topology.kubernetes.io/zone";
constexpr std::string_view host_label = "kubernetes.io/hostname";
constexpr std::string_view rbac_group = "rbac.authorization.k8s.io";

Json* member(Json& object, std::string_view name) {
    Json* found = object.is_object() ? object.find(name) : nullptr;
    return found && !found->is_null() ? found : nullptr;
}

// Every backend of an ingress; `fallback` is what the version calls the default one.
template <class F>
void each_backend(Json& ingress, F&& change) {
    Json* spec = member(ingress, "spec");
    if (!spec) return;
    if (Json* fallback = member(*spec, "defaultBackend")) change(*fallback);
    Json* rules = member(*spec, "rules");
    if (!rules) return;
    for (Json& rule : rules->items()) {
        Json* http = member(rule, "http");
        Json* paths = http ? member(*http, "paths") : nullptr;
        if (!paths) continue;
        for (Json& path : paths->items())
            if (Json* backend = member(path, "backend")) change(*backend);
    }
}

// serviceName and servicePort become service {name, port {name | number}}.
Result<> ingress_to_stored(Json& ingress, const Json*, Arena& arena) {
    each_backend(ingress, [&](Json& backend) {
        const Json name = field(backend, "serviceName"), port = field(backend, "servicePort");
        backend.remove("serviceName");
        backend.remove("servicePort");
        if (name.text().empty() && !port.is_string() && int_or(port, 0) == 0) return;
        Json& service = backend.make_object(arena, "service");
        service.set_borrowed(arena, "name", name);
        Json& to = service.make_object(arena, "port");
        if (port.is_string())
            to.set_borrowed(arena, "name", port);
        else
            to.set_borrowed(arena, "number", Json::integer(int_or(port, 0)));
    });
    return {};
}

Result<> ingress_from_stored(Json& ingress, Arena& arena) {
    each_backend(ingress, [&](Json& backend) {
        const Json service = field(backend, "service");
        if (!present(service)) return;
        backend.remove("service");
        const Json &name = field(service, "port", "name"),
                   &number = field(service, "port", "number");
        backend.set_borrowed(arena, "serviceName", field(service, "name"));
        backend.set_borrowed(arena, "servicePort",
                             blank(name) ? Json::integer(int_or(number, 0)) : name);
    });
    return {};
}

template <class F>
void each_item(Json& object, std::string_view list, F&& change) {
    if (Json* items = member(object, list))
        for (Json& item : items->items())
            if (item.is_object()) change(item);
}

// Zone and node left the topology for fields of their own; what else it says is kept.
Result<> slice_to_stored(Json& slice, const Json*, Arena& arena) {
    each_item(slice, "endpoints", [&](Json& endpoint) {
        Json topology = field(endpoint, "topology");
        endpoint.remove("topology");
        if (!topology.is_object()) return;
        if (const Json zone = field(topology, zone_label); present(zone)) {
            endpoint.set_borrowed(arena, "zone", zone);
            topology.remove(zone_label);
        }
        const Json host = field(topology, host_label);
        if (present(host)) {
            const Json& node = field(endpoint, "nodeName");
            const bool same = !present(node) || node == host;
            if (!present(node)) endpoint.set_borrowed(arena, "nodeName", host);
            if (same) topology.remove(host_label);
        }
        if (!topology.empty()) endpoint.set_borrowed(arena, "deprecatedTopology", topology);
    });
    return {};
}

Result<> slice_from_stored(Json& slice, Arena& arena) {
    each_item(slice, "endpoints", [&](Json& endpoint) {
        const Json kept = field(endpoint, "deprecatedTopology").deep_copy(arena);
        const Json zone = field(endpoint, "zone"), node = field(endpoint, "nodeName");
        endpoint.remove("deprecatedTopology");
        endpoint.remove("zone");
        if (blank(kept) && !present(zone) && !present(node)) return;
        Json& topology = endpoint.set_borrowed(arena, "topology", Json::object());
        for (const auto& [key, value] : kept.members()) topology.set_borrowed(arena, key, value);
        if (present(zone)) topology.set_borrowed(arena, zone_label, zone);
        if (present(node) && text_of(topology, host_label).empty())
            topology.set_borrowed(arena, host_label, node);
    });
    return {};
}

// The user `*` was every authenticated one.
Result<> subjects_to_stored(Json& binding, const Json*, Arena& arena) {
    each_item(binding, "subjects", [&](Json& subject) {
        const std::string_view kind = text_of(subject, "kind");
        const auto [group, version] = cut(text_of(subject, "apiVersion"), '/');
        const Json named = version ? Json::string(arena, group) : Json::borrowed("");
        subject.remove("apiVersion");
        if (kind == "User" || kind == "Group")
            subject.set_borrowed(arena, "apiGroup", Json::borrowed(rbac_group));
        else if (kind != "ServiceAccount" && !blank(named))
            subject.set_borrowed(arena, "apiGroup", named);
        if (kind == "User" && text_of(subject, "name") == "*") {
            subject.set_borrowed(arena, "kind", Json::borrowed("Group"));
            subject.set_borrowed(arena, "name", Json::borrowed("system:authenticated"));
        }
    });
    return {};
}

Result<> subjects_from_stored(Json& binding, Arena& arena) {
    each_item(binding, "subjects", [&](Json& subject) {
        const Json group = field(subject, "apiGroup");
        subject.remove("apiGroup");
        std::string version;
        if (group.text() == rbac_group)
            version = concat(rbac_group, "/v1alpha1");
        else if (!group.text().empty())
            version = concat(group.text(), "/");
        else if (text_of(subject, "kind") == "ServiceAccount")
            version = "v1";
        if (!version.empty())
            subject.set_borrowed(arena, "apiVersion", Json::string(arena, version));
    });
    return {};
}

constexpr NamedConversion conversions[] = {
    {"endpointslice_v1beta1", {.to_stored = slice_to_stored, .from_stored = slice_from_stored}},
    {"ingress_v1beta1", {.to_stored = ingress_to_stored, .from_stored = ingress_from_stored}},
    {"rbac_v1alpha1", {.to_stored = subjects_to_stored, .from_stored = subjects_from_stored}},
};

}   // namespace

std::span<const NamedConversion> networking_conversions() { return conversions; }

}   // namespace skiff::api
