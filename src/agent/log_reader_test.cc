#include "agent/log_reader.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

#include "base/text.h"

namespace skiff::agent {
namespace {

struct LogReaderTest : testing::Test {
    void SetUp() override {
        char pattern[] = "/tmp/skiff-log-XXXXXX";
        folder = ::mkdtemp(pattern);
        path = folder + "/0.log";
    }
    void TearDown() override { std::filesystem::remove_all(folder); }

    static std::string line(int n, const char* stream = "stdout", const char* tag = "F") {
        const char* digits = "0123456789";
        return concat("2026-01-02T15:04:0", digits[n % 10], ".000000000Z ", stream, " ", tag,
                      " line ", n, "\n");
    }
    void add(const std::string& text, const std::string& file = {}) {
        std::ofstream{file.empty() ? path : file, std::ios::app} << text;
    }
    std::string all(LogOptions options) {
        LogReader reader{path, std::move(options)};
        std::string out;
        while (reader.read(out, 10) == LogReader::State::More) {}
        return out;
    }

    std::string folder;
    std::string path;
};

TEST_F(LogReaderTest, options_choose_what_is_shown) {
    add(line(1) + line(2, "stderr") + line(3) + line(4));
    const auto since = parse_rfc3339("2026-01-02T15:04:03Z").value();
    struct Row {
        const char* why;
        LogOptions options;
        const char* shown;
    };
    const Row rows[] = {
        {"everything", {}, "line 1\nline 2\nline 3\nline 4\n"},
        {"the last two", {.tail_lines = 2}, "line 3\nline 4\n"},
        {"more than there are", {.tail_lines = 20}, "line 1\nline 2\nline 3\nline 4\n"},
        {"none of the past", {.tail_lines = 0}, ""},
        {"since a time, inclusive", {.since = since}, "line 3\nline 4\n"},
        {"one stream", {.stream = "stderr"}, "line 2\n"},
        {"the tail counts only its own stream",
         {.tail_lines = 3, .stream = "stdout"},
         "line 1\nline 3\nline 4\n"},
        {"a byte limit cuts inside a line", {.limit_bytes = 9}, "line 1\nli"},
        {"timestamps",
         {.tail_lines = 1, .timestamps = true},
         "2026-01-02T15:04:04.000000000Z line 4\n"},
    };
    for (const Row& row : rows) EXPECT_EQ(all(row.options), row.shown) << row.why;
}

TEST_F(LogReaderTest, partial_lines_are_joined_and_count_once) {
    add(line(1) +
        "2026-01-02T15:04:02.000000000Z stdout P abc\n"
        "2026-01-02T15:04:03.000000000Z stdout F def\n");
    EXPECT_EQ(all({.timestamps = true}),
              "2026-01-02T15:04:01.000000000Z line 1\n2026-01-02T15:04:02.000000000Z abcdef\n");
    EXPECT_EQ(all({.tail_lines = 1}), "abcdef\n");
}

TEST_F(LogReaderTest, a_line_that_is_still_being_written_waits) {
    add(line(1) + "2026-01-02T15:04:02.000000000Z stdout F hal");
    LogReader reader{path, {}};
    std::string out;
    EXPECT_EQ(reader.read(out, 100), LogReader::State::CaughtUp);
    EXPECT_EQ(out, "line 1\n");
    add("f\n");
    EXPECT_EQ(reader.read(out, 100), LogReader::State::CaughtUp);
    EXPECT_EQ(out, "line 1\nhalf\n");
}

TEST_F(LogReaderTest, rotated_files_are_read_first_and_the_tail_spans_them) {
    add(line(1) + line(2), path + ".20260101-000000");
    add(line(3), path + ".20260101-000001");
    add(line(4));
    EXPECT_EQ(all({}), "line 1\nline 2\nline 3\nline 4\n");
    EXPECT_EQ(all({.tail_lines = 3}), "line 2\nline 3\nline 4\n");
}

TEST_F(LogReaderTest, following_survives_two_rotations_at_once) {
    add(line(1));
    LogReader reader{path, {.follow = true}};
    std::string out;
    EXPECT_EQ(reader.read(out, 100), LogReader::State::CaughtUp);
    EXPECT_FALSE(reader.rotated());
    const RotationLimits small{.file_bytes_max = 1, .files_max = 5};
    const auto now = parse_rfc3339("2026-01-02T15:04:05Z").value();
    add(line(2));
    EXPECT_TRUE(rotate_log(path, small, now).value());
    add(line(3));
    EXPECT_TRUE(rotate_log(path, small, now + 1s).value());
    add(line(4));
    EXPECT_EQ(reader.read(out, 100), LogReader::State::CaughtUp);
    EXPECT_EQ(out, "line 1\nline 2\n");
    EXPECT_TRUE(reader.rotated());
    EXPECT_TRUE(reader.next_file());
    EXPECT_EQ(reader.read(out, 100), LogReader::State::CaughtUp);
    EXPECT_EQ(out, "line 1\nline 2\nline 3\nline 4\n");
}

TEST_F(LogReaderTest, the_tail_is_right_across_block_borders) {
    std::string text;
    for (int i = 0; i < 20000; ++i) text += line(i);
    add(text);
    std::string wanted;
    for (int i = 20000 - 5000; i < 20000; ++i) append(wanted, "line ", i, "\n");
    EXPECT_EQ(all({.tail_lines = 5000}), wanted);
}

TEST_F(LogReaderTest, rotation_keeps_as_many_files_as_it_may) {
    const RotationLimits limits{.file_bytes_max = 10, .files_max = 3};
    auto now = parse_rfc3339("2026-01-02T15:04:05Z").value();
    EXPECT_FALSE(rotate_log(path, limits, now).value());   // no file yet
    for (int i = 1; i <= 5; ++i, now += 1s) {
        add(line(i));
        EXPECT_TRUE(rotate_log(path, limits, now).value());
    }
    add(line(6));
    EXPECT_EQ(log_files_of(path).size(), 3u);
    EXPECT_EQ(all({}), "line 4\nline 5\nline 6\n");
}

TEST(LogOptions, are_read_from_the_query) {
    const auto now = parse_rfc3339("2026-01-02T15:04:05Z").value();
    const auto options = parse_log_options(
        {{"follow", "true"}, {"tailLines", "7"}, {"sinceSeconds", "60"}, {"timestamps", "true"}},
        now);
    ASSERT_TRUE(options.has_value());
    EXPECT_TRUE(options->follow && options->timestamps);
    EXPECT_EQ(options->tail_lines, 7);
    EXPECT_EQ(options->since, now - 60s);
    EXPECT_FALSE(parse_log_options({{"tailLines", "x"}}, now).has_value());
    EXPECT_FALSE(parse_log_options({{"tailLines", "-1"}}, now).has_value());
}

}   // namespace
}   // namespace skiff::agent
