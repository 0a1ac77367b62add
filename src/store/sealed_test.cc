// Rows that the disk must not show.
#include <gtest/gtest.h>

#include "store/sealed_engine.h"

namespace skiff::store {
namespace {

LogRow row(int64_t revision, std::string key, std::optional<std::string> text) {
    return {.revision = revision,
            .key = std::move(key),
            .prefix_size = 3,
            .text = std::move(text),
            .created = revision};
}

Cipher cipher(std::string name) {
    return {
        .covers = [](std::string_view key) { return key.starts_with("/s/"); },
        .seal = [name](std::string_view key, std::string_view text) -> Result<std::string> {
            return name + ":" + std::string{key} + ":" + std::string{text};
        },
        .open = [name](std::string_view key, std::string_view sealed) -> Result<Cipher::Opened> {
            if (sealed.starts_with('{'))
                return Cipher::Opened{.text = std::string{sealed}, .current = false};
            const auto start = sealed.find(':') + 1 + key.size() + 1;
            if (sealed.starts_with("lost")) return fail(Reason::Invalid, "no such key");
            return Cipher::Opened{.text = std::string{sealed.substr(start)},
                                  .current = sealed.starts_with(name + ":")};
        }};
}

std::vector<std::string> texts(Engine& engine) {
    std::vector<std::string> found;
    EXPECT_TRUE(engine.load([&](LogRow&& loaded) { found.push_back(loaded.text.value_or("-")); }));
    return found;
}

TEST(SealedEngine, what_is_covered_is_sealed_below_and_open_above) {
    const auto log = make_memory_log();
    const auto stale = std::make_shared<std::set<std::string, std::less<>>>();
    auto plain = make_memory_engine(log);
    ASSERT_TRUE(plain->append({row(1, "/s/before", "{}"), row(2, "/c/a", "{a}")}, true));
    {
        auto engine = seal_engine(make_memory_engine(log), cipher("one"), stale);
        ASSERT_TRUE(engine->append({row(3, "/s/a", "{s}"), row(4, "/c/b", "{b}")}, true));
        ASSERT_TRUE(engine->append({row(5, "/s/a", std::nullopt)}, true));
        ASSERT_TRUE(engine->append({row(6, "/s/b", "{t}")}, true));
        EXPECT_EQ(texts(*engine),
                  (std::vector<std::string>{"{}", "{a}", "{s}", "{b}", "-", "{t}"}));
        EXPECT_EQ(*stale, (std::set<std::string, std::less<>>{"/s/before"}));
    }
    EXPECT_EQ(texts(*plain),
              (std::vector<std::string>{"{}", "{a}", "one:/s/a:{s}", "{b}", "-", "one:/s/b:{t}"}));
    auto next = seal_engine(make_memory_engine(log), cipher("two"), stale);
    EXPECT_EQ(texts(*next).back(), "{t}");
    EXPECT_EQ(*stale, (std::set<std::string, std::less<>>{"/s/b", "/s/before"}));
    ASSERT_TRUE(plain->append({row(7, "/s/c", "lost:/s/c:x")}, true));
    EXPECT_FALSE(next->load([](LogRow&&) {}));
}

}   // namespace
}   // namespace skiff::store
