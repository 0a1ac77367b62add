// Which of the wished ports of this machine can be had, and how it is told to people.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace skiff::ingress {

struct Ports {
    uint16_t http = 0;   // 0: not
    uint16_t https = 0;
    bool none() const { return http == 0 && https == 0; }
    bool operator==(const Ports&) const = default;
};

// What is held stays; of the rest what is free.
Ports ports_to_have(const Ports& wished, const Ports& held,
                    const std::function<bool(uint16_t)>& is_free);
bool port_is_free(uint16_t port, bool ipv6);

// "ports 80 and 443", "port 443; port 80 is in use by another program".
std::string ports_text(const Ports& wished, const Ports& held);

}   // namespace skiff::ingress
