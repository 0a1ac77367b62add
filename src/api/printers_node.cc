// The columns of nodes, and of what nodes and pods use.
#include <set>
#include <string>

#include "api/json_fields.h"
#include "api/printers_families.h"
#include "api/quantity.h"
#include "base/text.h"

namespace skiff::api {
namespace {

using codec::Arena;
using codec::Json;

Json text_or_unknown(std::string_view text) {
    return Json::borrowed(text.empty() ? "<unknown>" : text);
}

Json node_status(const Json& node, WallTime, Arena& arena) {
    std::string text;
    for (const Json& condition : field(node, "status", "conditions").items())
        if (text_of(condition, "type") == "Ready")
            text = text_of(condition, "status") == "True" ? "Ready" : "NotReady";
    if (text.empty()) text = "Unknown";
    if (truth(field(node, "spec", "unschedulable"))) text += ",SchedulingDisabled";
    return Json::string(arena, text);
}

Json node_roles(const Json& node, WallTime, Arena& arena) {
    constexpr std::string_view prefix = "node-role.kubernetes.io/";
    std::set<std::string_view> roles;
    for (const auto& [key, value] : field(node, "metadata", "labels").members()) {
        if (key.starts_with(prefix) && key.size() > prefix.size())
            roles.insert(key.substr(prefix.size()));
        else if (key == "kubernetes.io/role" && !value.text().empty())
            roles.insert(value.text());
    }
    std::string text;
    for (const auto role : roles) append(text, text.empty() ? "" : ",", role);
    return Json::string(arena, text.empty() ? "<none>" : text);
}

Json address_of(const Json& node, std::string_view type) {
    for (const Json& address : field(node, "status", "addresses").items())
        if (text_of(address, "type") == type) return text_or_none(text_of(address, "address"));
    return text_or_none({});
}

Json node_internal_ip(const Json& node, WallTime, Arena&) { return address_of(node, "InternalIP"); }
Json node_external_ip(const Json& node, WallTime, Arena&) { return address_of(node, "ExternalIP"); }
Json node_os_image(const Json& node, WallTime, Arena&) {
    return text_or_unknown(text_of(node, "status", "nodeInfo", "osImage"));
}
Json node_kernel_version(const Json& node, WallTime, Arena&) {
    return text_or_unknown(text_of(node, "status", "nodeInfo", "kernelVersion"));
}
Json node_container_runtime(const Json& node, WallTime, Arena&) {
    return text_or_unknown(text_of(node, "status", "nodeInfo", "containerRuntimeVersion"));
}

std::string total_usage(const Json& metrics, std::string_view resource) {
    auto total = Quantity::from_value(0);
    bool first = true;
    for (const Json& container : field(metrics, "containers").items())
        if (const auto used = Quantity::parse(text_of(container, "usage", resource)))
            total = std::exchange(first, false) ? *used : total + *used;
    return total.canonical();
}
Json pod_metrics_cpu(const Json& metrics, WallTime, Arena& arena) {
    return Json::string(arena, total_usage(metrics, "cpu"));
}
Json pod_metrics_memory(const Json& metrics, WallTime, Arena& arena) {
    return Json::string(arena, total_usage(metrics, "memory"));
}

constexpr NamedPrinter printers[] = {
    {"node_container_runtime", node_container_runtime},
    {"node_external_ip", node_external_ip},
    {"node_internal_ip", node_internal_ip},
    {"node_kernel_version", node_kernel_version},
    {"node_os_image", node_os_image},
    {"node_roles", node_roles},
    {"node_status", node_status},
    {"pod_metrics_cpu", pod_metrics_cpu},
    {"pod_metrics_memory", pod_metrics_memory},
};

}   // namespace

std::span<const NamedPrinter> node_printers() { return printers; }

}   // namespace skiff::api
