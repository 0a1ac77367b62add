#include "base/time.h"

#include <limits>

#include <gtest/gtest.h>

namespace skiff {
namespace {

WallTime at(int64_t seconds, int64_t ns = 0) {
    return WallTime{std::chrono::seconds{seconds} + Duration{ns}};
}

TEST(Time, rfc3339_is_written_as_kubernetes_writes_it) {
    const struct {
        WallTime time;
        const char *seconds, *micro, *nano;
    } rows[] = {
        {at(0), "1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000000Z",
         "1970-01-01T00:00:00.000000000Z"},
        {at(1709210096, 123456789), "2024-02-29T12:34:56Z", "2024-02-29T12:34:56.123456Z",
         "2024-02-29T12:34:56.123456789Z"},
        {at(-1, 999'999'999), "1969-12-31T23:59:59Z", "1969-12-31T23:59:59.999999Z",
         "1969-12-31T23:59:59.999999999Z"},
        {at(1700000000, 5), "2023-11-14T22:13:20Z", "2023-11-14T22:13:20.000000Z",
         "2023-11-14T22:13:20.000000005Z"},
    };
    for (const auto& row : rows) {
        EXPECT_EQ(rfc3339(row.time), row.seconds);
        EXPECT_EQ(rfc3339_micro(row.time), row.micro);
        EXPECT_EQ(rfc3339_nano(row.time), row.nano);
    }
}

TEST(Time, rfc3339_is_read_with_any_offset_and_fraction) {
    const struct {
        const char* text;
        WallTime time;
    } rows[] = {
        {"1970-01-01T00:00:00Z", at(0)},
        {"2024-02-29T12:34:56.123456Z", at(1709210096, 123456000)},
        {"2024-02-29T12:34:56.123456789Z", at(1709210096, 123456789)},
        {"2024-02-29T12:34:56.1Z", at(1709210096, 100000000)},
        {"2024-02-29T12:34:56.1234567899Z", at(1709210096, 123456789)},
        {"2024-02-29T21:34:56+09:00", at(1709210096)},
        {"2024-02-29T07:04:56-05:30", at(1709210096)},
    };
    for (const auto& row : rows) {
        const auto read = parse_rfc3339(row.text);
        ASSERT_TRUE(read) << row.text;
        EXPECT_EQ(*read, row.time) << row.text;
    }
    EXPECT_GT(*parse_rfc3339("9999-12-31T23:59:59Z"), at(9'000'000'000));
    EXPECT_LT(*parse_rfc3339("0001-01-01T00:00:00Z"), at(-9'000'000'000));
}

TEST(Time, what_is_no_time_is_refused) {
    for (const char* text :
         {"", "x", "2024-02-30T00:00:00Z", "2024-13-01T00:00:00Z", "2024-02-01 00:00:00Z",
          "2024-02-01T24:00:00Z", "2024-02-01T00:60:00Z", "2024-02-01T00:00:60Z",
          "2024-02-01T00:00:00", "2024-02-01T00:00:00.Z", "2024-02-01T00:00:00Zx",
          "2024-02-01T00:00:00+0900", "2024-02-01T00:00:00+25:00", "2024-2-1T00:00:00Z"}) {
        const auto read = parse_rfc3339(text);
        ASSERT_FALSE(read) << text;
        EXPECT_EQ(read.error().reason, Reason::Invalid);
    }
}

TEST(Time, go_durations_are_read_and_written) {
    const struct {
        const char* text;
        Duration value;
        const char* written;
    } rows[] = {
        {"0", 0ns, "0s"},
        {"1m30s", 90s, "1m30s"},
        {"500ms", 500ms, "500ms"},
        {"-2h", -2h, "-2h0m0s"},
        {"1.5h", 90min, "1h30m0s"},
        {"+5s", 5s, "5s"},
        {".5s", 500ms, "500ms"},
        {"1.s", 1s, "1s"},
        {"1h15m30.918273645s", 1h + 15min + 30s + 918273645ns, "1h15m30.918273645s"},
        {"10us", 10us, "10\u00b5s"},
        {"10\u00b5s", 10us, "10\u00b5s"},
        {"1.5\u03bcs", 1500ns, "1.5\u00b5s"},
        {"0.29h", 1044s, "17m24s"},
        {"3ns2ns", 5ns, "5ns"},
        {"2540400h10m10.000000000s", 2540400h + 10min + 10s, "2540400h10m10s"},
        {"0.3333333333333333333h", 20min, "20m0s"},
        {"9223372036854775807ns", Duration::max(), "2562047h47m16.854775807s"},
        {"-9223372036854775808ns", Duration::min(), "-2562047h47m16.854775808s"},
    };
    for (const auto& row : rows) {
        const auto read = parse_go_duration(row.text);
        ASSERT_TRUE(read) << row.text;
        EXPECT_EQ(read->count(), row.value.count()) << row.text;
        EXPECT_EQ(go_duration(*read), row.written) << row.text;
    }
}

TEST(Time, what_is_no_duration_is_refused) {
    for (const char* text : {"", "3", "-", "s", ".", ".s", "1x", "1s2", "1 s", "1S", "9e9s",
                             "9223372036854775808ns", "3000000h", "--1s"})
        EXPECT_FALSE(parse_go_duration(text)) << text;
}

TEST(Time, the_clock_goes_forward) {
    const auto before = os_clock().monotonic();
    EXPECT_GE(os_clock().monotonic(), before);
    EXPECT_GT(os_clock().now(), at(1'700'000'000));
}

}   // namespace
}   // namespace skiff
