#include "base/log.h"

#include <gtest/gtest.h>

namespace skiff {
namespace {

// The line after its time stamp.
std::string logged(LogLevel level, std::string_view message,
                   std::initializer_list<LogField> fields = {}) {
    testing::internal::CaptureStderr();
    log(level, message, fields);
    const std::string line = testing::internal::GetCapturedStderr();
    const size_t at = line.find("\"level\"");
    return at == std::string::npos ? line : line.substr(at);
}

TEST(Log, a_line_is_one_json_object) {
    EXPECT_EQ(logged(LogLevel::Warn, "a \"b\"\\\n\x01", {{"pod", "x/y"}, {"tries", 3}}),
              "\"level\":\"warn\",\"msg\":\"a \\\"b\\\"\\\\\\n\\u0001\",\"pod\":\"x/y\","
              "\"tries\":\"3\"}\n");
}

TEST(Log, bytes_that_are_no_utf8_are_replaced) {
    EXPECT_EQ(logged(LogLevel::Info, "\xC3\xA4 \xC3 \xED\xA0\x80"),
              "\"level\":\"info\",\"msg\":\"\xC3\xA4 \\ufffd \\ufffd\\ufffd\\ufffd\"}\n");
}

TEST(Log, levels_below_the_chosen_one_are_silent) {
    EXPECT_EQ(logged(LogLevel::Debug, "x"), "");
    set_log_level(LogLevel::Debug);
    EXPECT_NE(logged(LogLevel::Debug, "x"), "");
    set_log_level(LogLevel::Error);
    EXPECT_EQ(logged(LogLevel::Warn, "x"), "");
    set_log_level(LogLevel::Info);
}

}   // namespace
}   // namespace skiff
