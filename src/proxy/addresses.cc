#include "proxy/addresses.h"

#include <algorithm>
#include <cstring>

#include "base/text.h"

namespace skiff::proxy {

std::optional<Address> parse_address(std::string_view text) {
    const auto parts = split(text, '.');
    if (parts.size() != 4) return std::nullopt;
    Address address = 0;
    for (const auto part : parts) {
        const auto number = parse_number<unsigned>(part);
        if (!number || *number > 255 || (part.size() > 1 && part.front() == '0'))
            return std::nullopt;
        address = address << 8 | *number;
    }
    return address;
}

std::string address_text(Address address) {
    return concat(address >> 24, '.', address >> 16 & 255, '.', address >> 8 & 255, '.',
                  address & 255);
}

std::optional<Cidr> parse_cidr(std::string_view text) {
    const auto [host, bits] = cut(text, '/');
    const auto address = parse_address(host);
    const auto length = bits ? parse_number<unsigned>(*bits) : std::nullopt;
    if (!address || !length || *length > 32) return std::nullopt;
    const Address mask = *length == 0 ? 0 : ~Address{0} << (32 - *length);
    return Cidr{*address & mask, mask};
}

std::vector<Range> merged(std::vector<Range> ranges) {
    std::ranges::sort(ranges, {}, &Range::first);
    std::vector<Range> out;
    for (const auto& range : ranges) {
        if (!out.empty() && (out.back().end == 0 || range.first <= out.back().end)) {
            auto& end = out.back().end;
            if (end != 0) end = range.end == 0 ? 0 : std::max(end, range.end);
        } else {
            out.push_back(range);
        }
    }
    return out;
}

std::vector<Range> without(const Range& range, std::vector<Range> except) {
    std::vector<Range> out;
    Range rest = range;
    for (const auto& hole : merged(std::move(except))) {
        const bool before = rest.end != 0 && hole.first >= rest.end;
        const bool after = hole.end != 0 && hole.end <= rest.first;
        if (before || after) continue;
        if (hole.first > rest.first) out.push_back({rest.first, hole.first});
        if (hole.end == 0 || (rest.end != 0 && hole.end >= rest.end)) return out;
        rest.first = hole.end;
    }
    out.push_back(rest);
    return out;
}

std::optional<Protocol> parse_protocol(std::string_view text) {
    if (text.empty() || text == "TCP") return Protocol::Tcp;
    if (text == "UDP") return Protocol::Udp;
    if (text == "SCTP") return Protocol::Sctp;
    return std::nullopt;
}

std::string_view protocol_text(Protocol protocol) {
    switch (protocol) {
    case Protocol::Tcp: return "TCP";
    case Protocol::Udp: return "UDP";
    case Protocol::Sctp: return "SCTP";
    }
    return "";
}

std::string address_part(Address address) {
    return {static_cast<char>(address >> 24), static_cast<char>(address >> 16 & 255),
            static_cast<char>(address >> 8 & 255), static_cast<char>(address & 255)};
}
std::string protocol_part(Protocol protocol) {
    return {static_cast<char>(protocol), '\0', '\0', '\0'};
}
std::string port_part(uint16_t port) {
    return {static_cast<char>(port >> 8), static_cast<char>(port & 255), '\0', '\0'};
}
std::string number_part(uint32_t number) {
    return {reinterpret_cast<const char*>(&number), sizeof number};
}
Address address_of_part(std::string_view part) {
    const auto byte = [&](size_t at) {
        return static_cast<Address>(static_cast<uint8_t>(part[at]));
    };
    return byte(0) << 24 | byte(1) << 16 | byte(2) << 8 | byte(3);
}
uint16_t port_of_part(std::string_view part) {
    return static_cast<uint16_t>(static_cast<uint8_t>(part[0]) << 8 |
                                 static_cast<uint8_t>(part[1]));
}
uint32_t number_of_part(std::string_view part) {
    uint32_t number = 0;
    std::memcpy(&number, part.data(), sizeof number);
    return number;
}

}   // namespace skiff::proxy
