#include "agent/service_variables.h"

#include <algorithm>

#include "base/text.h"

namespace skiff::agent {
namespace {

std::string variable_part(std::string_view name) {
    std::string out;
    for (const char c : name)
        out += c == '-' ? '_' : c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
    return out;
}

void add(const view::Service& service, std::map<std::string, std::string>& out) {
    const auto& ports = service.spec.ports;
    const auto& ip = service.spec.clusterIP;
    if (ip.empty() || ip == "None" || ports.empty()) return;
    const std::string name = variable_part(service.metadata.name);
    const auto url = [&](const auto& port) {
        return concat(lower(port.protocol.view()), "://", ip, ":", port.port);
    };
    out[name + "_SERVICE_HOST"] = ip;
    out[name + "_SERVICE_PORT"] = concat(ports.front().port);
    out[name + "_PORT"] = url(ports.front());
    for (const auto& port : ports) {
        if (!port.name.empty())
            out[concat(name, "_SERVICE_PORT_", variable_part(port.name))] = concat(port.port);
        const auto link = concat(name, "_PORT_", port.port, "_", port.protocol.view());
        out[link] = url(port);
        out[link + "_PROTO"] = lower(port.protocol.view());
        out[link + "_PORT"] = concat(port.port);
        out[link + "_ADDR"] = ip;
    }
}

}   // namespace

std::map<std::string, std::string> service_variables(const ServiceList& services,
                                                     std::string_view name_space, bool links) {
    std::map<std::string, std::string> out;
    for (const auto& service : services)
        if (service->metadata.namespace_ == "default" && service->metadata.name == "kubernetes")
            add(*service, out);
    if (!links) return out;
    for (const auto& service : services)
        if (service->metadata.namespace_ == name_space) add(*service, out);
    return out;
}

}   // namespace skiff::agent
