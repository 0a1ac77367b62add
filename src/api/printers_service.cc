// The columns of services and endpoints.
#include <map>
#include <string>

#include "api/json_fields.h"
#include "api/printers_families.h"
#include "base/text.h"

namespace skiff::api {
namespace {

using codec::Arena;
using codec::Json;

constexpr size_t endpoints_shown_max = 3;

Json service_cluster_ip(const Json& service, WallTime, Arena&) {
    const auto addresses = field(service, "spec", "clusterIPs").items();
    return text_or_none(addresses.empty() ? text_of(service, "spec", "clusterIP")
                                          : addresses[0].text());
}

void add_to(std::string& list, std::string_view item) {
    if (!item.empty()) append(list, list.empty() ? "" : ",", item);
}

std::string external_ips(const Json& service) {
    std::string text;
    for (const Json& address : field(service, "spec", "externalIPs").items())
        add_to(text, address.text());
    return text;
}

Json service_external_ip(const Json& service, WallTime, Arena& arena) {
    const auto type = text_of(service, "spec", "type");
    if (type == "ExternalName") return Json::borrowed(text_of(service, "spec", "externalName"));
    std::string text;
    if (type == "LoadBalancer") {
        for (const Json& ingress : field(service, "status", "loadBalancer", "ingress").items()) {
            const auto ip = text_of(ingress, "ip");
            add_to(text, ip.empty() ? text_of(ingress, "hostname") : ip);
        }
    }
    add_to(text, external_ips(service));
    if (!text.empty()) return Json::string(arena, text);
    return Json::borrowed(type == "LoadBalancer" ? "<pending>" : "<none>");
}

Json service_ports(const Json& service, WallTime, Arena& arena) {
    std::string text;
    for (const Json& port : field(service, "spec", "ports").items()) {
        const int64_t node_port = int_or(field(port, "nodePort"), 0);
        std::string item = concat(int_or(field(port, "port"), 0));
        if (node_port != 0) append(item, ":", node_port);
        append(item, "/", text_of(port, "protocol"));
        add_to(text, item);
    }
    return Json::string(arena, text.empty() ? "<none>" : text);
}

Json service_selector(const Json& service, WallTime, Arena& arena) {
    std::map<std::string_view, std::string_view> sorted;
    for (const auto& [key, value] : field(service, "spec", "selector").members())
        sorted.emplace(key, value.text());
    std::string text;
    for (const auto& [key, value] : sorted) add_to(text, concat(key, "=", value));
    return Json::string(arena, text.empty() ? "<none>" : text);
}

// Up to three addresses, then how many more there are.
class AddressList {
  public:
    void add(std::string_view ip, const Json* port) {
        if (++count_ > endpoints_shown_max) return;
        if (!port) return add_to(text_, ip);
        const bool six = ip.find(':') != ip.npos;
        add_to(text_,
               concat(six ? "[" : "", ip, six ? "]" : "", ":", int_or(field(*port, "port"), 0)));
    }
    std::string take() {
        if (count_ > endpoints_shown_max)
            append(text_, " + ", count_ - endpoints_shown_max, " more...");
        return count_ == 0 ? "<none>" : std::move(text_);
    }

  private:
    std::string text_;
    size_t count_ = 0;
};

Json endpoints(const Json& object, WallTime, Arena& arena) {
    AddressList list;
    for (const Json& subset : field(object, "subsets").items()) {
        const auto addresses = field(subset, "addresses").items();
        const auto ports = field(subset, "ports").items();
        for (const Json& port : ports)
            for (const Json& address : addresses) list.add(text_of(address, "ip"), &port);
        if (!ports.empty()) continue;
        for (const Json& address : addresses) list.add(text_of(address, "ip"), nullptr);
    }
    return Json::string(arena, list.take());
}

constexpr NamedPrinter printers[] = {
    {"endpoints", endpoints},
    {"service_cluster_ip", service_cluster_ip},
    {"service_external_ip", service_external_ip},
    {"service_ports", service_ports},
    {"service_selector", service_selector},
};

}   // namespace

std::span<const NamedPrinter> service_printers() { return printers; }

}   // namespace skiff::api
