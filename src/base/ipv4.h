// IPv4 addresses and ranges as numbers in the host's byte order.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace skiff {

std::optional<uint32_t> parse_ipv4(std::string_view text);   // "10.96.0.1", nothing around it
std::string ipv4_text(uint32_t address);

struct Ipv4Range {
    uint32_t base = 0;
    unsigned bits = 32;

    uint64_t size() const { return uint64_t{1} << (32 - bits); }
    uint32_t mask() const { return bits == 0 ? 0 : ~uint32_t{0} << (32 - bits); }
    bool contains(uint32_t address) const { return (address & mask()) == base; }
    std::string text() const;
    bool operator==(const Ipv4Range&) const = default;
};
std::optional<Ipv4Range> parse_ipv4_range(std::string_view text);   // bits behind the prefix: none

}   // namespace skiff
