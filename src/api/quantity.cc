#include "api/quantity.h"

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <optional>

#include "base/text.h"

namespace skiff::api {
namespace {

__extension__ using Wide = __int128;

constexpr Wide nanos_per_one = 1'000'000'000;
constexpr int64_t whole_digits_max = 28;   // what nanos in 127 bits can hold
constexpr Wide wide_max = ~(Wide{1} << 127);

constexpr std::string_view wrong_form =
    "quantities must match the regular expression "
    "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
constexpr std::string_view wrong_number = "unable to parse numeric part of quantity";
constexpr std::string_view wrong_suffix = "unable to parse quantity's suffix";

// A number as text: 0.DIGITS times 10 to the `point`; no zero leads.
struct Decimal {
    std::string digits;
    int64_t point = 0;
};

bool is_digit(char byte) { return byte >= '0' && byte <= '9'; }

struct Suffix {
    bool binary = false;
    bool exponent_form = false;
    int64_t power = 0;   // of 2 or 10
};

std::optional<Suffix> suffix_of(std::string_view text) {
    constexpr std::string_view steps = "numkMGTPE";   // 10^-9, -6, -3, then 3, 6, …
    constexpr std::string_view binary_steps = "KMGTPE";
    if (text.empty()) return Suffix{};
    if (text.size() == 1) {
        const auto at = static_cast<int64_t>(steps.find(text[0]));
        if (at == -1) return std::nullopt;
        return Suffix{.power = (at < 3 ? at - 3 : at - 2) * 3};
    }
    if (text.size() == 2 && text[1] == 'i') {
        const auto at = static_cast<int64_t>(binary_steps.find(text[0]));
        if (at == -1) return std::nullopt;
        return Suffix{.binary = true, .power = (at + 1) * 10};
    }
    if (text[0] != 'e' && text[0] != 'E') return std::nullopt;
    text.remove_prefix(text[1] == '+' ? 2 : 1);
    const auto power = parse_number<int32_t>(text);
    if (!power || text.starts_with('+')) return std::nullopt;
    return Suffix{.exponent_form = true, .power = *power};
}

// `number` times `unit`, away from zero to whole nanos; saturates.
Wide nanos_of(const Decimal& number, Wide unit) {
    if (number.digits.empty()) return 0;
    if (number.point > whole_digits_max) return wide_max;
    const auto whole_digits = static_cast<size_t>(std::max<int64_t>(number.point, 0));
    Wide whole = 0;
    for (size_t i = 0; i < whole_digits; ++i)
        whole = whole * 10 + (i < number.digits.size() ? number.digits[i] - '0' : 0);
    if (whole > wide_max / unit - 1) return wide_max;
    // From the last digit of the fraction to the first; exact as long as nothing is divided away.
    Wide part = 0;
    bool rest = false;
    const auto divide = [&] {
        rest = rest || part % 10 != 0;
        part /= 10;
    };
    for (size_t i = number.digits.size(); i > whole_digits; --i) {
        part += Wide{number.digits[i - 1] - '0'} * unit;
        divide();
    }
    for (int64_t i = number.point; i < 0 && (part != 0 || !rest); ++i) divide();
    return whole * unit + part + (rest ? 1 : 0);
}

int64_t saturated(Wide value) {
    constexpr Wide least = std::numeric_limits<int64_t>::min();
    constexpr Wide most = std::numeric_limits<int64_t>::max();
    return static_cast<int64_t>(std::clamp(value, least, most));
}

Wide divided_away_from_zero(Wide value, Wide by) {
    const Wide rest = value % by;
    return value / by + (rest > 0 ? 1 : rest < 0 ? -1 : 0);
}

std::string digits_of(Wide value) {
    std::string text;
    do text += static_cast<char>('0' + static_cast<int>(value % 10));
    while ((value /= 10) != 0);
    std::ranges::reverse(text);
    return text;
}

// Between -wide_max and wide_max, so that every amount has its negative.
Wide saturating_sum(Wide left, Wide right) {
    Wide sum = 0;
    if (__builtin_add_overflow(left, right, &sum)) return left < 0 ? -wide_max : wide_max;
    return std::max(sum, -wide_max);
}

}   // namespace

Result<Quantity> Quantity::parse(std::string_view text) {
    const auto wrong = [](std::string_view message) {
        return fail(Reason::Invalid, std::string{message});
    };
    if (text.empty()) return wrong(wrong_form);
    const bool negative = text[0] == '-';
    if (negative || text[0] == '+') text.remove_prefix(1);
    Decimal number;
    size_t at = 0;
    const auto take_digits = [&] {
        const size_t from = at;
        while (at < text.size() && is_digit(text[at])) ++at;
        return text.substr(from, at - from);
    };
    const auto whole = take_digits();
    number.digits = whole;
    number.point = static_cast<int64_t>(whole.size());
    if (at < text.size() && text[at] == '.') {
        ++at;
        number.digits += take_digits();
        if (number.digits.empty()) return wrong(wrong_number);
    }
    if (number.digits.empty()) return wrong(wrong_form);
    const auto suffix_text = text.substr(at);
    const size_t letters =
        std::min(suffix_text.find_first_not_of("eEinumkKMGTP"), suffix_text.size());
    auto tail = suffix_text.substr(letters);
    if (tail.starts_with('+') || tail.starts_with('-')) tail.remove_prefix(1);
    if (!std::ranges::all_of(tail, is_digit)) return wrong(wrong_form);
    const auto suffix = suffix_of(suffix_text);
    if (!suffix) return wrong(wrong_suffix);

    const size_t zeros = std::min(number.digits.find_first_not_of('0'), number.digits.size());
    number.digits.erase(0, zeros);
    number.point -= static_cast<int64_t>(zeros);
    Quantity quantity;
    if (suffix->binary) {
        constexpr Wide most = Wide{std::numeric_limits<int64_t>::max()} * nanos_per_one;
        const Wide unit = nanos_per_one << suffix->power;
        // Upstream bounds the binary ones only.
        quantity.nanos_ = std::min(nanos_of(number, unit), most);
        if (quantity.nanos_ >= nanos_per_one) quantity.form_ = Form::BinarySI;
    } else {
        number.point += suffix->power;
        quantity.nanos_ = nanos_of(number, nanos_per_one);
        if (suffix->exponent_form) quantity.form_ = Form::DecimalExponent;
    }
    if (negative) quantity.nanos_ = -quantity.nanos_;
    return quantity;
}

Quantity Quantity::from_value(int64_t value) {
    Quantity quantity;
    quantity.nanos_ = Wide{value} * nanos_per_one;
    return quantity;
}

Quantity Quantity::from_milli(int64_t milli) {
    Quantity quantity;
    quantity.nanos_ = Wide{milli} * (nanos_per_one / 1000);
    return quantity;
}

std::string Quantity::canonical() const {
    if (nanos_ == 0) return "0";
    const std::string_view sign = nanos_ < 0 ? "-" : "";
    Wide rest = nanos_ < 0 ? -nanos_ : nanos_;
    const bool binary =
        form_ == Form::BinarySI && rest >= 1024 * nanos_per_one && rest % nanos_per_one == 0;
    if (binary) {
        constexpr std::string_view steps[] = {"", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"};
        rest /= nanos_per_one;
        size_t step = 0;
        for (; rest % 1024 == 0 && step + 1 < std::size(steps); ++step) rest /= 1024;
        return concat(sign, digits_of(rest), steps[step]);
    }
    constexpr std::string_view steps[] = {"n", "u", "m", "", "k", "M", "G", "T", "P", "E"};
    size_t step = 0;
    while (rest % 1000 == 0) {
        rest /= 1000;
        ++step;
    }
    const int exponent = static_cast<int>(step) * 3 - 9;
    if (form_ != Form::DecimalExponent && step < std::size(steps))
        return concat(sign, digits_of(rest), steps[step]);
    return exponent == 0 ? concat(sign, digits_of(rest))
                         : concat(sign, digits_of(rest), "e", exponent);
}

int64_t Quantity::value() const { return saturated(divided_away_from_zero(nanos_, nanos_per_one)); }

int64_t Quantity::milli_value() const {
    return saturated(divided_away_from_zero(nanos_, nanos_per_one / 1000));
}

Quantity Quantity::operator+(const Quantity& other) const {
    Quantity sum = *this;
    if (nanos_ == 0) sum.form_ = other.form_;
    sum.nanos_ = saturating_sum(nanos_, other.nanos_);
    return sum;
}

Quantity Quantity::operator-(const Quantity& other) const {
    Quantity difference = *this;
    if (nanos_ == 0) difference.form_ = other.form_;
    difference.nanos_ = saturating_sum(nanos_, -other.nanos_);
    return difference;
}

}   // namespace skiff::api
