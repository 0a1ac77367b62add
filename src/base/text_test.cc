#include "base/text.h"

#include <gtest/gtest.h>

namespace skiff {
namespace {

using Parts = std::vector<std::string_view>;

TEST(Text, concat_joins_text_and_numbers) {
    EXPECT_EQ(concat("port ", 80, " is ", 'x', std::string{"y"}, -3, " ", true),
              "port 80 is xy-3 true");
}

TEST(Text, split_and_cut_keep_empty_parts) {
    EXPECT_EQ(split("", ','), (Parts{""}));
    EXPECT_EQ(split("a,,b,", ','), (Parts{"a", "", "b", ""}));
    EXPECT_EQ(cut("a=b=c", '=').first, "a");
    EXPECT_EQ(cut("a=b=c", '=').second, "b=c");
    EXPECT_EQ(cut("abc", '=').first, "abc");
    EXPECT_FALSE(cut("abc", '=').second);
    EXPECT_EQ(cut("a=", '=').second, "");
    EXPECT_EQ(join({"a", "b", ""}, ", "), "a, b, ");
    EXPECT_EQ(join({}, ","), "");
}

TEST(Text, trim_lower_and_iequals_know_ascii_only) {
    EXPECT_EQ(trim(" \t a b \r\n"), "a b");
    EXPECT_EQ(trim("  "), "");
    EXPECT_EQ(lower("AbZ\xC3\x84@["), "abz\xC3\x84@[");
    EXPECT_TRUE(iequals("Content-Type", "cONTENT-tYPE"));
    EXPECT_FALSE(iequals("a", "ab"));
    EXPECT_FALSE(iequals("@", "`"));
}

TEST(Text, numbers_are_read_whole_or_not_at_all) {
    EXPECT_EQ(parse_number<int>("-12"), -12);
    EXPECT_EQ(parse_number<uint16_t>("65535"), 65535);
    for (const char* text : {"", "+1", "1 ", " 1", "0x1", "65536", "-1"})
        EXPECT_FALSE(parse_number<uint16_t>(text)) << text;
}

TEST(Text, base64_follows_rfc_4648) {
    const std::pair<const char*, const char*> rows[] = {{"", ""},
                                                        {"f", "Zg=="},
                                                        {"fo", "Zm8="},
                                                        {"foo", "Zm9v"},
                                                        {"foob", "Zm9vYg=="},
                                                        {"fooba", "Zm9vYmE="},
                                                        {"foobar", "Zm9vYmFy"}};
    for (const auto& [plain, coded] : rows) {
        EXPECT_EQ(base64(plain), coded);
        EXPECT_EQ(base64_decoded(coded), plain) << coded;
    }
    EXPECT_EQ(base64("\xfb\xff"), "+/8=");
    EXPECT_EQ(base64url("\xfb\xff"), "-_8");
    EXPECT_EQ(base64url_decoded("-_8"), "\xfb\xff");
    EXPECT_EQ(base64url_decoded("-_8="), "\xfb\xff");
    EXPECT_EQ(base64_decoded("Zm9v\nYmFy\r\n"), "foobar");
    for (const char* bad :
         {"Z", "Zg", "Zg=", "Zg===", "=Zg=", "Zg==Zg==", "Zm9v!", "-_8=", "Z m9v"})
        EXPECT_FALSE(base64_decoded(bad)) << bad;
    for (const char* bad : {"Z", "Zg=", "+/8", "Zg==="})
        EXPECT_FALSE(base64url_decoded(bad)) << bad;
}

TEST(Text, hex_is_lower_case) { EXPECT_EQ(hex(std::string_view{"\x00\xaf\x10", 3}), "00af10"); }

}   // namespace
}   // namespace skiff
