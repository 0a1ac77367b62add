#include "dns/message.h"

#include <gtest/gtest.h>

#include "base/random.h"
#include "dns/forwarder.h"

namespace skiff::dns {
namespace {

using namespace std::string_literals;

TEST(DnsMessage, a_query_is_read) {
    auto bytes = make_query({.name = "web.default.svc", .type = Type::SRV}, 0x1234);
    bytes[header_bytes + 1] = 'W';   // letter case is the client's own
    const auto received = parse_query(bytes);
    ASSERT_TRUE(received.query);
    const auto& query = *received.query;
    EXPECT_EQ(query.id, 0x1234);
    EXPECT_TRUE(query.recursion_desired);
    EXPECT_EQ(query.question.name, "web.default.svc");
    EXPECT_EQ(query.question.type, Type::SRV);
    EXPECT_EQ(query.udp_bytes, 512);
    const auto answer = encode(query, {}, 512);
    EXPECT_EQ(answer.substr(header_bytes), bytes.substr(header_bytes));
    EXPECT_EQ(static_cast<uint8_t>(answer[2]) & 0x80, 0x80);
}

TEST(DnsMessage, what_is_no_query_is_refused_or_left) {
    const auto good = make_query({.name = "a", .type = Type::A}, 1);
    const auto changed = [&](size_t at, char value) {
        auto bytes = good;
        bytes[at] = value;
        return bytes;
    };
    EXPECT_FALSE(parse_query("").refusal);
    EXPECT_FALSE(parse_query(good.substr(0, 11)).refusal);
    EXPECT_FALSE(parse_query(changed(2, '\x81')).refusal);   // an answer
    EXPECT_EQ(parse_query(changed(2, '\x29')).refusal, Code::NotImplemented);
    EXPECT_EQ(parse_query(changed(5, 0)).refusal, Code::FormatError);    // no question
    EXPECT_EQ(parse_query(changed(5, 2)).refusal, Code::FormatError);    // two
    EXPECT_EQ(parse_query(changed(11, 1)).refusal, Code::FormatError);   // a record is missing
    EXPECT_EQ(parse_query(good.substr(0, 14)).refusal, Code::FormatError);
    EXPECT_EQ(parse_query(changed(header_bytes, '\x3f')).refusal, Code::FormatError);
    // A name that points to itself, forwards, into the header.
    for (const char target : {'\x0c', '\x10', '\x00'}) {
        auto bytes = good.substr(0, header_bytes) + "\xc0"s + target + "\0\1\0\1"s;
        EXPECT_EQ(parse_query(bytes).refusal, Code::FormatError);
    }
}

TEST(DnsMessage, names_go_there_and_back) {
    for (const std::string name : {"", "a", "web.default.svc.cluster.local", "_http._tcp.web"}) {
        size_t at = 0;
        const auto bytes = encode_name(name);
        EXPECT_EQ(parse_name(bytes, at), name);
        EXPECT_EQ(at, bytes.size());
    }
    EXPECT_EQ(encode_name("a..b"), "");
    EXPECT_EQ(encode_name(std::string(64, 'a')), "");
    EXPECT_EQ(encode_name(std::string(63, 'a')).size(), 65u);
    std::string longest;
    for (int i = 0; i < 130; ++i) longest += "a.";
    EXPECT_EQ(encode_name(longest + "a"), "");
    const auto dotted = "\3a.b\1c\0"s;   // a dot within a label is none between two
    size_t at = 0;
    const auto name = parse_name(dotted, at);
    EXPECT_EQ(name, "a\\.b.c");
    EXPECT_EQ(encode_name(*name), dotted);
}

TEST(DnsMessage, an_answer_that_is_too_long_is_cut_and_says_so) {
    auto query = *parse_query(make_query({.name = "a.b", .type = Type::A}, 1)).query;
    Answer answer;
    for (uint32_t i = 0; i < 100; ++i)
        answer.answers.push_back({.name = "a.b", .type = Type::A, .ttl = 5, .data = a_data(i)});
    const auto cut = encode(query, answer, 512);
    EXPECT_LE(cut.size(), 512u);
    const auto outline = parse_response(cut);
    ASSERT_TRUE(outline);
    EXPECT_TRUE(outline->truncated);
    EXPECT_EQ(outline->answers.size(), 30u);
    const auto whole = parse_response(encode(query, answer, 65535));
    EXPECT_FALSE(whole->truncated);
    EXPECT_EQ(whole->answers.size(), 100u);
    EXPECT_EQ(whole->ttl_min, 5u);
    // What is but a courtesy is left out without a word.
    answer.answers.resize(1);
    for (uint32_t i = 0; i < 100; ++i)
        answer.additional.push_back({.name = "c", .type = Type::A, .ttl = 5, .data = a_data(i)});
    EXPECT_FALSE(parse_response(encode(query, answer, 512))->truncated);
}

TEST(DnsMessage, who_speaks_the_extension_gets_longer_answers) {
    auto bytes = make_query({.name = "a.b", .type = Type::A}, 1);
    bytes[11] = 1;
    bytes += "\0\0\x29\x10\0\0\0\0\0\0\0"s;   // OPT, 4096 bytes
    const auto query = parse_query(bytes).query;
    ASSERT_TRUE(query);
    EXPECT_TRUE(query->extended);
    EXPECT_EQ(query->udp_bytes, 1232);
    const auto answer = encode(*query, {}, query->udp_bytes);
    EXPECT_EQ(answer[11], 1);
    EXPECT_EQ(answer.size(), bytes.size());
}

// Whatever comes in: no read beyond the bytes, and at most one answer.
TEST(DnsMessage, any_bytes_are_safe) {
    auto& random = os_random();
    const auto good = make_query({.name = "web.default.svc.cluster.local", .type = Type::A}, 1);
    for (int i = 0; i < 20000; ++i) {
        std::string bytes = good;
        const auto changes = 1 + random.below(6);
        for (uint64_t change = 0; change < changes; ++change)
            bytes[random.below(bytes.size())] = static_cast<char>(random.below(256));
        bytes.resize(random.below(bytes.size() + 1));
        bytes.shrink_to_fit();
        const auto received = parse_query(bytes);
        if (received.query) {
            EXPECT_GE(encode(*received.query, {}, 512).size(), header_bytes);
        }
        if (received.refusal) {
            EXPECT_EQ(encode_refusal(bytes, *received.refusal).size(), 12u);
        }
        (void)parse_response(bytes);
    }
}

}   // namespace
}   // namespace skiff::dns
