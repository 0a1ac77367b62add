#include "base/time.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <limits>

#include "base/text.h"

namespace skiff {
namespace {

using std::chrono::days;
using std::chrono::floor;
using std::chrono::seconds;

class OsClock final : public Clock {
  public:
    WallTime now() const override { return std::chrono::system_clock::now(); }
    MonoTime monotonic() const override { return std::chrono::steady_clock::now(); }
};

void append_padded(std::string& out, int64_t number, int width) {
    char digits[20];
    for (int i = width - 1; i >= 0; --i, number /= 10)
        digits[i] = static_cast<char>('0' + number % 10);
    out.append(digits, static_cast<size_t>(width));
}

std::string rfc3339_with(WallTime time, int fraction_digits) {
    const auto day = floor<days>(time);
    const std::chrono::year_month_day date{day};
    const auto second = floor<seconds>(time);
    const int64_t of_day = (second - day).count();
    std::string out;
    out.reserve(30);
    append_padded(out, static_cast<int>(date.year()), 4);
    out += '-';
    append_padded(out, static_cast<unsigned>(date.month()), 2);
    out += '-';
    append_padded(out, static_cast<unsigned>(date.day()), 2);
    out += 'T';
    append_padded(out, of_day / 3600, 2);
    out += ':';
    append_padded(out, of_day / 60 % 60, 2);
    out += ':';
    append_padded(out, of_day % 60, 2);
    if (fraction_digits > 0) {
        int64_t fraction = (time - second).count();   // truncated, as Go's Format does
        for (int i = fraction_digits; i < 9; ++i) fraction /= 10;
        out += '.';
        append_padded(out, fraction, fraction_digits);
    }
    out += 'Z';
    return out;
}

// Reads fixed-width numbers and expected characters; the first mismatch makes everything fail.
struct Scanner {
    std::string_view text;
    bool good = true;

    int number(size_t width) {
        int value = 0;
        if (text.size() < width) good = false;
        if (!good) return 0;
        for (const char c : text.substr(0, width)) {
            if (c < '0' || c > '9') good = false;
            value = value * 10 + (c - '0');
        }
        text.remove_prefix(width);
        return good ? value : 0;
    }
    bool next_is(char wanted) const { return good && !text.empty() && text.front() == wanted; }
    void expect(char wanted) {
        if (!next_is(wanted))
            good = false;
        else
            text.remove_prefix(1);
    }
    int64_t fraction_ns() {   // after the point; digits beyond the ninth are dropped, as Go does
        int64_t value = 0, unit = 100'000'000;
        size_t count = 0;
        for (; count < text.size() && text[count] >= '0' && text[count] <= '9'; ++count) {
            value += (text[count] - '0') * unit;
            unit /= 10;
        }
        if (count == 0) good = false;
        text.remove_prefix(count);
        return value;
    }
    int64_t offset_seconds() {
        if (next_is('Z')) {
            text.remove_prefix(1);
            return 0;
        }
        const int sign = next_is('-') ? -1 : 1;
        expect(sign < 0 ? '-' : '+');
        const int hours = number(2);
        expect(':');
        const int minutes = number(2);
        if (hours > 24 || minutes > 59) good = false;
        return sign * (hours * 3600 + minutes * 60);
    }
};

WallTime saturated(int64_t since_epoch_s, int64_t ns) {
    constexpr int64_t limit_s = std::numeric_limits<int64_t>::max() / 1'000'000'000 - 1;
    since_epoch_s = std::clamp(since_epoch_s, -limit_s, limit_s);
    return WallTime{seconds{since_epoch_s} + Duration{ns}};
}

struct Unit {
    std::string_view name;
    int64_t ns;
};
constexpr std::array units{
    Unit{"ns", 1},
    Unit{"us", 1'000},
    Unit{"\u00b5s", 1'000},   // micro sign
    Unit{"\u03bcs", 1'000},   // Greek mu
    Unit{"ms", 1'000'000},
    Unit{"s", 1'000'000'000},
    Unit{"m", 60'000'000'000},
    Unit{"h", 3'600'000'000'000},
};

std::unexpected<Error> bad_duration(std::string_view text) {
    return fail(Reason::Invalid,
                concat("'", text, "' must be a duration such as '300ms', '1.5h' or '2h45m'"));
}

// One "12.5s" off the front of `rest`; absent when it is not one or is too large.
std::optional<uint64_t> take_term(std::string_view& rest) {
    uint64_t whole = 0;
    size_t digits = 0;
    constexpr uint64_t limit = uint64_t{1} << 63;
    for (; !rest.empty() && rest[0] >= '0' && rest[0] <= '9'; rest.remove_prefix(1), ++digits) {
        if (whole > limit / 10) return std::nullopt;
        whole = whole * 10 + static_cast<uint64_t>(rest[0] - '0');
    }
    uint64_t fraction = 0;
    double scale = 1;
    if (!rest.empty() && rest[0] == '.') {
        rest.remove_prefix(1);
        for (; !rest.empty() && rest[0] >= '0' && rest[0] <= '9'; rest.remove_prefix(1), ++digits) {
            if (fraction > limit / 10) continue;   // digits too small to matter
            fraction = fraction * 10 + static_cast<uint64_t>(rest[0] - '0');
            scale *= 10;
        }
    }
    if (digits == 0) return std::nullopt;
    const auto name = rest.substr(0, std::min(rest.find_first_of(".0123456789"), rest.size()));
    const auto* unit = std::ranges::find(units, name, &Unit::name);
    if (unit == units.end()) return std::nullopt;
    rest.remove_prefix(name.size());
    const auto unit_ns = static_cast<uint64_t>(unit->ns);
    if (whole > limit / unit_ns) return std::nullopt;
    // Divided first: units are multiples of small powers of ten, so no digit is lost to rounding.
    const auto extra = static_cast<uint64_t>(static_cast<double>(fraction) *
                                             (static_cast<double>(unit->ns) / scale));
    const uint64_t total = whole * unit_ns + extra;
    if (total > limit) return std::nullopt;
    return total;
}

// `value` units of 10^-digits, without trailing zeros: (1500, 3) is "1.5".
std::string decimal(uint64_t value, int digits) {
    uint64_t power = 1;
    for (int i = 0; i < digits; ++i) power *= 10;
    std::string out = concat(value / power);
    uint64_t rest = value % power;
    if (rest == 0) return out;
    std::string fraction;
    append_padded(fraction, static_cast<int64_t>(rest), digits);
    fraction.erase(fraction.find_last_not_of('0') + 1);
    return concat(out, ".", fraction);
}

}   // namespace

Clock& os_clock() {
    static OsClock clock;
    return clock;
}

std::string rfc3339(WallTime time) { return rfc3339_with(time, 0); }
std::string rfc3339_micro(WallTime time) { return rfc3339_with(time, 6); }
std::string rfc3339_nano(WallTime time) { return rfc3339_with(time, 9); }

// Instants that 64-bit nanoseconds cannot hold (before 1678, after 2261) become the nearest that
// they can: a far-away expiry is still far away.
Result<WallTime> parse_rfc3339(std::string_view text) {
    Scanner scan{text};
    const int year = scan.number(4);
    scan.expect('-');
    const int month = scan.number(2);
    scan.expect('-');
    const int day = scan.number(2);
    scan.expect('T');
    const int hour = scan.number(2);
    scan.expect(':');
    const int minute = scan.number(2);
    scan.expect(':');
    const int second = scan.number(2);
    int64_t ns = 0;
    if (scan.next_is('.')) {
        scan.expect('.');
        ns = scan.fraction_ns();
    }
    const int64_t offset = scan.offset_seconds();
    const std::chrono::year_month_day date{std::chrono::year{year},
                                           std::chrono::month{static_cast<unsigned>(month)},
                                           std::chrono::day{static_cast<unsigned>(day)}};
    if (!scan.good || !scan.text.empty() || !date.ok() || hour > 23 || minute > 59 || second > 59)
        return fail(Reason::Invalid,
                    concat("'", text, "' must be a time such as '2006-01-02T15:04:05Z'"));
    const int64_t day_number = std::chrono::sys_days{date}.time_since_epoch().count();
    return saturated(day_number * 86400 + hour * 3600 + minute * 60 + second - offset, ns);
}

Result<Duration> parse_go_duration(std::string_view text) {
    std::string_view rest = text;
    bool negative = false;
    if (!rest.empty() && (rest[0] == '-' || rest[0] == '+')) {
        negative = rest[0] == '-';
        rest.remove_prefix(1);
    }
    if (rest == "0") return Duration{0};
    if (rest.empty()) return bad_duration(text);
    uint64_t total = 0;
    constexpr uint64_t limit = uint64_t{1} << 63;
    while (!rest.empty()) {
        const auto term = take_term(rest);
        if (!term) return bad_duration(text);
        total += *term;
        if (total > limit) return bad_duration(text);
    }
    if (total == limit && !negative) return bad_duration(text);
    return Duration{static_cast<int64_t>(negative ? uint64_t{0} - total : total)};
}

std::string go_duration(Duration duration) {
    const int64_t count = duration.count();
    if (count == 0) return "0s";
    const std::string sign = count < 0 ? "-" : "";
    const uint64_t ns =
        count < 0 ? uint64_t{0} - static_cast<uint64_t>(count) : static_cast<uint64_t>(count);
    if (ns < 1'000) return concat(sign, ns, "ns");
    if (ns < 1'000'000) return concat(sign, decimal(ns, 3), "\u00b5s");
    if (ns < 1'000'000'000) return concat(sign, decimal(ns, 6), "ms");
    const uint64_t minutes = ns / 60'000'000'000;
    std::string out = concat(decimal(ns % 60'000'000'000, 9), "s");
    if (minutes > 0) out = concat(minutes % 60, "m", out);
    if (minutes >= 60) out = concat(minutes / 60, "h", out);
    return sign + out;
}

}   // namespace skiff
