// The columns of ingresses, their classes, network policies, endpoint slices and role bindings.
#include <set>
#include <string>

#include "api/json_fields.h"
#include "api/printers_families.h"
#include "api/selectors.h"
#include "base/text.h"

namespace skiff::api {
namespace {

using codec::Arena;
using codec::Json;

constexpr size_t shown_max = 3;

void add_to(std::string& list, std::string_view item, std::string_view comma = ",") {
    append(list, list.empty() ? "" : comma, item);
}

Json ingress_class(const Json& ingress, WallTime, Arena&) {
    const Json& name = field(ingress, "spec", "ingressClassName");
    return Json::borrowed(present(name) ? name.text() : "<none>");
}

Json ingress_hosts(const Json& ingress, WallTime, Arena& arena) {
    const auto rules = field(ingress, "spec", "rules").items();
    std::string text;
    size_t shown = 0;
    bool more = false;
    for (const Json& rule : rules) {
        if (shown == shown_max) more = true;
        if (more || text_of(rule, "host").empty()) continue;
        add_to(text, text_of(rule, "host"));
        ++shown;
    }
    if (shown == 0) return Json::borrowed("*");
    if (more) append(text, " + ", rules.size() - shown_max, " more...");
    return Json::string(arena, text);
}

Json ingress_address(const Json& ingress, WallTime, Arena& arena) {
    std::set<std::string_view> sorted;
    for (const Json& one : field(ingress, "status", "loadBalancer", "ingress").items()) {
        const auto ip = text_of(one, "ip");
        if (const auto at = ip.empty() ? text_of(one, "hostname") : ip; !at.empty())
            sorted.insert(at);
    }
    std::string text;
    for (const auto at : sorted) add_to(text, at);
    return Json::string(arena, text);
}

Json ingress_ports(const Json& ingress, WallTime, Arena&) {
    return Json::borrowed(blank(field(ingress, "spec", "tls")) ? "80" : "80, 443");
}

Json ingressclass_parameters(const Json& object, WallTime, Arena& arena) {
    const Json& parameters = field(object, "spec", "parameters");
    if (!present(parameters)) return Json::borrowed("<none>");
    const auto group = text_of(parameters, "apiGroup");
    return Json::string(arena, concat(text_of(parameters, "kind"), group.empty() ? "" : ".", group,
                                      "/", text_of(parameters, "name")));
}

Json networkpolicy_pod_selector(const Json& policy, WallTime, Arena& arena) {
    const Json& selector = field(policy, "spec", "podSelector");
    if (!present(selector)) return Json::borrowed("<none>");
    const auto parsed = LabelSelector::from_object(selector);
    if (!parsed) return Json::borrowed("<error>");
    const auto text = parsed->text();
    return text.empty() ? Json::borrowed("<none>") : Json::string(arena, text);
}

// The first three of many, and how many more there are.
class ShortList {
  public:
    void add(std::string_view item) {
        if (count_++ < shown_max) add_to(text_, item);
    }
    Json take(Arena& arena) {
        if (count_ > shown_max) append(text_, " + ", count_ - shown_max, " more...");
        return text_.empty() ? Json::borrowed("<unset>") : Json::string(arena, text_);
    }

  private:
    std::string text_;
    size_t count_ = 0;
};

Json endpointslice_ports(const Json& slice, WallTime, Arena& arena) {
    ShortList list;
    for (const Json& port : field(slice, "ports").items()) {
        const Json &number = field(port, "port"), &name = field(port, "name");
        if (present(number))
            list.add(concat(int_or(number, 0)));
        else
            list.add(present(name) ? name.text() : "*");
    }
    return list.take(arena);
}

Json endpointslice_endpoints(const Json& slice, WallTime, Arena& arena) {
    ShortList list;
    for (const Json& endpoint : field(slice, "endpoints").items())
        for (const Json& address : field(endpoint, "addresses").items()) list.add(address.text());
    return list.take(arena);
}

Json ipaddress_parent(const Json& address, WallTime, Arena& arena) {
    const Json& parent = field(address, "spec", "parentRef");
    if (!present(parent)) return Json::borrowed("<none>");
    const auto group = text_of(parent, "group"), space = text_of(parent, "namespace");
    std::string text = concat(text_of(parent, "resource"), group.empty() ? "" : ".", group);
    if (!space.empty()) append(text, "/", space);
    append(text, "/", text_of(parent, "name"));
    return Json::string(arena, text);
}

Json subjects_of(const Json& binding, std::string_view kind, Arena& arena) {
    std::string text;
    for (const Json& subject : field(binding, "subjects").items()) {
        if (text_of(subject, "kind") != kind) continue;
        const auto name = text_of(subject, "name");
        const bool account = kind == "ServiceAccount";
        add_to(text, account ? concat(text_of(subject, "namespace"), "/", name) : std::string{name},
               ", ");
    }
    return Json::string(arena, text);
}
Json binding_users(const Json& binding, WallTime, Arena& arena) {
    return subjects_of(binding, "User", arena);
}
Json binding_groups(const Json& binding, WallTime, Arena& arena) {
    return subjects_of(binding, "Group", arena);
}
Json binding_service_accounts(const Json& binding, WallTime, Arena& arena) {
    return subjects_of(binding, "ServiceAccount", arena);
}

constexpr NamedPrinter printers[] = {
    {"binding_groups", binding_groups},
    {"binding_service_accounts", binding_service_accounts},
    {"binding_users", binding_users},
    {"endpointslice_endpoints", endpointslice_endpoints},
    {"endpointslice_ports", endpointslice_ports},
    {"ingress_address", ingress_address},
    {"ingress_class", ingress_class},
    {"ingress_hosts", ingress_hosts},
    {"ingress_ports", ingress_ports},
    {"ingressclass_parameters", ingressclass_parameters},
    {"ipaddress_parent", ipaddress_parent},
    {"networkpolicy_pod_selector", networkpolicy_pod_selector},
};

}   // namespace

std::span<const NamedPrinter> networking_printers() { return printers; }

}   // namespace skiff::api
