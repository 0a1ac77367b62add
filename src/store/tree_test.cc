#include "store/tree.h"

#include <map>
#include <random>

#include <gtest/gtest.h>

#include "base/text.h"
#include "store/names.h"
#include "store/object.h"

namespace skiff::store {
namespace {

ObjectPtr object(int64_t revision) {
    return make_object({.text = "{}", .splice_at = 1, .modified = {revision}});
}

using Model = std::map<std::string, ObjectPtr>;

std::vector<std::string> names_of(const Tree& tree, std::string_view prefix = "",
                                  const std::optional<std::string>& after = std::nullopt,
                                  size_t names_max = SIZE_MAX) {
    std::vector<std::string> names;
    tree.scan(prefix, after, [&](std::string_view name, const ObjectPtr&) {
        names.emplace_back(name);
        return names.size() < names_max;
    });
    return names;
}

void expect_same(const Tree& tree, const Model& model) {
    ASSERT_EQ(tree.size(), model.size());
    auto expected = model.begin();
    tree.scan("", std::nullopt, [&](std::string_view name, const ObjectPtr& found) {
        EXPECT_EQ(name, expected->first);
        EXPECT_EQ(found, expected->second);
        return ++expected != model.end();
    });
    EXPECT_TRUE(expected == model.end());
}

std::string random_name(std::mt19937_64& random) {
    const char* spaces[] = {"default/", "kube-system/", "a/", "\xc3\xa4/", ""};
    return concat(spaces[random() % 5], "web-", random() % 900);
}

TEST(StoreTree, an_empty_tree_answers_everything) {
    const Tree tree;
    EXPECT_EQ(tree.get("x"), nullptr);
    EXPECT_EQ(tree.size(), 0u);
    EXPECT_EQ(tree.count("", std::nullopt), 0u);
    EXPECT_TRUE(names_of(tree).empty());
}

TEST(StoreTree, random_changes_do_what_a_map_does_and_snapshots_stay) {
    for (uint64_t seed = 1; seed <= 8; ++seed) {
        SCOPED_TRACE(seed);
        std::mt19937_64 random{seed};
        Tree tree;
        Model model;
        std::vector<std::pair<Tree, Model>> snapshots;
        for (int64_t i = 0; i < 6000; ++i) {
            const auto name = random_name(random);
            // Grows, then shrinks to nothing: splits and joins on every level.
            const bool remove = random() % 100 < (i < 3000 ? 20u : 85u);
            ObjectPtr before;
            const auto known = model.contains(name) ? model[name] : nullptr;
            if (remove) {
                before = tree.remove(name);
                model.erase(name);
            } else {
                const auto fresh = object(i + 1);
                before = tree.put(name, fresh);
                model[name] = fresh;
            }
            ASSERT_EQ(before, known);
            ASSERT_EQ(tree.get(name), remove ? nullptr : model[name]);
            if (i % 500 == 0) snapshots.emplace_back(tree, model);
        }
        expect_same(tree, model);
        for (const auto& [old_tree, old_model] : snapshots) expect_same(old_tree, old_model);
        while (!model.empty()) {
            EXPECT_NE(tree.remove(model.begin()->first), nullptr);
            model.erase(model.begin());
        }
        EXPECT_EQ(tree.size(), 0u);
        EXPECT_EQ(tree.memory_bytes(), 0u);
    }
}

TEST(StoreTree, scans_and_counts_of_prefixes_agree_with_a_map) {
    std::mt19937_64 random{42};
    Tree tree;
    Model model;
    for (int64_t i = 0; i < 2000; ++i) {
        const auto name = random_name(random);
        model[name] = object(i + 1);
        tree.put(name, model[name]);
    }
    const std::string prefixes[] = {"", "default/", "default/web-1", "a/", "\xc3", "zzz", "web-"};
    for (const auto& prefix : prefixes) {
        std::vector<std::string> expected;
        for (const auto& [name, known] : model)
            if (name.starts_with(prefix)) expected.push_back(name);
        EXPECT_EQ(names_of(tree, prefix), expected) << prefix;
        EXPECT_EQ(tree.count(prefix, std::nullopt), expected.size()) << prefix;
        // In pages, as a chunked LIST reads it.
        std::vector<std::string> paged;
        std::optional<std::string> after;
        for (;;) {
            EXPECT_EQ(tree.count(prefix, after), expected.size() - paged.size());
            const auto page = names_of(tree, prefix, after, 7);
            if (page.empty()) break;
            paged.insert(paged.end(), page.begin(), page.end());
            after = page.back();
        }
        EXPECT_EQ(paged, expected) << prefix;
    }
    EXPECT_EQ(names_of(tree, "default/", "a").size(), tree.count("default/", std::nullopt));
    EXPECT_TRUE(names_of(tree, "a/", "b").empty());
}

TEST(StoreTree, ascending_names_fill_the_nodes) {
    Tree tree;
    for (int i = 0; i < 10'000; ++i) tree.put(concat("default/job-", 1'000'000 + i), object(1));
    // 16 bytes of pointer, 2 of offset, and the digits that differ.
    EXPECT_LT(tree.memory_bytes() / tree.size(), 32u);
}

TEST(StoreNames, keep_the_common_part_once) {
    const auto names = NamesBuilder{}.add("default/web-1").add("default/web-2").build();
    EXPECT_EQ(names.common(), "default/web-");
    EXPECT_EQ(names.rest(1), "2");
    EXPECT_EQ(names.lower_bound("default/web-2"), 1u);
    EXPECT_EQ(names.upper_bound("default/web-2"), 2u);
    EXPECT_EQ(names.lower_bound("default/w"), 0u);
    EXPECT_EQ(names.lower_bound("default/x"), 2u);
    EXPECT_FALSE(names.is(0, "default/web-"));
    EXPECT_FALSE(names.is(0, "default/web-11"));
    const auto one = NamesBuilder{}.add("only").build();
    EXPECT_TRUE(one.is(0, "only"));
}

TEST(StoreObject, the_revision_is_spliced_in_and_out) {
    struct Row {
        const char* why;
        std::string_view text;
        uint32_t splice_at;
        std::string_view at_7;
    };
    const Row rows[] = {
        {"other fields follow", R"({"metadata":{"name":"a"}})", 13,
         R"({"metadata":{"resourceVersion":"7","name":"a"}})"},
        {"nothing follows", R"({"metadata":{}})", 13, R"({"metadata":{"resourceVersion":"7"}})"},
        {"opaque text", "abc", 0, "abc"},
    };
    for (const auto& row : rows) {
        SCOPED_TRACE(row.why);
        const auto made =
            make_object({.text = row.text, .splice_at = row.splice_at, .modified = {7}});
        EXPECT_EQ(made->text.view(), row.at_7);
        EXPECT_EQ(made->without_revision(), row.text);
        const auto later =
            make_object({.text = row.text, .splice_at = row.splice_at, .modified = {1234}});
        EXPECT_EQ(made->with_revision({1234}).view(), later->text.view());
        EXPECT_EQ(deleted_object(*made, {1234})->without_revision(), row.text);
    }
}

}   // namespace
}   // namespace skiff::store
