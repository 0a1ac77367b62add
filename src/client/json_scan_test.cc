#include "client/json_scan.h"

#include <gtest/gtest.h>

namespace skiff::client {
namespace {

TEST(JsonScan, members_are_found_as_they_stand) {
    const char* text =
        R"( {"a" : 1, "b":{"x":"}"},"c":[1,"]",{}] , "d":"q\"\\", "e":null,"f":-1.5e3} )";
    const std::pair<const char*, const char*> rows[] = {{"a", "1"},
                                                        {"b", R"({"x":"}"})"},
                                                        {"c", R"([1,"]",{}])"},
                                                        {"d", R"("q\"\\")"},
                                                        {"e", "null"},
                                                        {"f", "-1.5e3"},
                                                        {"g", ""}};
    for (const auto& [key, value] : rows) EXPECT_EQ(json_member(text, key), value) << key;
    EXPECT_EQ(json_member("[1]", "a"), "");
    EXPECT_EQ(json_member("", "a"), "");
}

TEST(JsonScan, escapes_are_undone) {
    EXPECT_EQ(json_text(R"("a\"b\\c\/d\n\t\u0041\u00e4\u20ac\ud83d\ude00")"),
              "a\"b\\c/d\n\tA\u00e4\u20ac\U0001F600");
    EXPECT_EQ(json_text(R"("\ud83dx\udc00")"), "\ufffdx\ufffd");
    EXPECT_EQ(json_text("12"), "");
    EXPECT_EQ(json_text("\""), "");
}

TEST(JsonScan, malformed_text_is_noticed) {
    for (const char* text : {"", "x", "{", "{\"a\"}", "{\"a\":}", "{\"a\":1", "{\"a\":1 \"b\":2}",
                             "{\"a\":[}", "{\"a", "{\"a\":\"x", "{a:1}", "[1,"}) {
        JsonCursor cursor{text};
        while (cursor.next()) {}
        EXPECT_TRUE(cursor.broken()) << text;
    }
    for (const char* text : {"{}", "[]", " { } ", "[1,2]", "{\"a\":[[],{}]}"}) {
        JsonCursor cursor{text};
        while (cursor.next()) {}
        EXPECT_FALSE(cursor.broken()) << text;
    }
}

TEST(JsonScan, an_object_tells_who_it_is) {
    const auto identity = identity_of(
        R"({"kind":"Pod","spec":{"metadata":1},"metadata":{"name":"a","namespace":"b","uid":"u",)"
        R"("managedFields":[{"f:name":{}}],"resourceVersion":"7",)"
        R"("ownerReferences":[{"kind":"X","uid":"o1"},{"uid":"o2"}]}})");
    ASSERT_TRUE(identity);
    EXPECT_EQ(identity->name, "a");
    EXPECT_EQ(identity->name_space, "b");
    EXPECT_EQ(identity->uid, "u");
    EXPECT_EQ(identity->resource_version, "7");
    EXPECT_EQ(identity->owner_uids, (std::vector<std::string>{"o1", "o2"}));
    EXPECT_FALSE(identity_of("[]x"));
    EXPECT_FALSE(identity_of("nonsense"));
}

TEST(JsonScan, a_list_is_cut_into_its_items) {
    const auto page =
        list_page_of(R"({"kind":"PodList","metadata":{"resourceVersion":"9","continue":"c"},)"
                     R"("items":[{"a":1},{}]})");
    ASSERT_TRUE(page);
    EXPECT_EQ(page->resource_version, "9");
    EXPECT_EQ(page->continue_token, "c");
    EXPECT_EQ(page->items, (std::vector<std::string_view>{"{\"a\":1}", "{}"}));
    EXPECT_EQ(list_page_of(R"({"items":null})")->items.size(), 0u);
    EXPECT_FALSE(list_page_of(R"({"items":[{})"));
}

TEST(JsonScan, frames_come_out_whole_however_the_bytes_arrive) {
    const std::string stream = "{\"a\":\"}\\\"{\"}\n\n[1,{\"b\":[]}]{\"c\":{}}\n {";
    const std::vector<std::string> wanted{"{\"a\":\"}\\\"{\"}", "[1,{\"b\":[]}]", "{\"c\":{}}"};
    for (size_t step = 1; step <= stream.size(); ++step) {
        FrameSplitter splitter{1000};
        std::vector<std::string> frames;
        for (size_t at = 0; at < stream.size(); at += step)
            ASSERT_TRUE(splitter.feed(std::string_view{stream}.substr(at, step), [&](auto frame) {
                frames.emplace_back(frame.substr(frame.find_first_of("{[")));
            }));
        EXPECT_EQ(frames, wanted) << step;
        EXPECT_FALSE(splitter.empty());
    }
    FrameSplitter small{10};
    EXPECT_FALSE(small.feed("{\"a\":\"12345678\"", [](auto) {}));
}

}   // namespace
}   // namespace skiff::client
