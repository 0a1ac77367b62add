#include "api/quantity.h"

#include <limits>

#include <gtest/gtest.h>

namespace skiff::api {
namespace {

TEST(ApiQuantity, texts_have_one_canonical_form) {
    const struct {
        const char* text;
        const char* canonical;
    } rows[] = {
        {"0", "0"},
        {"0Gi", "0"},
        {"00", "0"},
        {"1", "1"},
        {"+1", "1"},
        {"007", "7"},
        {"100m", "100m"},
        {"1000m", "1"},
        {"1500m", "1500m"},
        {"0.5", "500m"},
        {".5", "500m"},
        {"5.", "5"},
        {"1.G", "1G"},
        {"2.50", "2500m"},
        {"0.1", "100m"},
        {"100u", "100u"},
        {"1n", "1n"},
        {"0.1n", "1n"},
        {"1.1n", "2n"},
        {"1k", "1k"},
        {"1000M", "1G"},
        {"12345", "12345"},
        {"12000", "12k"},
        {"1E", "1E"},
        {"1Ki", "1Ki"},
        {"1024Mi", "1Gi"},
        {"1536Mi", "1536Mi"},
        {"1.5Gi", "1536Mi"},
        {"0.5Mi", "512Ki"},
        {"1.2Gi", "1288490188800m"},
        {".001Ki", "1024m"},
        {".000001Ki", "1024u"},
        {".000000001Ki", "1024n"},
        {".000000000001Ki", "2n"},
        {"1000Ki", "1000Ki"},
        {"1e3", "1e3"},
        {"1E3", "1e3"},
        {"1e6", "1e6"},
        {"12e2", "1200"},
        {"1.5e-3", "1500e-6"},
        {"1e0", "1"},
        {"1e+2", "100"},
        {"123456789012345678901234567890e-9", "123456789012345678901234567890e-9"},
        {"8Ei", "9223372036854775807"},
        {"9999Ei", "9223372036854775807"},
        {"1e-300", "1e-9"},
        {"-1.5Gi", "-1536Mi"},
        {"-100m", "-100m"},
        {"-.000000000001Ki", "-2n"},
    };
    for (const auto& row : rows) {
        const auto quantity = Quantity::parse(row.text);
        ASSERT_TRUE(quantity) << row.text;
        EXPECT_EQ(quantity->canonical(), row.canonical) << row.text;
        const auto again = Quantity::parse(quantity->canonical());
        ASSERT_TRUE(again) << row.text;
        EXPECT_EQ(*again, *quantity) << row.text;
    }
}

TEST(ApiQuantity, wrong_texts_are_told_in_the_words_of_kubernetes) {
    constexpr auto form =
        "quantities must match the regular expression "
        "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
    constexpr auto suffix = "unable to parse quantity's suffix";
    constexpr auto number = "unable to parse numeric part of quantity";
    const struct {
        const char* text;
        const char* message;
    } rows[] = {
        {"", form},        {"abc", form},   {"1 Gi", form},  {" 1", form},   {"1.2.3", form},
        {"1Gib", form},    {"0x10", form},  {"1,5", form},   {"--1", form},  {"1GB", form},
        {"1ki", suffix},   {"1kk", suffix}, {"1eE", suffix}, {"1i", suffix}, {"1ei", suffix},
        {"10MiM", suffix}, {"1-3", suffix}, {".", number},   {"-.", number}, {"1K", suffix},
    };
    for (const auto& row : rows) {
        const auto quantity = Quantity::parse(row.text);
        ASSERT_FALSE(quantity) << row.text << " " << quantity->canonical();
        EXPECT_EQ(quantity.error().message, row.message) << row.text;
        EXPECT_EQ(quantity.error().reason, Reason::Invalid);
    }
}

TEST(ApiQuantity, values_round_away_from_zero_and_saturate) {
    const struct {
        const char* text;
        int64_t value;
        int64_t milli;
    } rows[] = {
        {"0", 0, 0},
        {"1", 1, 1000},
        {"1m", 1, 1},
        {"1001m", 2, 1001},
        {"1n", 1, 1},
        {"-1n", -1, -1},
        {"1Gi", 1 << 30, int64_t{1000} << 30},
        {"1e30", std::numeric_limits<int64_t>::max(), std::numeric_limits<int64_t>::max()},
        {"-1e30", std::numeric_limits<int64_t>::min(), std::numeric_limits<int64_t>::min()},
        {"1e999999999", std::numeric_limits<int64_t>::max(), std::numeric_limits<int64_t>::max()},
        {"8Ei", std::numeric_limits<int64_t>::max(), std::numeric_limits<int64_t>::max()},
    };
    for (const auto& row : rows) {
        const auto quantity = Quantity::parse(row.text);
        ASSERT_TRUE(quantity) << row.text;
        EXPECT_EQ(quantity->value(), row.value) << row.text;
        EXPECT_EQ(quantity->milli_value(), row.milli) << row.text;
    }
}

TEST(ApiQuantity, sums_keep_the_form_of_the_first_unless_it_is_zero) {
    const struct {
        const char* left;
        const char* right;
        const char* sum;
        const char* difference;
    } rows[] = {
        {"1Gi", "1Gi", "2Gi", "0"},  {"1", "500m", "1500m", "500m"}, {"0", "1Ki", "1Ki", "-1Ki"},
        {"1Ki", "1k", "2024", "24"}, {"100m", "-100m", "0", "200m"},
    };
    for (const auto& row : rows) {
        const auto left = *Quantity::parse(row.left);
        const auto right = *Quantity::parse(row.right);
        EXPECT_EQ((left + right).canonical(), row.sum) << row.left << " + " << row.right;
        EXPECT_EQ((left - right).canonical(), row.difference) << row.left << " - " << row.right;
    }
    EXPECT_LT(*Quantity::parse("999m"), *Quantity::parse("1"));
    EXPECT_EQ(*Quantity::parse("1024"), *Quantity::parse("1Ki"));
    EXPECT_EQ(Quantity::from_milli(1500).canonical(), "1500m");
    EXPECT_EQ(Quantity::from_value(-3).canonical(), "-3");
}

TEST(ApiQuantity, the_largest_amounts_have_negatives) {
    const auto most = Quantity::parse("1e999").value();
    const auto least = Quantity::parse("-1e999").value();
    const auto below = least - Quantity::parse("1n").value();
    EXPECT_EQ(below, least);
    EXPECT_EQ(below.canonical(), least.canonical());
    EXPECT_EQ(least - most, least);
    EXPECT_EQ(Quantity{} - below, most);
}

}   // namespace
}   // namespace skiff::api
