#include "api/selectors.h"

#include <gtest/gtest.h>

namespace skiff::api {
namespace {

const SortedPairs labels{{"app", "web"}, {"empty", ""}, {"example.com/tier", "front"}, {"n", "5"}};

TEST(ApiSelectors, label_selectors_match_as_documented) {
    const struct {
        const char* text;
        bool matches;
        const char* shown;
    } rows[] = {
        {"", true, ""},
        {"app", true, "app"},
        {"!app", false, "!app"},
        {"!nope", true, "!nope"},
        {"app=web", true, "app=web"},
        {"app==web", true, "app=web"},
        {" app = web , n ", true, "app=web,n"},
        {"app=other", false, "app=other"},
        {"app!=web", false, "app!=web"},
        {"nope!=web", true, "nope!=web"},
        {"app!=", true, "app!="},
        {"empty=", true, "empty="},
        {"empty=,app=web", true, "app=web,empty="},
        {"nope=", false, "nope="},
        {"app in (a,web)", true, "app in (a,web)"},
        {"app in(web ,a, a)", true, "app in (a,web)"},
        {"app notin (web)", false, "app notin (web)"},
        {"nope notin (web)", true, "nope notin (web)"},
        {"empty in ()", true, "empty in ()"},
        {"empty in (,a)", true, "empty in (,a)"},
        {"example.com/tier=front", true, "example.com/tier=front"},
        {"n>4", true, "n>4"},
        {"n>5", false, "n>5"},
        {"n<6", true, "n<6"},
        {"app>1", false, "app>1"},
        {"nope<1", false, "nope<1"},
        {"in in (in)", false, "in in (in)"},
        {"z,!b,app", false, "app,!b,z"},
    };
    auto object = codec::Json::object();
    codec::Arena arena;
    for (const auto& [key, value] : labels)
        object.set_borrowed(arena, key, codec::Json::borrowed(value));
    for (const auto& row : rows) {
        const auto selector = LabelSelector::parse(row.text);
        ASSERT_TRUE(selector) << row.text << ": " << selector.error().message;
        EXPECT_EQ(selector->matches(labels), row.matches) << row.text;
        EXPECT_EQ(selector->matches(object), row.matches) << row.text;
        EXPECT_EQ(selector->text(), row.shown) << row.text;
        EXPECT_EQ(selector->everything(), *row.text == '\0') << row.text;
    }
}

TEST(ApiSelectors, wrong_label_selectors_are_told_as_kubernetes_does) {
    const struct {
        const char* text;
        const char* message;
    } rows[] = {
        {"=a", "found '=', expected: !, identifier, or 'end of string'"},
        {"a,,b", "found ',', expected: identifier after ','"},
        {"a,", "found '', expected: identifier after ','"},
        {"a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"},
        {"a=b c", "found 'c', expected: ',' or 'end of string'"},
        {"a in b", "unable to parse requirement: found 'b' expected: '('"},
        {"a in (b", "unable to parse requirement: found '', expected: ',' or ')'"},
        {"!", "unable to parse requirement: found '', expected: identifier"},
        {"a=(", "unable to parse requirement: found '(', expected: identifier"},
        {"a>x",
         "unable to parse requirement: values[0]: Invalid value: \"x\": for 'Gt', 'Lt' "
         "operators, the value must be an integer"},
        {"a=-x",
         "unable to parse requirement: values[0][a]: Invalid value: \"-x\": a valid label "
         "must be an empty string or consist of alphanumeric characters, '-', '_' or '.', "
         "and must start and end with an alphanumeric character (e.g. 'MyValue',  or "
         "'my_value',  or '12345', regex used for validation is "
         "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"},
        {"/a",
         "unable to parse requirement: <nil>: Invalid value: \"/a\": prefix part must be "
         "non-empty"},
    };
    for (const auto& row : rows) {
        const auto selector = LabelSelector::parse(row.text);
        ASSERT_FALSE(selector) << row.text;
        EXPECT_EQ(selector.error().message, row.message) << row.text;
        EXPECT_EQ(selector.error().reason, Reason::BadRequest);
    }
}

TEST(ApiSelectors, selector_objects) {
    const struct {
        const char* json;
        bool matches;
        const char* shown;
    } rows[] = {
        {"null", false, ""},
        {"{}", true, ""},
        {R"({"matchLabels":{"app":"web"}})", true, "app=web"},
        {R"({"matchLabels":{"n":"6","app":"web"}})", false, "app=web,n=6"},
        {R"({"matchExpressions":[{"key":"app","operator":"In","values":["web","x"]},
             {"key":"z","operator":"DoesNotExist"}]})",
         true, "app in (web,x),!z"},
        {R"({"matchExpressions":[{"key":"app","operator":"NotIn","values":["web"]}]})", false,
         "app notin (web)"},
        {R"({"matchExpressions":[{"key":"app","operator":"Exists"}]})", true, "app"},
    };
    for (const auto& row : rows) {
        const auto document = codec::parse_json(row.json);
        ASSERT_TRUE(document);
        const auto selector = LabelSelector::from_object(document->root);
        ASSERT_TRUE(selector) << row.json;
        EXPECT_EQ(selector->matches(labels), row.matches) << row.json;
        EXPECT_EQ(selector->text(), row.shown) << row.json;
    }
    const struct {
        const char* json;
        const char* message;
    } wrong[] = {
        {R"({"matchExpressions":[{"key":"a","operator":"Is"}]})",
         "\"Is\" is not a valid label selector operator"},
        {R"({"matchExpressions":[{"key":"a","operator":"In"}]})",
         "values: Invalid value: []: for 'in', 'notin' operators, values set can't be empty"},
        {R"({"matchExpressions":[{"key":"a","operator":"Exists","values":["x"]}]})",
         "values: Invalid value: [x]: values set must be empty for exists and does not exist"},
    };
    for (const auto& row : wrong) {
        const auto document = codec::parse_json(row.json);
        const auto selector = LabelSelector::from_object(document->root);
        ASSERT_FALSE(selector) << row.json;
        EXPECT_EQ(selector.error().message, row.message);
    }
}

TEST(ApiSelectors, field_selectors) {
    const SortedPairs fields{{"metadata.name", "x"}, {"spec.nodeName", ""}, {"v", "a=b,c\\"}};
    const struct {
        const char* text;
        bool matches;
    } rows[] = {
        {"", true},
        {",", true},
        {"metadata.name=x", true},
        {"metadata.name==x,spec.nodeName=", true},
        {"metadata.name!=x", false},
        {"spec.nodeName!=a", true},
        {"absent=", true},
        {"absent!=", false},
        {"v=a\\=b\\,c\\\\", true},
    };
    for (const auto& row : rows) {
        const auto selector = FieldSelector::parse(row.text);
        ASSERT_TRUE(selector) << row.text;
        EXPECT_EQ(selector->matches(fields), row.matches) << row.text;
    }
    const struct {
        const char* text;
        const char* message;
    } wrong[] = {
        {"a", "invalid selector: 'a'; can't understand 'a'"},
        {"b=1,a", "invalid selector: 'b=1,a'; can't understand 'a'"},
        {"a=b=c", "invalid field selector: unescaped character in value: 61"},
        {"a=\\x", "invalid field selector: invalid escape sequence: \\x"},
        {"a=\\", "invalid field selector: invalid escape sequence: \\"},
    };
    for (const auto& row : wrong) {
        const auto selector = FieldSelector::parse(row.text);
        ASSERT_FALSE(selector) << row.text;
        EXPECT_EQ(selector.error().message, row.message);
    }
    const auto selector = FieldSelector::parse("metadata.name=x,a!=b");
    ASSERT_TRUE(selector->exact("metadata.name"));
    EXPECT_EQ(*selector->exact("metadata.name"), "x");
    EXPECT_FALSE(selector->exact("a"));
    EXPECT_FALSE(selector->everything());
}

}   // namespace
}   // namespace skiff::api
