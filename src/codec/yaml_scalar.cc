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

bool is_yaml_character(std::string_view character) {
    const auto byte = [&](size_t at) { return static_cast<unsigned char>(character[at]); };
    if (character.size() == 1)
        return (byte(0) >= 0x20 && byte(0) != 0x7f) || byte(0) == '\t' || byte(0) == '\n' ||
               byte(0) == '\r';
    if (character.size() == 2) return byte(0) != 0xc2 || byte(1) >= 0xa0 || byte(1) == 0x85;
    return character != "\xef\xbf\xbe" && character != "\xef\xbf\xbf";   // U+FFFE, U+FFFF
}

// Line folding as YAML has it (1.2, 6.5): blanks around a line end go, one line end is a space, of
// several the first goes.
std::string single_quoted_yaml(std::string_view text) {
    std::string out;
    size_t at = 0;
    while (at < text.size()) {
        const char c = text[at];
        if (c == '\'') {
            if (text.substr(at + 1, 1) != "'") break;
            out += c;
            at += 2;
            continue;
        }
        const size_t end = std::min(text.find_first_not_of(" \t\r\n", at), text.size());
        const auto blanks = text.substr(at, end - at);
        const auto lines = std::ranges::count(blanks, '\n');
        if (blanks.empty()) {
            out += c;
            ++at;
            continue;
        }
        if (lines == 0) out += blanks;
        if (lines == 1) out += ' ';
        if (lines > 1) out.append(static_cast<size_t>(lines - 1), '\n');
        at = end;
    }
    return out;
}

}   // namespace skiff::codec
