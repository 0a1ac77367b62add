// IPv4 addresses and ranges, and the bytes that keys of nftables sets are made of.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace skiff::proxy {

using Address = uint32_t;   // in the machine's byte order: addresses count

std::optional<Address> parse_address(std::string_view text);   // absent: not IPv4
std::string address_text(Address address);

// Half-open, as most ranges: `end` 0 means that it goes to the very last address.
struct Range {
    Address first = 0;
    Address end = 0;
    bool contains(Address address) const { return address >= first && address - 1 < end - 1; }
    bool operator==(const Range&) const = default;
};
struct Cidr {
    Address address = 0;   // its bits below the mask are zero
    Address mask = 0;
    bool contains(Address other) const { return (other & mask) == address; }
    Range range() const { return {address, address + ~mask + 1}; }
    bool operator==(const Cidr&) const = default;
};
std::optional<Cidr> parse_cidr(std::string_view text);

// The ranges without what `except` takes out of them: sorted, apart from each other.
std::vector<Range> merged(std::vector<Range> ranges);
std::vector<Range> without(const Range& range, std::vector<Range> except);

enum class Protocol : uint8_t { Tcp = 6, Udp = 17, Sctp = 132 };
std::optional<Protocol> parse_protocol(std::string_view text);   // "" is TCP, as in the API
std::string_view protocol_text(Protocol protocol);

// Parts of keys and values, four bytes each.
std::string address_part(Address address);
std::string protocol_part(Protocol protocol);
std::string port_part(uint16_t port);
std::string number_part(uint32_t number);   // in the machine's byte order
Address address_of_part(std::string_view part);
uint16_t port_of_part(std::string_view part);
uint32_t number_of_part(std::string_view part);

}   // namespace skiff::proxy
