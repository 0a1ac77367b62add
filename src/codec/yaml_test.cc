#include "codec/yaml.h"

#include <gtest/gtest.h>

#include "base/text.h"

namespace skiff::codec {
namespace {

using namespace std::string_view_literals;

std::string as_json(std::string_view yaml) {
    const auto document = parse_yaml(yaml);
    return document ? to_json(document->root) : "error: " + document.error().message;
}

TEST(CodecYaml, scalars_are_read_as_kubernetes_reads_them) {
    const struct {
        const char* yaml;
        const char* json;
    } rows[] = {
        {"", "null"},
        {"# only a comment\n", "null"},
        {"~", "null"},
        {"null", "null"},
        {"[true, Yes, ON, y]", "[true,true,true,true]"},
        {"[FALSE, no, off, N]", "[false,false,false,false]"},
        {"[tRUE, yEs, oN]", R"(["tRUE","yEs","oN"])"},
        {"['yes', \"no\", 'null', \"1\"]", R"(["yes","no","null","1"])"},
        {"[1, -1, +1, 0, 1_000]", "[1,-1,1,0,1000]"},
        {"[0777, 0o17, 0x1F, 0b101, -0x10]", "[511,15,31,5,-16]"},
        {"[08, 0o8]", R"([8,"0o8"])"},
        {"[1.5, .5, 1., 1e3, 1E-2, -2.5e+1]", "[1.5,0.5,1,1000,0.01,-25]"},
        {"[1.2.3, 1e, 0x, '-', +, .]", R"(["1.2.3","1e","0x","-","+","."])"},
        {"18446744073709551615", "18446744073709551615"},
        {"18446744073709551616", "18446744073709552000"},
        {"1e999", R"("1e999")"},
        {"[2001-12-14, 2001-12-14T21:59:43.10-05:00]",
         R"(["2001-12-14","2001-12-14T21:59:43.10-05:00"])"},
        {"1:30", R"("1:30")"},
        {"100m", R"("100m")"},
        {"busybox:1.28", R"("busybox:1.28")"},
        {"!!str 5", R"("5")"},
        {"!!int 5", "5"},
        {"! 5", R"("5")"},
        {"!own 5", R"("5")"},
        {"!!binary aGVsbG8=", R"("hello")"},
        {"!!float 5", "5"},
        {"\"a\\n\\u00e9\\x41\"", R"("a\néA")"},
        {"'it''s'", R"("it's")"},
    };
    for (const auto& row : rows) EXPECT_EQ(as_json(row.yaml), row.json) << row.yaml;
}

TEST(CodecYaml, structures) {
    const struct {
        const char* why;
        const char* yaml;
        const char* json;
    } rows[] = {
        {"a manifest",
         "apiVersion: v1\nkind: Pod\nspec:\n  containers:\n"
         "  - name: a\n    args: [x, 'y']\n  - name: b\n",
         R"({"apiVersion":"v1","kind":"Pod","spec":{"containers":[{"name":"a","args":["x","y"]},)"
         R"({"name":"b"}]}})"},
        {"keys are texts", "1: a\ntrue: b\n1.5: c\nno: d\n",
         R"({"1":"a","true":"b","1.5":"c","false":"d"})"},
        {"empty values", "a:\nb: {}\nc: []\nd: ''\n", R"({"a":null,"b":{},"c":[],"d":""})"},
        {"a literal block", "a: |\n  one\n    two\n\n  three\nb: |-\n  x\nc: |+\n  y\n\n",
         R"({"a":"one\n  two\n\nthree\n","b":"x","c":"y\n\n"})"},
        {"a folded block", "a: >\n  one\n  two\n\n  three\n", R"({"a":"one two\nthree\n"})"},
        {"several lines of plain text", "a: one\n  two\nb: 1\n", R"({"a":"one two","b":1})"},
        {"document marks", "---\na: 1\n...\n", R"({"a":1})"},
        {"an empty document behind", "---\na: 1\n---\n", R"({"a":1})"},
        {"JSON is YAML", R"({"a": [1, {"b": null}]})", R"({"a":[1,{"b":null}]})"},
        {"aliases", "a: &x {k: 1}\nb: *x\nc: [*x]\n", R"({"a":{"k":1},"b":{"k":1},"c":[{"k":1}]})"},
        {"a scalar's alias, also as a key", "a: &x y1\n*x : 2\n", R"({"a":"y1","y1":2})"},
        {"merge keys", "base: &b {a: 1, b: 2}\nc:\n  <<: *b\n  b: 3\n",
         R"({"base":{"a":1,"b":2},"c":{"b":3,"a":1}})"},
        {"merge of several, the first wins", "c:\n  <<: [{a: 1}, {a: 2, b: 2}]\n",
         R"({"c":{"a":1,"b":2}})"},
        {"comments", "a: 1 # one\n# two\nb: 'x # y'\n", R"({"a":1,"b":"x # y"})"},
        {"windows line ends", "a: 1\r\nb: |\r\n  x\r\n", R"({"a":1,"b":"x\n"})"},
    };
    for (const auto& row : rows) EXPECT_EQ(as_json(row.yaml), row.json) << row.why;
}

TEST(CodecYaml, nothing_at_all_is_null) {   // with and without a place where it stands
    const auto none = parse_yaml(std::string_view{});
    const auto empty = parse_yaml("");
    ASSERT_TRUE(none && empty);
    EXPECT_TRUE(none->root.is_null() && empty->root.is_null());
}

TEST(CodecYaml, errors_say_line_and_column) {
    const struct {
        const char* why;
        const char* yaml;
        const char* starts;
    } rows[] = {
        {"a wrong indentation", "a: 1\n  b: 2\n",
         "yaml: line 1 column 4: invalid multiline plain key"},
        {"an open bracket", "a: [1, 2\n", "yaml: line"},
        {"an open quote", "a: \"x\n", "yaml: line"},
        {"a tab", "a:\n\tb: 1\n", "yaml: line 2 column"},
        {"a duplicate key", "a: 1\nb: 2\na: 3\n",
         "yaml: line 3 column 1: key \"a\" already set in map"},
        {"an unknown anchor", "a: *x\n", "yaml: line 1 column 4: unknown anchor 'x' referenced"},
        {"an anchor in itself", "a: &x [*x]\n",
         "yaml: line 1 column 8: anchor 'x' value contains itself"},
        {"a mapping as a key", "? {a: 1}\n: 2\n", "yaml: line 1 column 3: a key must be a scalar"},
        {"a null key", "~: 1\n", "yaml: line 1 column 1: a key must not be null"},
        {"no JSON number", "a: .inf\n", "yaml: line 1 column 4: '.inf' cannot be said in JSON"},
        {"two documents", "a: 1\n---\nb: 2\n",
         "yaml: line 4 column 1: there must be one document only"},
        {"invalid UTF-8", "a: 1\nb: \xff\n", "yaml: line 2: invalid UTF-8"},
        {"no integer", "!!int x", "yaml: line 1 column"},
        {"merge of a text", "a:\n  <<: x\n", "yaml: line"},
    };
    for (const auto& row : rows) {
        const auto document = parse_yaml(row.yaml);
        ASSERT_FALSE(document) << row.why << ": " << to_json(document->root);
        EXPECT_TRUE(document.error().message.starts_with(row.starts))
            << row.why << ": " << document.error().message;
        EXPECT_EQ(document.error().reason, Reason::BadRequest);
    }
}

TEST(CodecYaml, duplicate_keys_can_be_told_instead) {
    std::vector<std::string> duplicates;
    const auto document = parse_yaml("a: 1\nspec:\n  list:\n  - x: 1\n  - x: 1\n    x: 2\na: 3\n",
                                     {.duplicate_keys = &duplicates});
    ASSERT_TRUE(document);
    EXPECT_EQ(to_json(document->root), R"({"a":3,"spec":{"list":[{"x":1},{"x":2}]}})");
    EXPECT_EQ(duplicates, (std::vector<std::string>{"spec.list[1].x", "a"}));
}

TEST(CodecYaml, bombs_are_refused) {
    std::string laughs = "a: &a [x, x, x, x, x, x, x, x, x]\n";
    for (char name = 'b'; name < 'j'; ++name) {
        const std::string one{static_cast<char>(name - 1)};
        append(laughs, std::string{name}, ": &", std::string{name}, " [");
        for (int i = 0; i < 9; ++i) append(laughs, i ? ", *" : "*", one);
        laughs += "]\n";
    }
    const auto document = parse_yaml(laughs);
    ASSERT_FALSE(document);
    EXPECT_NE(document.error().message.find("excessive aliasing"), std::string::npos);

    const auto deep = parse_yaml(std::string(10'000, '[') + std::string(10'000, ']'));
    ASSERT_FALSE(deep);
    const auto few = parse_yaml("a: {b: {c: 1}}", {.depth_max = 2});
    ASSERT_FALSE(few);
    EXPECT_NE(few.error().message.find("exceeded max depth"), std::string::npos);
}

TEST(CodecYaml, control_characters_are_refused) {
    for (const std::string_view text : {"a: |\n  \0\n"sv, "a\x7f"sv, "\x01"sv, "a: \xc2\x80"sv}) {
        const auto document = parse_yaml(text);
        ASSERT_FALSE(document);
        EXPECT_NE(document.error().message.find("control characters"), std::string::npos);
    }
    EXPECT_TRUE(parse_yaml("a: \"\\0\\x7f\"\t\r\nb: \xc2\x85\xc2\xa0\xef\xbf\xbd"));
}

TEST(CodecYaml, single_quotes_are_read_by_our_own_reader) {
    const std::pair<std::string_view, std::string_view> rows[] = {
        {"''", ""},
        {"'a''b'", "a'b"},
        {"''''''", "''"},
        {"'a b\t c '", "a b\t c "},
        {"'a  \n   b'", "a b"},
        {"'a\r\n\r\n  \r\n b'", "a\n\nb"},
        {"' a\n '", " a "},
        {"'\xd9\xb1'''''''''''''", "\xd9\xb1''''''"},
        {"!!str '1'", "1"},
    };
    for (const auto& [text, meant] : rows) {
        const auto document = parse_yaml(concat("a: ", text, "\n"));
        ASSERT_TRUE(document) << text << ": " << document.error().message;
        EXPECT_EQ(document->root.text_at({"a"}), meant) << text;
    }
}

struct Lookahead {
    const char* why;
    std::string text;
    const char* problem;   // "" none
};

// What libfyaml would read ahead, 350 bytes a token and more: not without bounds.
TEST(CodecYaml, what_would_be_read_ahead_is_bounded) {
    const auto many = [](std::string_view piece, size_t times) {
        std::string out;
        for (size_t i = 0; i < times; ++i) out += piece;
        return out;
    };
    const size_t large = 20'000;
    const Lookahead rows[] = {
        {"brackets", many("[", large), "exceeded max depth"},
        {"brackets behind a key", "a: " + many("[", large), "exceeded max depth"},
        {"brackets in a list", "- - " + many("{a: [", large), "exceeded max depth"},
        {"brackets behind a comment", "# [\n--- # x\n" + many("[", large), "exceeded max depth"},
        {"brackets behind a scalar", "a: |\n  [\nb: " + many("[", large), "exceeded max depth"},
        {"flat", "[" + many("a,", large) + "]", "write it as JSON"},
        {"flat in a list", "- [" + many("a,", large) + "]", "write it as JSON"},
        {"flat on a line of its own", "a:\n  [" + many("a,", large) + "]", "write it as JSON"},
        {"flat within", "a: [[" + many("a,", large) + "]]", "write it as JSON"},
        {"anchors", many("&a ", large), "an anchor and a tag at most"},
        {"tags", "a: " + many("!x ", large), "an anchor and a tag at most"},
        {"anchors within", "[" + many("&a ", large), "write it as JSON"},
        {"a value is no key", "a: [" + many("a,", large) + "]", ""},
        {"nor is one within", "a: {b: [" + many("a,", large) + "], c: d}", ""},
        {"texts are no brackets", "a: |\n  " + many("[", large) + "\nb: x" + many("[", large), ""},
        {"nor quoted ones", "- ['" + many("[", large) + "', \"" + many("{\\\"", large) + "\"]", ""},
        {"nor comments", "- [a, # " + many("[", large) + "\n b]", ""},
        {"one after the other", many("- [a, {b: c}]\n", large), ""},
        {"JSON", "{\"a\": [" + many("[1],", large) + "[]]}", ""},
    };
    for (const auto& [why, text, problem] : rows) {
        const auto document = parse_yaml(text);
        EXPECT_EQ(document.has_value(), *problem == 0) << why;
        if (!document) {
            EXPECT_NE(document.error().message.find(problem), std::string::npos)
                << why << ": " << document.error().message;
        }
    }
}

TEST(CodecYaml, what_is_written_reads_as_the_same) {
    const char* texts[] = {
        R"({"kind":"X","list":[{"a":1,"b":[true,null]},[],{},[[1,2],[{"x":"y"}]]],"n":-1.5})",
        R"({"s":["","yes","null","1","1.5","0x1","2001-01-01","1:30","~"," a","a ","a: b","a #b",)"
        R"("- x","-x","?","*a","&a","!a","%a","@a","`a","#a","{a","[a","a:","'q'","\"q\"","=",)"
        R"("<<"]})",
        R"({"m":["one\ntwo","one\ntwo\n","one\n\n\n","\nlead"," sp\nx","a\tb\nc"]})",
        R"({"m":["trail \nx","\r\n","\n"]})",
        R"({"k: v":1,"yes":2,"":3,"multi\nline":4,"u":"é€😀","c":"\u0001\u007f"})",
        R"("scalar")",
        R"(["multi\nline\n"])",
        "[]",
        "{}",
        "null",
    };
    for (const char* text : texts) {
        const auto document = parse_json(text);
        ASSERT_TRUE(document);
        const auto yaml = to_yaml(document->root);
        EXPECT_EQ(as_json(yaml), to_json(document->root)) << yaml;
    }
    const auto document = parse_json(
        R"({"kind":"Pod","spec":{"args":["-c","a\nb\n"],"list":[{"x":1,"w":{"z":"1"}}],"e":{}}})");
    EXPECT_EQ(to_yaml(document->root),
              "kind: Pod\nspec:\n  args:\n  - -c\n  - |\n    a\n    b\n  list:\n  - x: 1\n    w:\n"
              "      z: \"1\"\n  e: {}\n");
}

}   // namespace
}   // namespace skiff::codec
