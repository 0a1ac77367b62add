#include "codec/yaml_scalar.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdlib>

#include "base/text.h"

namespace skiff::codec {
namespace {

constexpr size_t number_bytes_max = 400;

bool is_digit(char byte) { return byte >= '0' && byte <= '9'; }

template <size_t N>
bool is_one_of(std::string_view text, const std::array<std::string_view, N>& words) {
    return std::ranges::find(words, text) != words.end();
}

constexpr std::array<std::string_view, 11> true_words{"y",    "Y",    "yes", "Yes", "YES", "true",
                                                      "True", "TRUE", "on",  "On",  "ON"};
constexpr std::array<std::string_view, 11> false_words{
    "n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"};
constexpr std::array<std::string_view, 5> null_words{"", "~", "null", "Null", "NULL"};
constexpr std::array<std::string_view, 12> unfit_words{".nan",  ".NaN",  ".NAN",  ".inf",
                                                       ".Inf",  ".INF",  "+.inf", "+.Inf",
                                                       "+.INF", "-.inf", "-.Inf", "-.INF"};

// [-+]? (0x, 0o, 0b, or 0 for octal) digits, as Go's ParseInt with base 0.
std::optional<Json> integer_of(std::string_view text) {
    const bool negative = text.starts_with('-');
    if (negative || text.starts_with('+')) text.remove_prefix(1);
    int base = 10;
    if (text.size() > 1 && text[0] == '0') {
        const char mark = static_cast<char>(text[1] | 0x20);
        base = mark == 'x' ? 16 : mark == 'b' ? 2 : 8;
        text.remove_prefix(mark == 'x' || mark == 'b' || mark == 'o' ? 2 : 1);
    }
    uint64_t value = 0;
    const auto done = std::from_chars(text.data(), text.data() + text.size(), value, base);
    if (text.empty() || done.ec != std::errc{} || done.ptr != text.data() + text.size())
        return std::nullopt;
    if (!negative) return Json::unsigned_integer(value);
    if (value > uint64_t{1} << 63) return std::nullopt;
    return Json::integer(static_cast<int64_t>(0 - value));
}

// [-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?
bool is_float(std::string_view text) {
    size_t at = text.starts_with('-') || text.starts_with('+') ? 1 : 0;
    const auto digits = [&] {
        const size_t from = at;
        while (at < text.size() && is_digit(text[at])) ++at;
        return at - from;
    };
    const size_t whole = digits();
    if (at < text.size() && text[at] == '.') {
        ++at;
        if (digits() == 0 && whole == 0) return false;
    } else if (whole == 0) {
        return false;
    }
    if (at < text.size() && (text[at] | 0x20) == 'e') {
        ++at;
        if (at < text.size() && (text[at] == '-' || text[at] == '+')) ++at;
        if (digits() == 0) return false;
    }
    return at == text.size();
}

}   // namespace

std::optional<Json> resolve_yaml_scalar(std::string_view text, bool& unfit) {
    if (is_one_of(text, null_words)) return Json{};
    if (is_one_of(text, true_words)) return Json::boolean(true);
    if (is_one_of(text, false_words)) return Json::boolean(false);
    unfit = is_one_of(text, unfit_words);
    const char first = text[0];
    if (!is_digit(first) && first != '-' && first != '+' && first != '.') return std::nullopt;
    if (text.size() > number_bytes_max) return std::nullopt;
    std::string plain{text};
    std::erase(plain, '_');
    if (auto integer = integer_of(plain)) return integer;
    if (!is_float(plain)) return std::nullopt;
    const double value = std::strtod(plain.c_str(), nullptr);
    if (std::isinf(value)) return std::nullopt;   // Go's ParseFloat fails: a string
    return Json::number(value);
}

bool is_ambiguous_yaml(std::string_view text) {
    bool unfit = false;
    if (resolve_yaml_scalar(text, unfit) || unfit || text == "<<" || text == "=") return true;
    // Timestamps, and YAML 1.1's numbers of base 60.
    return (is_digit(text[0]) || text[0] == '-' || text[0] == '+') &&
           text.find_first_not_of("0123456789-+:.,_ tTzZeE") == text.npos;
}

}   // namespace skiff::codec
