// Names, addresses, times and other single values that objects and requests carry.
#include "api/names.h"
#include "base/fuzz.h"
#include "base/ipv4.h"
#include "base/text.h"
#include "base/time.h"

namespace skiff::api {
namespace {

void try_names(std::string_view input) {
    if (input.empty()) return;
    const auto format = static_cast<Format>(static_cast<unsigned char>(input[0]) %
                                            (static_cast<unsigned>(Format::Uuid) + 1));
    const auto value = input.substr(1);
    (void)check_format(format, value);
    // What is a name can stand in a path.
    if (check_dns1123_subdomain(value).empty()) ASSERT(check_path_segment(value).empty());
    if (check_dns1123_label(value).empty()) ASSERT(check_dns1123_subdomain(value).empty());
}

void try_cidr(std::string_view input) {
    if (const auto address = parse_ipv4(input)) ASSERT(ipv4_text(*address) == input);
    if (const auto range = parse_ipv4_range(input)) {
        ASSERT(range->bits <= 32 && range->contains(range->base));
        ASSERT(parse_ipv4_range(range->text()) == range);
    }
    (void)check_format(Format::Cidr, input);
    (void)check_format(Format::Ip, input);
}

void try_times(std::string_view input) {
    if (const auto time = parse_rfc3339(input)) {
        const auto again = parse_rfc3339(rfc3339_nano(*time));
        ASSERT(again && *again == *time);
    }
    if (const auto duration = parse_go_duration(input)) {
        const auto again = parse_go_duration(go_duration(*duration));
        ASSERT(again && *again == *duration);
    }
}

void try_base64_text(std::string_view input) {
    ASSERT(base64_decoded(base64(input)) == input);
    ASSERT(base64url_decoded(base64url(input)) == input);
    if (const auto bytes = base64_decoded(input)) ASSERT(base64_decoded(base64(*bytes)) == bytes);
    (void)base64url_decoded(input);
}

const fuzz::Target value{"value", [](std::string_view input) {
                             try_names(input);
                             try_cidr(input);
                             try_times(input);
                             try_base64_text(input);
                         }};

}   // namespace
}   // namespace skiff::api
