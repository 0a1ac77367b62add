#include "net/http.h"

#include <gtest/gtest.h>

#include "net/http1_message.h"

namespace skiff::net {
namespace {

TEST(NetHttp, headers_are_found_whatever_their_case_and_kept_in_order) {
    Headers headers;
    headers.add("Accept", "a");
    headers.add("X-B", "1");
    headers.add("accept", "b, C");
    EXPECT_EQ(headers.find("ACCEPT"), "a");
    EXPECT_EQ(headers.all("accept"), (std::vector<std::string_view>{"a", "b, C"}));
    EXPECT_TRUE(headers.has_token("accept", "c"));
    EXPECT_FALSE(headers.has_token("accept", "b, c"));
    EXPECT_EQ(headers.begin()->first, "accept");
    headers.set("accept", "z");
    EXPECT_EQ(headers.all("accept").size(), 1u);
    headers.remove("Accept");
    EXPECT_FALSE(headers.find("accept"));
    EXPECT_EQ(headers.size(), 1u);
}

TEST(NetHttp, percent_encoding_and_queries) {
    EXPECT_EQ(percent_decoded("a%20b%2Fc+d%zz%4"), "a b/c+d%zz%4");
    EXPECT_EQ(percent_encoded("a b/~_-.\xc3\xa4"), "a%20b%2F~_-.%C3%A4");
    const auto query = parse_query("a=1&b=x+y%26&c&&d=e=f&=g");
    EXPECT_EQ(query, (Query{{"a", "1"}, {"b", "x y&"}, {"c", ""}, {"d", "e=f"}, {"", "g"}}));
    EXPECT_TRUE(parse_query("").empty());
    for (const auto* on : {"true", "1", "True", ""}) EXPECT_TRUE(query_switch(on)) << on;
    for (const auto* off : {"false", "0", "False"}) EXPECT_FALSE(query_switch(off)) << off;
}

// However a message is cut into pieces, the same is read.
TEST(NetHttp, heads_and_chunks_are_read_the_same_in_any_pieces) {
    const std::string head = "GET http://host/a?b HTTP/1.1\r\nHost: x\r\nA:  b \t\r\n\r\n";
    HeadScanner scanner;
    for (size_t size = 1; size < head.size(); ++size)
        ASSERT_EQ(scanner.find_end(std::string_view{head}.substr(0, size)), 0u) << size;
    ASSERT_EQ(scanner.find_end(head + "rest"), head.size());
    const auto parsed = parse_request_head(head).value();
    EXPECT_EQ(parsed.path, "/a");
    EXPECT_EQ(parsed.query, "b");
    EXPECT_EQ(parsed.headers.find("a"), "b");

    const std::string body = "4\r\nWiki\r\n5;x=y\r\npedia\r\n0\r\nTrailer: 1\r\n\r\n";
    for (size_t first = 0; first <= body.size(); ++first) {
        ChunkedDecoder decoder;
        std::string got;
        const auto take = [&](std::string_view data) { got += data; };
        const auto one = std::string_view{body}.substr(0, first);
        ASSERT_EQ(decoder.feed(one, take), first);
        const auto two = std::string{body.substr(first)} + "NEXT";
        ASSERT_EQ(decoder.feed(two, take), body.size() - first);
        ASSERT_TRUE(decoder.done());
        ASSERT_EQ(got, "Wikipedia");
    }
}

}   // namespace
}   // namespace skiff::net
