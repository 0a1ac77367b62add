#include "base/ipv4.h"

#include <gtest/gtest.h>

namespace skiff {
namespace {

TEST(Ipv4, addresses_are_read_as_they_are_written) {
    EXPECT_EQ(parse_ipv4("10.96.0.1"), 0x0a600001u);
    EXPECT_EQ(parse_ipv4("255.255.255.255"), 0xffffffffu);
    EXPECT_EQ(ipv4_text(0x0a600001), "10.96.0.1");
    for (const auto* wrong : {"", "1", "1.2.3", "1.2.3.4.5", "1.2.3.256", "1.2.3.04", "1.2.3.-4",
                              " 1.2.3.4", "1.2.3.4 ", "1..3.4", "a.b.c.d", "::1"})
        EXPECT_FALSE(parse_ipv4(wrong)) << wrong;
}

TEST(Ipv4, ranges_begin_at_their_first_address) {
    const auto range = parse_ipv4_range("10.96.0.0/16");
    ASSERT_TRUE(range);
    EXPECT_EQ(range->size(), 65536u);
    EXPECT_TRUE(range->contains(*parse_ipv4("10.96.255.1")));
    EXPECT_FALSE(range->contains(*parse_ipv4("10.97.0.0")));
    EXPECT_EQ(range->text(), "10.96.0.0/16");
    EXPECT_TRUE(parse_ipv4_range("0.0.0.0/0")->contains(7));
    for (const auto* wrong : {"10.96.0.0", "10.96.0.1/16", "10.96.0.0/33", "10.96.0.0/", "/8"})
        EXPECT_FALSE(parse_ipv4_range(wrong)) << wrong;
}

}   // namespace
}   // namespace skiff
