#include "codec/json.h"

#include <limits>

#include <gtest/gtest.h>

#include "base/text.h"

namespace skiff::codec {
namespace {

std::string reread(std::string_view text) {
    const auto document = parse_json(text);
    return document ? to_json(document->root) : "error: " + document.error().message;
}

TEST(CodecJson, texts_are_read_and_written_in_the_form_of_go) {
    const struct {
        const char* why;
        std::string_view text;
        std::string_view written;
    } rows[] = {
        {"null", "null", "null"},
        {"white space around", " \t\r\n true \n", "true"},
        {"an empty object", "{ }", "{}"},
        {"an empty array", "[ ]", "[]"},
        {"key order is kept", R"({"b":1,"a":[1,{"c":false}],"":null})",
         R"({"b":1,"a":[1,{"c":false}],"":null})"},
        {"nested empties", R"([[],{},[{}]])", R"([[],{},[{}]])"},
        {"the smallest integer", "-9223372036854775808", "-9223372036854775808"},
        {"the largest integer", "9223372036854775807", "9223372036854775807"},
        {"above it unsigned", "9223372036854775808", "9223372036854775808"},
        {"the largest unsigned", "18446744073709551615", "18446744073709551615"},
        {"above that a double", "18446744073709551616", "18446744073709552000"},
        {"below the smallest a double", "-9223372036854775809", "-9223372036854776000"},
        {"twenty digits that overflow", "99999999999999999999", "100000000000000000000"},
        {"minus zero is zero", "-0", "0"},
        {"a double's minus zero is kept", "-0.0", "-0"},
        {"a whole double has no point", "[1.0,1e3,-2.50]", "[1,1000,-2.5]"},
        {"fractions", "[0.1,0.001234,123.456]", "[0.1,0.001234,123.456]"},
        {"the smallest without exponent", "0.000001", "0.000001"},
        {"below it with, one digit", "0.0000001", "1e-7"},
        {"the largest without exponent", "1e20", "100000000000000000000"},
        {"above it with", "[1e21,1.5e300]", "[1e+21,1.5e+300]"},
        {"digits beyond a double's are zeros", "123456789012345678901234.5e-3",
         "123456789012345680000"},
        {"too small is zero", "[1e-400,-1e-400]", "[0,-0]"},
        {"simple escapes", R"("\"\\\/\b\f\n\r\t")", R"("\"\\/\b\f\n\r\t")"},
        {"control characters", R"("\u0000\u001f\u007f")", "\"\\u0000\\u001f\x7f\""},
        {"escapes of two, three and four bytes", R"("\u00e9\u20ac\ud83d\ude00")", "\"é€😀\""},
        {"HTML is left alone", R"("<a&b>\u003c")", R"("<a&b><")"},
        {"line separators are escaped", "\"\xe2\x80\xa8\xe2\x80\xa9\xe2\x80\xaa\"",
         "\"\\u2028\\u2029\xe2\x80\xaa\""},
        {"lone surrogates are replaced", R"("\ud800x\udc00\ud800\ud800\udc00")",
         "\"\xef\xbf\xbdx\xef\xbf\xbd\xef\xbf\xbd\xf0\x90\x80\x80\""},
        {"UTF-8 after an escape", R"("\né€😀 and more")", R"("\né€😀 and more")"},
        {"a long string", R"("0123456789abcdef0123456789abcdef")",
         R"("0123456789abcdef0123456789abcdef")"},
        {"the last of two equal keys, at the first's place", R"({"a":1,"b":2,"a":3})",
         R"({"a":3,"b":2})"},
    };
    for (const auto& row : rows) EXPECT_EQ(reread(row.text), row.written) << row.why;
}

TEST(CodecJson, a_syntax_error_says_what_and_where) {
    const struct {
        std::string_view text;
        std::string_view message;
    } rows[] = {
        {"", "unexpected end of JSON input at offset 0"},
        {"  ", "unexpected end of JSON input at offset 2"},
        {"{", "unexpected end of JSON input at offset 1"},
        {R"({"a)", "unexpected end of JSON input at offset 3"},
        {R"({"a":1)", "unexpected end of JSON input at offset 6"},
        {R"(["a\)", "unexpected end of JSON input at offset 4"},
        {"tru", "unexpected end of JSON input at offset 3"},
        {"1.", "unexpected end of JSON input at offset 2"},
        {R"("\u12)", "unexpected end of JSON input at offset 5"},
        {"x", "invalid character 'x' looking for beginning of value at offset 0"},
        {"{x", "invalid character 'x' looking for beginning of object key string at offset 1"},
        {R"({"a":1,})",
         "invalid character '}' looking for beginning of object key string at offset 7"},
        {"[1,]", "invalid character ']' looking for beginning of value at offset 3"},
        {R"({"a" 1})", "invalid character '1' after object key at offset 5"},
        {R"({"a":1 "b"})", "invalid character '\"' after object key:value pair at offset 7"},
        {"[1 2]", "invalid character '2' after array element at offset 3"},
        {"[1}", "invalid character '}' after array element at offset 2"},
        {"1 2", "invalid character '2' after top-level value at offset 2"},
        {"trve", "invalid character 'v' in literal true (expecting 'u') at offset 2"},
        {"01", "invalid character '1' after top-level value at offset 1"},
        {"-x", "invalid character 'x' in numeric literal at offset 1"},
        {"1.x", "invalid character 'x' after decimal point in numeric literal at offset 2"},
        {"1e+x", "invalid character 'x' in exponent of numeric literal at offset 3"},
        {"1e400", "json: cannot unmarshal number 1e400 into Go value of type float64 at offset 0"},
        {"\"a\nb\"", "invalid character '\\n' in string literal at offset 2"},
        {R"("\x")", "invalid character 'x' in string escape code at offset 2"},
        {R"("\u12g4")", "invalid character 'g' in \\u hexadecimal character escape at offset 5"},
        {"'a'", "invalid character '\\'' looking for beginning of value at offset 0"},
        {"\x01", "invalid character '\\x01' looking for beginning of value at offset 0"},
        {std::string_view{"[1\0]", 4}, "invalid character '\\x00' after array element at offset 2"},
        {"\xef\xbb\xbf{}", "invalid character 'ï' looking for beginning of value at offset 0"},
        {"\"\xff\"", "invalid UTF-8 in string literal at offset 1"},
        {"\"\\n\xc0\x80\"", "invalid UTF-8 in string literal at offset 3"},
        {"\"\xed\xa0\x80\"", "invalid UTF-8 in string literal at offset 1"},
        {"\"\xe2\x82\"", "invalid UTF-8 in string literal at offset 1"},
        {"\"\xf4\x90\x80\x80\"", "invalid UTF-8 in string literal at offset 1"},
    };
    for (const auto& row : rows) {
        const auto document = parse_json(row.text);
        ASSERT_FALSE(document) << row.text;
        EXPECT_EQ(document.error().message, row.message) << row.text;
        EXPECT_EQ(document.error().reason, Reason::BadRequest);
    }
}

TEST(CodecJson, a_text_that_is_nowhere_is_empty) { EXPECT_FALSE(parse_json(std::string_view{})); }

TEST(CodecJson, depth_is_bounded) {
    const auto nested = [](size_t depth) {
        return std::string(depth, '[') + std::string(depth, ']');
    };
    EXPECT_TRUE(parse_json(nested(limits::json_depth_max)));
    const auto deeper = parse_json(nested(limits::json_depth_max + 1));
    ASSERT_FALSE(deeper);
    EXPECT_EQ(deeper.error().message, "exceeded max depth at offset 512");
    EXPECT_FALSE(parse_json(std::string(3u << 20, '[')));
    EXPECT_FALSE(parse_json("[[1]]", {.depth_max = 1}));
}

TEST(CodecJson, duplicate_keys_are_told_with_their_paths) {
    std::vector<std::string> duplicates;
    const auto document = parse_json(
        R"({"metadata":{"name":"a","labels":{"x":"1","x":"2","x":"3"},"name":"b"},
            "spec":{"containers":[{"name":"c"},{"image":"i","name":"d","image":"j"}]},"kind":"",
            "kind":"Pod"})",
        {.duplicate_keys = &duplicates});
    ASSERT_TRUE(document);
    EXPECT_EQ(duplicates, (std::vector<std::string>{"metadata.labels.x", "metadata.name",
                                                    "spec.containers[1].image", "kind"}));
    EXPECT_EQ(document->root.text_at({"metadata", "labels", "x"}), "3");
    EXPECT_EQ(document->root.text_at({"kind"}), "Pod");
}

TEST(CodecJson, duplicates_among_many_keys_are_found_too) {
    std::string text = "{";
    for (int i = 0; i < 1000; ++i) append(text, "\"k", i % 990, "\":", i, ",");
    text.back() = '}';
    std::vector<std::string> duplicates;
    const auto document = parse_json(text, {.duplicate_keys = &duplicates});
    ASSERT_TRUE(document);
    EXPECT_EQ(duplicates.size(), 10u);
    EXPECT_EQ(document->root.size(), 990u);
    EXPECT_EQ(document->root.members()[3].key, "k3");
    EXPECT_EQ(document->root.find("k3")->as_int(), 993);
}

TEST(CodecJson, objects_keep_order_while_they_change) {
    Arena arena;
    Json object = Json::object();
    for (int i = 0; i < 100; ++i) object.set(arena, concat("k", i), Json::integer(i));
    EXPECT_EQ(object.size(), 100u);
    for (int i = 0; i < 100; i += 2) EXPECT_TRUE(object.remove(concat("k", i)));
    EXPECT_FALSE(object.remove("k2"));
    EXPECT_EQ(object.size(), 50u);
    object.set(arena, "k1", Json::borrowed("first"));
    object.set(arena, "new", Json::boolean(true));
    EXPECT_EQ(object.members()[0].key, "k1");
    EXPECT_EQ(object.members()[0].value.text(), "first");
    EXPECT_EQ(object.members()[50].key, "new");
    for (int i = 1; i < 100; i += 2) EXPECT_TRUE(object.find(concat("k", i))) << i;
    EXPECT_FALSE(object.find("k0"));
    object.remove_members_if([](const Json::Member& member) { return member.value.is_integer(); });
    EXPECT_EQ(to_json(object), R"({"k1":"first","new":true})");
    EXPECT_TRUE(object.find("new"));
}

TEST(CodecJson, arrays_change_at_any_place) {
    Arena arena;
    Json array = Json::array();
    for (int i = 0; i < 10; ++i) array.push(arena, Json::integer(i));
    array.insert(arena, 0, Json::borrowed("a"));
    array.insert(arena, 11, Json::borrowed("z"));
    array.remove_at(1);
    EXPECT_EQ(to_json(array), R"(["a",1,2,3,4,5,6,7,8,9,"z"])");
    array.remove_items_if([](const Json& item) { return item.is_integer() && item.as_int() % 2; });
    EXPECT_EQ(to_json(array), R"(["a",2,4,6,8,"z"])");
}

TEST(CodecJson, a_copy_is_the_same_object_and_a_deep_copy_is_not) {
    Arena arena;
    auto document = parse_json(R"({"a":{"b":[1]},"c":"text"})");
    ASSERT_TRUE(document);
    const Json deep = document->root.deep_copy(arena);
    Json same = document->root;
    same.set(arena, "d", Json::integer(1));
    same.find("a")->find("b")->push(arena, Json::integer(2));
    EXPECT_EQ(to_json(document->root), R"({"a":{"b":[1,2]},"c":"text","d":1})");
    EXPECT_EQ(to_json(deep), R"({"a":{"b":[1]},"c":"text"})");
}

TEST(CodecJson, paths_are_walked_and_made) {
    Arena arena;
    Json root = Json::object();
    root.make_object(arena, "spec").make_array(arena, "list").push(arena, Json::borrowed("x"));
    EXPECT_EQ(root.make_object(arena, "spec").size(), 1u);
    EXPECT_EQ(to_json(root), R"({"spec":{"list":["x"]}})");
    EXPECT_TRUE(root.at_path({"spec", "list"}));
    EXPECT_FALSE(root.at_path({"spec", "list", "x"}));
    EXPECT_FALSE(root.at_path({"status", "x"}));
    EXPECT_EQ(root.text_at({"spec", "list"}), "");
}

TEST(CodecJson, equality_is_structural) {
    const struct {
        const char* left;
        const char* right;
        bool equal;
    } rows[] = {
        {R"({"a":1,"b":2})", R"({"b":2,"a":1})", true},
        {R"({"a":1})", R"({"a":1,"b":null})", false},
        {R"({"a":1,"b":1})", R"({"a":1,"c":1})", false},
        {"[1,2]", "[2,1]", false},
        {"[1,2]", "[1,2]", true},
        {"1", "1.0", true},
        {"1", "1.5", false},
        {"9223372036854775808", "9223372036854775808.0", true},
        {"9223372036854775807", "9223372036854775808", false},
        {"-1", "18446744073709551615", false},
        {"null", "false", false},
        {R"("a")", R"("a")", true},
        {"[]", "{}", false},
        {"[]", "[]", true},
    };
    for (const auto& row : rows) {
        const auto left = parse_json(row.left);
        const auto right = parse_json(row.right);
        ASSERT_TRUE(left && right);
        EXPECT_EQ(left->root == right->root, row.equal) << row.left << " and " << row.right;
        EXPECT_EQ(right->root == left->root, row.equal) << row.left << " and " << row.right;
    }
}

TEST(CodecJson, numbers_keep_their_range) {
    EXPECT_EQ(Json::unsigned_integer(5).type(), Json::Type::Int);
    const auto large = Json::unsigned_integer(std::numeric_limits<uint64_t>::max());
    EXPECT_EQ(large.type(), Json::Type::Uint);
    EXPECT_EQ(large.as_int(), std::numeric_limits<int64_t>::max());
    EXPECT_EQ(large.as_uint(), std::numeric_limits<uint64_t>::max());
    EXPECT_EQ(Json::integer(-3).as_uint(), 0u);
}

TEST(CodecJson, bytes_that_are_no_text_are_written_as_replacements) {
    std::string out;
    write_json_string("a\xff\xe2\x82z", out);
    EXPECT_EQ(out, R"("a\ufffd\ufffd\ufffdz")");
}

TEST(CodecJson, people_get_indented_text) {
    const auto document = parse_json(R"({"a":[1,{"b":null}],"c":{},"d":[]})");
    ASSERT_TRUE(document);
    std::string out;
    write_json_pretty(document->root, out);
    EXPECT_EQ(out, R"({
  "a": [
    1,
    {
      "b": null
    }
  ],
  "c": {},
  "d": []
})");
}

TEST(CodecJson, every_truncation_of_a_text_is_an_error) {
    const std::string text = R"({"a":[1.5e3,"\u00e9\n",true,null],"b":{"c":-7}})";
    ASSERT_TRUE(parse_json(text));
    for (size_t size = 0; size < text.size(); ++size)
        EXPECT_FALSE(parse_json(std::string_view{text}.substr(0, size))) << size;
}

TEST(CodecArena, what_was_allocated_stays_when_the_arena_moves) {
    Arena arena;
    const auto text = arena.copy("hello");
    const auto large = arena.copy(std::string(100'000, 'x'));
    Arena moved{std::move(arena)};
    EXPECT_EQ(text, "hello");
    EXPECT_EQ(large.size(), 100'000u);
    EXPECT_GT(moved.bytes_held(), 100'000u);
    EXPECT_EQ(arena.bytes_held(), 0u);   // NOLINT: an arena moved from is empty
    EXPECT_EQ(arena.copy("again"), "again");
    for (size_t alignment : {1u, 2u, 8u, 16u}) {
        const auto address = reinterpret_cast<uintptr_t>(moved.allocate(3, alignment));
        EXPECT_EQ(address % alignment, 0u);
    }
}

}   // namespace
}   // namespace skiff::codec
