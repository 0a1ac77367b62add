#include "base/random.h"

#include <algorithm>
#include <set>

#include <gtest/gtest.h>

namespace skiff {
namespace {

class Constant final : public Random {
  public:
    explicit Constant(unsigned char byte) : byte_{byte} {}
    void fill(std::span<unsigned char> bytes) override { std::ranges::fill(bytes, byte_); }

  private:
    unsigned char byte_;
};

TEST(Random, a_uuid_says_version_4_and_variant_10) {
    EXPECT_EQ(Constant{0}.uuid(), "00000000-0000-4000-8000-000000000000");
    EXPECT_EQ(Constant{0xff}.uuid(), "ffffffff-ffff-4fff-bfff-ffffffffffff");
}

TEST(Random, fraction_stays_below_one) {
    EXPECT_EQ(Constant{0}.fraction(), 0.0);
    EXPECT_LT(Constant{0xff}.fraction(), 1.0);
    EXPECT_GT(Constant{0xff}.fraction(), 0.999999);
}

TEST(Random, below_reaches_every_value_and_no_other) {
    std::set<uint64_t> seen;
    for (int i = 0; i < 1000; ++i) seen.insert(os_random().below(5));
    EXPECT_EQ(seen, (std::set<uint64_t>{0, 1, 2, 3, 4}));
    EXPECT_EQ(os_random().below(1), 0u);
}

TEST(Random, suffixes_use_the_safe_alphabet_and_differ) {
    std::set<std::string> seen;
    for (int i = 0; i < 100; ++i) {
        const auto suffix = os_random().name_suffix();
        EXPECT_EQ(suffix.size(), 5u);
        EXPECT_EQ(suffix.find_first_not_of("bcdfghjklmnpqrstvwxz2456789"), std::string::npos);
        seen.insert(suffix);
    }
    EXPECT_GT(seen.size(), 90u);
    EXPECT_EQ(Constant{0xab}.hex(3), "ababab");
    EXPECT_NE(os_random().hex(16), os_random().hex(16));
}

}   // namespace
}   // namespace skiff
