#include "base/rotating_file.h"

#include <filesystem>

#include <gtest/gtest.h>

namespace skiff {
namespace {

TEST(RotatingFile, grows_is_put_aside_and_the_oldest_go) {
    const auto folder =
        std::filesystem::temp_directory_path() / ("skiff-rotating-" + std::to_string(::getpid()));
    std::filesystem::create_directories(folder);
    struct Ticking final : Clock {
        mutable int64_t seconds = 0;
        WallTime now() const override { return WallTime{std::chrono::seconds{++seconds}}; }
        MonoTime monotonic() const override { return {}; }
    } clock;
    const auto path = (folder / "a.log").string();
    {
        RotatingFile file{{.path = path, .bytes_max = 10, .kept_max = 2}, clock};
        for (int i = 0; i < 5; ++i) ASSERT_TRUE(file.append("line-" + std::to_string(i) + "\n"));
    }
    EXPECT_EQ(*read_file(path), "line-4\n");
    size_t count = 0;
    for (const auto& entry : std::filesystem::directory_iterator{folder}) count += entry.exists();
    EXPECT_EQ(count, 3u);
    RotatingFile again{{.path = path, .bytes_max = 100}, clock};
    ASSERT_TRUE(again.append("more\n"));
    EXPECT_EQ(*read_file(path), "line-4\nmore\n");
    std::filesystem::remove_all(folder);
    EXPECT_FALSE(again.append("x\n") && file_exists(path));
}

}   // namespace
}   // namespace skiff
