#include "api/names.h"

#include <algorithm>

#include <arpa/inet.h>

#include "base/text.h"

namespace skiff::api {
namespace {

// Regular expressions are named in the messages, as upstream does, and matched by hand.
constexpr std::string_view label_form = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
constexpr std::string_view subdomain_form =
    "[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*";
constexpr std::string_view qualified_form = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";

bool is_digit(char byte) { return byte >= '0' && byte <= '9'; }
bool is_lower(char byte) { return byte >= 'a' && byte <= 'z'; }
bool is_lower_or_digit(char byte) { return is_lower(byte) || is_digit(byte); }
bool is_alphanumeric(char byte) { return is_lower_or_digit(byte) || (byte >= 'A' && byte <= 'Z'); }

std::string too_long(size_t characters) {
    return concat("must be no more than ", characters, " characters");
}

std::string not_of_form(std::string_view message, std::string_view form,
                        std::initializer_list<std::string_view> examples) {
    std::string text = concat(message, " (e.g. ");
    bool first = true;
    for (const auto example : examples) {
        append(text, first ? "'" : " or '", example, "', ");
        first = false;
    }
    append(text, "regex used for validation is '", form, "')");
    return text;
}

bool is_dns_label(std::string_view text) {
    return !text.empty() && is_lower_or_digit(text.front()) && is_lower_or_digit(text.back()) &&
           std::ranges::all_of(text, [](char c) { return is_lower_or_digit(c) || c == '-'; });
}

bool is_dns_subdomain(std::string_view text) {
    return std::ranges::all_of(split(text, '.'), is_dns_label);
}

// Of a label's key, behind the prefix, and of a value that is not empty.
bool is_qualified_part(std::string_view text) {
    return !text.empty() && is_alphanumeric(text.front()) && is_alphanumeric(text.back()) &&
           std::ranges::all_of(
               text, [](char c) { return is_alphanumeric(c) || c == '-' || c == '_' || c == '.'; });
}

std::string qualified_part_message(std::string_view subject) {
    return not_of_form(concat(subject,
                              "must consist of alphanumeric characters, '-', '_' or '.', and must "
                              "start and end with an alphanumeric character"),
                       qualified_form, {"MyName", "my.name", "123-abc"});
}

std::string check_port_name(std::string_view value) {
    if (value.size() > 15) return too_long(15);
    const auto allowed = [](char c) { return is_lower_or_digit(c) || c == '-'; };
    if (value.empty() || !std::ranges::all_of(value, allowed))
        return "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)";
    if (!std::ranges::any_of(value, is_lower)) return "must contain at least one letter (a-z)";
    if (value.find("--") != value.npos) return "must not contain consecutive hyphens";
    if (value.front() == '-' || value.back() == '-') return "must not begin or end with a hyphen";
    return "";
}

bool is_ip(std::string_view value) {
    const std::string text{value};
    unsigned char address[16];
    return text.find('\0') == text.npos && (inet_pton(AF_INET, text.c_str(), address) == 1 ||
                                            inet_pton(AF_INET6, text.c_str(), address) == 1);
}

bool is_cidr(std::string_view value) {
    const auto [address, length] = cut(value, '/');
    if (!length || !is_ip(address)) return false;
    const auto bits = parse_number<uint8_t>(*length);
    return bits && *bits <= (address.find(':') == address.npos ? 32 : 128);
}

// Since 1.32 upstream accepts any printable ASCII but '='.
std::string check_env_var_name(std::string_view value) {
    if (value.empty()) return "environment variable name must be non-empty";
    if (std::ranges::all_of(value, [](char c) { return c >= ' ' && c < 0x7f && c != '='; }))
        return "";
    return "a valid environment variable name must consist only of printable ASCII characters "
           "other than '='";
}

std::string check_config_map_key(std::string_view value) {
    if (value.size() > 253) return too_long(253);
    const auto allowed = [](char c) {
        return is_alphanumeric(c) || c == '-' || c == '_' || c == '.';
    };
    if (value.empty() || !std::ranges::all_of(value, allowed))
        return not_of_form(
            "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
            "[-._a-zA-Z0-9]+", {"key.name", "KEY_NAME", "key-name"});
    if (value == "." || value == "..") return concat("must not be '", value, "'");
    return value.starts_with("..") ? "must not start with '..'" : "";
}

bool is_uuid(std::string_view value) {
    if (value.size() != 36) return false;
    for (size_t i = 0; i < value.size(); ++i) {
        const char lower_case = static_cast<char>(value[i] | 0x20);
        const bool hyphen = i == 8 || i == 13 || i == 18 || i == 23;
        if (hyphen ? value[i] != '-'
                   : !is_digit(value[i]) && (lower_case < 'a' || lower_case > 'f'))
            return false;
    }
    return true;
}

}   // namespace

std::string check_dns1123_label(std::string_view value) {
    if (value.size() > 63) return too_long(63);
    if (is_dns_label(value)) return "";
    if (is_dns_subdomain(value)) return "must not contain dots";
    return not_of_form(
        "a lowercase RFC 1123 label must consist of lower case alphanumeric "
        "characters or '-', and must start and end with an alphanumeric character",
        label_form, {"my-name", "123-abc"});
}

std::string check_dns1123_subdomain(std::string_view value) {
    if (value.size() > 253) return too_long(253);
    if (is_dns_subdomain(value)) return "";
    return not_of_form(
        "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric "
        "characters, '-' or '.', and must start and end with an alphanumeric "
        "character",
        subdomain_form, {"example.com"});
}

std::string check_dns1035_label(std::string_view value) {
    if (value.size() > 63) return too_long(63);
    if (is_dns_label(value) && is_lower(value.front())) return "";
    return not_of_form(
        "a DNS-1035 label must consist of lower case alphanumeric characters or "
        "'-', start with an alphabetic character, and end with an alphanumeric "
        "character",
        "[a-z]([-a-z0-9]*[a-z0-9])?", {"my-name", "abc-123"});
}

std::string check_qualified_name(std::string_view value) {
    const auto [first, second] = cut(value, '/');
    if (second && second->find('/') != second->npos)
        return qualified_part_message("a qualified name ") +
               " with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')";
    if (second && first.empty()) return "prefix part must be non-empty";
    if (second) {
        if (auto wrong = check_dns1123_subdomain(first); !wrong.empty())
            return concat("prefix part ", wrong);
    }
    const auto name = second ? *second : first;
    // Upstream tells an empty name twice, and joins the two this way.
    if (name.empty())
        return concat("name part must be non-empty; ", qualified_part_message("name part "));
    if (name.size() > 63) return concat("name part ", too_long(63));
    return is_qualified_part(name) ? "" : qualified_part_message("name part ");
}

std::string check_label_value(std::string_view value) {
    if (value.size() > 63) return too_long(63);
    if (value.empty() || is_qualified_part(value)) return "";
    return not_of_form(
        "a valid label must be an empty string or consist of alphanumeric "
        "characters, '-', '_' or '.', and must start and end with an alphanumeric "
        "character",
        concat("(", qualified_form, ")?"), {"MyValue", "my_value", "12345"});
}

std::string check_path_segment(std::string_view value) {
    if (value == "." || value == "..") return concat("may not be '", value, "'");
    for (const char forbidden : {'/', '%'})
        if (value.find(forbidden) != value.npos) return concat("may not contain '", forbidden, "'");
    return "";
}

std::string check_format(Format format, std::string_view value) {
    const auto unless = [](bool good, std::string_view message) {
        return std::string{good ? "" : message};
    };
    switch (format) {
    case Format::None: return "";
    case Format::Dns1123Label: return check_dns1123_label(value);
    case Format::Dns1123Subdomain: return check_dns1123_subdomain(value);
    case Format::Dns1035Label: return check_dns1035_label(value);
    case Format::QualifiedName: return check_qualified_name(value);
    case Format::LabelValue: return check_label_value(value);
    case Format::PortName: return check_port_name(value);
    case Format::EnvVarName: return check_env_var_name(value);
    case Format::ConfigMapKey: return check_config_map_key(value);
    case Format::PortNumber: {
        const auto number = parse_number<int64_t>(value);
        return unless(number && *number >= 1 && *number <= 65535,
                      "must be between 1 and 65535, inclusive");
    }
    case Format::Ip:
        return unless(is_ip(value),
                      "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)");
    case Format::Cidr:
        return unless(is_cidr(value),
                      "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)");
    case Format::AbsolutePath: return unless(value.starts_with('/'), "must be an absolute path");
    case Format::Uuid: return unless(is_uuid(value), "must be a UUID");
    }
    return "";
}

}   // namespace skiff::api
