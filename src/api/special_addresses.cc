#include "api/special_addresses.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string>

#include <arpa/inet.h>

#include "base/text.h"

namespace skiff::api {
namespace {

using Address = std::array<uint8_t, 16>;   // IPv4 as IPv6 writes it: ::ffff:a.b.c.d

constexpr Address mapped_prefix{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

std::optional<Address> parse(const std::string& text) {
    Address address = mapped_prefix;
    if (inet_pton(AF_INET, text.c_str(), address.data() + 12) == 1) return address;
    if (inet_pton(AF_INET6, text.c_str(), address.data()) == 1) return address;
    return std::nullopt;
}

bool is_mapped(const Address& address) {
    return std::equal(address.begin(), address.begin() + 12, mapped_prefix.begin());
}

bool is_all_zero(const Address& address, size_t from) {
    return std::all_of(address.begin() + static_cast<std::ptrdiff_t>(from), address.end(),
                       [](uint8_t byte) { return byte == 0; });
}

}   // namespace

void validate_no_special_address(std::string_view ip, const FieldPath& path, Causes& causes) {
    const auto parsed = parse(std::string{ip});
    if (!parsed) return;
    const auto& a = *parsed;
    const bool four = is_mapped(a);
    if (is_all_zero(a, four ? 12 : 0))
        add_invalid(causes, path, ip, concat("may not be unspecified (", ip, ")"));
    if (four ? a[12] == 127 : a[15] == 1 && std::all_of(a.begin(), a.end() - 1, [](uint8_t byte) {
                                  return byte == 0;
                              }))
        add_invalid(causes, path, ip, "may not be in the loopback range (127.0.0.0/8, ::1/128)");
    if (four ? a[12] == 169 && a[13] == 254 : a[0] == 0xfe && (a[1] & 0xc0) == 0x80)
        add_invalid(causes, path, ip,
                    "may not be in the link-local range (169.254.0.0/16, fe80::/10)");
    if (four ? a[12] == 224 && a[13] == 0 && a[14] == 0 : a[0] == 0xff && (a[1] & 0x0f) == 2)
        add_invalid(causes, path, ip,
                    "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)");
}

}   // namespace skiff::api
