#include "apiserver/proxy_target.h"

#include <algorithm>
#include <vector>

#include <arpa/inet.h>

#include "base/text.h"

namespace skiff::apiserver {
namespace {

using codec::Json;

std::span<const Json> items_at(const Json& object, std::initializer_list<std::string_view> path) {
    const auto* list = object.at_path(path);
    return list ? list->items() : std::span<const Json>{};
}

int64_t number_in(const Json& object, std::string_view key) {
    const auto* value = object.find(key);
    return value && value->is_integer() ? value->as_int() : 0;
}

Result<ProxyTarget> allowed(std::string address, int64_t port) {
    if (address.empty())
        return fail(Reason::ServiceUnavailable, "there is no address to reach it at yet");
    if (!may_be_proxied_to(address)) return fail(Reason::BadRequest, "address not allowed");
    if (port < 1 || port > 65535)
        return fail(Reason::BadRequest, concat("port ", port, " must be between 1 and 65535"));
    return ProxyTarget{.address = std::move(address), .port = static_cast<uint16_t>(port)};
}

// The service's port that is meant; null when none is.
const Json* service_port(const Json& service, std::string_view wanted) {
    const auto ports = items_at(service, {"spec", "ports"});
    const auto number = parse_number<int64_t>(wanted);
    for (const auto& port : ports) {
        if (wanted.empty() && ports.size() == 1) return &port;
        if (number ? number_in(port, "port") == *number : port.text_at({"name"}) == wanted)
            return &port;
    }
    return nullptr;
}

}   // namespace

std::optional<ProxyName> parse_proxy_name(std::string_view text) {
    const auto parts = split(text, ':');
    if (parts.size() == 1) return ProxyName{.scheme = {}, .name = parts[0], .port = {}};
    if (parts.size() == 2) return ProxyName{.scheme = {}, .name = parts[0], .port = parts[1]};
    if (parts.size() != 3) return std::nullopt;
    if (!parts[0].empty() && parts[0] != "http" && parts[0] != "https") return std::nullopt;
    return ProxyName{.scheme = parts[0], .name = parts[1], .port = parts[2]};
}

Result<ProxyTarget> proxy_target_of_pod(const Json& pod, const ProxyName& name) {
    int64_t port = name.scheme == "https" ? 443 : 80;
    if (!name.port.empty()) {
        const auto number = parse_number<int64_t>(name.port);
        if (!number)
            return fail(Reason::BadRequest, concat("port '", name.port, "' must be a number"));
        port = *number;
    } else {
        for (const auto& container : items_at(pod, {"spec", "containers"})) {
            const auto ports = items_at(container, {"ports"});
            if (ports.empty()) continue;
            port = number_in(ports.front(), "containerPort");
            break;
        }
    }
    return allowed(std::string{pod.text_at({"status", "podIP"})}, port);
}

Result<ProxyTarget> proxy_target_of_service(const Json& service, const Json* endpoints,
                                            const ProxyName& name, Random& random) {
    const auto* wanted = service_port(service, name.port);
    if (!wanted) {
        return fail(Reason::ServiceUnavailable, concat("no service port \"", name.port,
                                                       "\" found for service \"", name.name, "\""));
    }
    struct Choice {
        std::string_view address;
        int64_t port;
    };
    std::vector<Choice> choices;
    if (endpoints) {
        for (const auto& subset : items_at(*endpoints, {"subsets"})) {
            for (const auto& port : items_at(subset, {"ports"})) {
                if (port.text_at({"name"}) != wanted->text_at({"name"})) continue;
                for (const auto& address : items_at(subset, {"addresses"}))
                    choices.push_back({address.text_at({"ip"}), number_in(port, "port")});
            }
        }
    }
    if (choices.empty()) {
        return fail(Reason::ServiceUnavailable,
                    concat("no endpoints available for service \"", name.name, "\""));
    }
    const auto& chosen = choices[random.below(choices.size())];
    return allowed(std::string{chosen.address}, chosen.port);
}

bool may_be_proxied_to(const std::string& address) {
    in_addr four{};
    if (::inet_pton(AF_INET, address.c_str(), &four) == 1) {
        const uint32_t bits = ntohl(four.s_addr);
        const bool loopback = bits >> 24 == 127;
        const bool link_local = bits >> 16 == 0xa9fe;
        const bool multicast_or_broadcast = bits >> 28 >= 14;
        return bits >> 24 != 0 && !loopback && !link_local && !multicast_or_broadcast;
    }
    in6_addr six{};
    if (::inet_pton(AF_INET6, address.c_str(), &six) != 1) return false;
    return !IN6_IS_ADDR_LOOPBACK(&six) && !IN6_IS_ADDR_UNSPECIFIED(&six) &&
           !IN6_IS_ADDR_LINKLOCAL(&six) && !IN6_IS_ADDR_MULTICAST(&six) &&
           !IN6_IS_ADDR_V4MAPPED(&six);
}

}   // namespace skiff::apiserver
