#include "base/text.h"

#include <algorithm>
#include <array>

namespace skiff {
namespace {

constexpr std::string_view standard_alphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::string_view url_alphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

constexpr std::array<int8_t, 256> values_of(std::string_view alphabet) {
    std::array<int8_t, 256> values{};
    values.fill(-1);
    for (size_t i = 0; i < alphabet.size(); ++i)
        values[static_cast<unsigned char>(alphabet[i])] = static_cast<int8_t>(i);
    return values;
}
constexpr auto standard_values = values_of(standard_alphabet);
constexpr auto url_values = values_of(url_alphabet);

enum class Padding { No, Yes };

std::string encoded(std::string_view bytes, std::string_view alphabet, Padding padding) {
    std::string out;
    out.reserve((bytes.size() + 2) / 3 * 4);
    uint32_t buffer = 0;
    unsigned bits = 0;
    for (const char c : bytes) {
        buffer = buffer << 8 | static_cast<unsigned char>(c);
        for (bits += 8; bits >= 6;) out += alphabet[buffer >> (bits -= 6) & 63];
    }
    if (bits > 0) out += alphabet[buffer << (6 - bits) & 63];
    while (padding == Padding::Yes && out.size() % 4 != 0) out += '=';
    return out;
}

// Line breaks are skipped, as Go's decoder does: manifests carry base64 in folded YAML blocks.
std::optional<std::string> decoded(std::string_view text, const std::array<int8_t, 256>& values,
                                   Padding padding) {
    std::string out;
    out.reserve(text.size() / 4 * 3 + 3);
    uint32_t buffer = 0;
    unsigned bits = 0;
    size_t digits = 0, pads = 0;
    for (const char c : text) {
        if (c == '\n' || c == '\r') continue;
        if (c == '=') {
            ++pads;
            continue;
        }
        const int value = values[static_cast<unsigned char>(c)];
        if (value < 0 || pads > 0) return std::nullopt;
        buffer = buffer << 6 | static_cast<uint32_t>(value);
        ++digits;
        if ((bits += 6) >= 8) out += static_cast<char>(buffer >> (bits -= 8) & 255);
    }
    const bool padded = (digits + pads) % 4 == 0 && pads <= 2;
    const bool bare = pads == 0 && padding == Padding::No;
    if (digits % 4 == 1 || !(padded || bare)) return std::nullopt;
    return out;
}

constexpr char lowered(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

}   // namespace

std::vector<std::string_view> split(std::string_view text, char separator) {
    std::vector<std::string_view> parts;
    for (;;) {
        const size_t at = text.find(separator);
        parts.push_back(text.substr(0, at));
        if (at == std::string_view::npos) return parts;
        text.remove_prefix(at + 1);
    }
}

std::pair<std::string_view, std::optional<std::string_view>> cut(std::string_view text,
                                                                 char separator) {
    const size_t at = text.find(separator);
    if (at == std::string_view::npos) return {text, std::nullopt};
    return {text.substr(0, at), text.substr(at + 1)};
}

std::string join(const std::vector<std::string>& parts, std::string_view separator) {
    std::string out;
    for (size_t i = 0; i < parts.size(); ++i) {
        if (i > 0) out += separator;
        out += parts[i];
    }
    return out;
}

std::string_view trim(std::string_view text) {
    constexpr std::string_view white = " \t\r\n\v\f";
    const size_t first = text.find_first_not_of(white);
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(white) - first + 1);
}

std::string lower(std::string_view text) {
    std::string out{text};
    std::ranges::transform(out, out.begin(), lowered);
    return out;
}

bool iequals(std::string_view left, std::string_view right) {
    return std::ranges::equal(left, right, {}, lowered, lowered);
}

std::string base64(std::string_view bytes) {
    return encoded(bytes, standard_alphabet, Padding::Yes);
}
std::string base64url(std::string_view bytes) { return encoded(bytes, url_alphabet, Padding::No); }
std::optional<std::string> base64_decoded(std::string_view text) {
    return decoded(text, standard_values, Padding::Yes);
}
std::optional<std::string> base64url_decoded(std::string_view text) {
    return decoded(text, url_values, Padding::No);
}

std::string hex(std::string_view bytes) {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string out;
    out.reserve(bytes.size() * 2);
    for (const char c : bytes) {
        const auto byte = static_cast<unsigned char>(c);
        out += digits[byte >> 4];
        out += digits[byte & 15];
    }
    return out;
}

}   // namespace skiff
