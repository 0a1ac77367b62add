// Small text helpers: joining, splitting, numbers, base64, hex. Heavier formatting is libfmt's.
#pragma once

#include <charconv>
#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace skiff {

namespace detail {
inline void append_piece(std::string& out, std::string_view piece) { out += piece; }
inline void append_piece(std::string& out, const char* piece) { out += piece; }
inline void append_piece(std::string& out, const std::string& piece) { out += piece; }
inline void append_piece(std::string& out, char piece) { out += piece; }
template <std::same_as<bool> Bool>
void append_piece(std::string& out, Bool piece) {
    out += piece ? "true" : "false";
}
template <class Number>
requires(std::is_arithmetic_v<Number> &&
         !std::same_as<Number, bool>) void append_piece(std::string& out, Number piece) {
    char digits[32];
    const auto [end, problem] = std::to_chars(digits, digits + sizeof digits, piece);
    out.append(digits, end);
}
}   // namespace detail

// concat("port ", 80, " is taken")
template <class... Pieces>
std::string concat(const Pieces&... pieces) {
    std::string out;
    (detail::append_piece(out, pieces), ...);
    return out;
}

template <class... Pieces>
void append(std::string& out, const Pieces&... pieces) {
    (detail::append_piece(out, pieces), ...);
}

std::vector<std::string_view> split(std::string_view text, char separator);   // "" gives {""}
// "a=b=c", '=' gives {"a", "b=c"}; without a separator the second part is absent.
std::pair<std::string_view, std::optional<std::string_view>> cut(std::string_view text,
                                                                 char separator);
std::string join(const std::vector<std::string>& parts, std::string_view separator);
std::string_view trim(std::string_view text);                  // ASCII white space at both ends
std::string lower(std::string_view text);                      // ASCII only
bool iequals(std::string_view left, std::string_view right);   // ASCII only

template <class Number>
std::optional<Number> parse_number(std::string_view text) {   // the whole text, base 10
    Number value{};
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (problem != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return value;
}

std::string base64(std::string_view bytes);
std::string base64url(std::string_view bytes);   // no padding
// As Go's decoders: line breaks are skipped, nothing else is.
std::optional<std::string> base64_decoded(std::string_view text);      // padded
std::optional<std::string> base64url_decoded(std::string_view text);   // padding optional
std::string hex(std::string_view bytes);                               // lower case

}   // namespace skiff
