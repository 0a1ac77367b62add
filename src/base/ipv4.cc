#include "base/ipv4.h"

#include "base/text.h"

namespace skiff {

std::optional<uint32_t> parse_ipv4(std::string_view text) {
    const auto parts = split(text, '.');
    if (parts.size() != 4) return std::nullopt;
    uint32_t address = 0;
    for (const auto part : parts) {
        // Leading zeros are octal to some and decimal to others: to nobody here.
        if (part.empty() || part.size() > 3 || (part.size() > 1 && part[0] == '0'))
            return std::nullopt;
        const auto number = parse_number<unsigned>(part);
        if (!number || *number > 255) return std::nullopt;
        address = address << 8 | *number;
    }
    return address;
}

std::string ipv4_text(uint32_t address) {
    return concat(address >> 24, ".", address >> 16 & 255, ".", address >> 8 & 255, ".",
                  address & 255);
}

std::string Ipv4Range::text() const { return concat(ipv4_text(base), "/", bits); }

std::optional<Ipv4Range> parse_ipv4_range(std::string_view text) {
    const auto [address, length] = cut(text, '/');
    const auto base = parse_ipv4(address);
    const auto bits = length ? parse_number<unsigned>(*length) : std::nullopt;
    if (!base || !bits || *bits > 32) return std::nullopt;
    const Ipv4Range range{.base = *base, .bits = *bits};
    if ((range.base & ~range.mask()) != 0) return std::nullopt;
    return range;
}

}   // namespace skiff
