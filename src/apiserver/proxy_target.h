// Where pods/proxy and services/proxy lead: names such as "web", "web:8080", "https:web:main".
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/random.h"
#include "base/result.h"
#include "codec/json.h"

namespace skiff::apiserver {

struct ProxyName {
    std::string_view scheme;   // "", "http" or "https"
    std::string_view name;
    std::string_view port;   // a number, or a service's port by name; "" when not said
};
// Nothing for what is no such name.
std::optional<ProxyName> parse_proxy_name(std::string_view text);

struct ProxyTarget {
    std::string address;
    uint16_t port = 0;
};
// A pod without a said port is reached on the first that its containers name.
Result<ProxyTarget> proxy_target_of_pod(const codec::Json& pod, const ProxyName& name);
// One of the ready addresses, by chance.
Result<ProxyTarget> proxy_target_of_service(const codec::Json& service,
                                            const codec::Json* endpoints, const ProxyName& name,
                                            Random& random);

// False for loopback, link-local, multicast and unspecified addresses: through those the API
// server would reach itself or the cloud's metadata (CVE-2020-8562).
bool may_be_proxied_to(const std::string& address);

}   // namespace skiff::apiserver
