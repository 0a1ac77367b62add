#include "net/spdy.h"

#include <gtest/gtest.h>

#include "base/text.h"

namespace skiff::net {
namespace {

std::string shown(const SpdyHeaders& headers) {
    std::string out;
    for (const auto& [name, value] : headers) append(out, " ", name, "=", value);
    return out;
}

struct Reading {
    std::vector<std::string> calls;
    std::unique_ptr<SpdyReader> reader;

    Reading() {
        SpdySink sink;
        sink.syn_stream = [this](const SpdySynStream& frame) {
            calls.push_back(concat("syn ", frame.stream, " of ", frame.associated, " at ",
                                   frame.priority, frame.fin ? " fin" : "",
                                   frame.unidirectional ? " one-way" : "", shown(frame.headers)));
        };
        sink.syn_reply = [this](uint32_t stream, const SpdyHeaders& headers, bool fin) {
            calls.push_back(concat("reply ", stream, fin ? " fin" : "", shown(headers)));
        };
        sink.headers = [this](uint32_t stream, const SpdyHeaders& headers, bool fin) {
            calls.push_back(concat("headers ", stream, fin ? " fin" : "", shown(headers)));
        };
        sink.data = [this](uint32_t stream, std::string_view piece, bool fin) {
            calls.push_back(concat("data ", stream, fin ? " fin " : " ", piece));
        };
        sink.rst_stream = [this](uint32_t stream, uint32_t status) {
            calls.push_back(concat("rst ", stream, " ", status));
        };
        sink.settings = [this](const std::vector<SpdySetting>& settings) {
            calls.push_back("settings");
            for (const auto& each : settings)
                append(calls.back(), " ", each.flags, ":", each.id, "=", each.value);
        };
        sink.ping = [this](uint32_t id) { calls.push_back(concat("ping ", id)); };
        sink.goaway = [this](uint32_t last, uint32_t status) {
            calls.push_back(concat("goaway ", last, " ", status));
        };
        sink.window_update = [this](uint32_t stream, uint32_t delta) {
            calls.push_back(concat("window ", stream, " ", delta));
        };
        reader = std::make_unique<SpdyReader>(std::move(sink));
    }
};

using Calls = std::vector<std::string>;

std::string bytes_of(std::initializer_list<int> values) {
    std::string out;
    for (const int value : values) out.push_back(static_cast<char>(value));
    return out;
}

TEST(NetSpdy, frames_without_headers_have_the_specifications_bytes) {
    std::string out;
    SpdyWriter writer{out};
    writer.data(1, "hi", true);
    writer.rst_stream(3, spdy_status::cancel);
    writer.settings({{1, 4, 100}});
    writer.ping(2);
    writer.goaway(7, 0);
    writer.window_update(5, 65536);
    EXPECT_EQ(hex(out),
              hex(bytes_of({0, 0, 0,    1, 1,    0, 0, 2, 'h',  'i', 0x80, 3, 0, 3, 0, 0,  0, 8,
                            0, 0, 0,    3, 0,    0, 0, 5, 0x80, 3,   0,    4, 0, 0, 0, 12, 0, 0,
                            0, 1, 1,    0, 0,    4, 0, 0, 0,    100, 0x80, 3, 0, 6, 0, 0,  0, 4,
                            0, 0, 0,    2, 0x80, 3, 0, 7, 0,    0,   0,    8, 0, 0, 0, 7,  0, 0,
                            0, 0, 0x80, 3, 0,    9, 0, 0, 0,    8,   0,    0, 0, 5, 0, 1,  0, 0})));
    Reading reading;
    ASSERT_TRUE(reading.reader->feed(out));
    EXPECT_EQ(reading.calls, (Calls{"data 1 fin hi", "rst 3 5", "settings 1:4=100", "ping 2",
                                    "goaway 7 0", "window 5 65536"}));
}

TEST(NetSpdy, header_blocks_begin_with_the_dictionary_of_spdy_3) {
    std::string out;
    SpdyWriter writer{out};
    writer.syn_stream({.stream = 1, .headers = {{"streamType", "error"}}});
    // 8 bytes of head, 10 of SYN_STREAM, then zlib: CMF, FLG with FDICT, the dictionary's Adler-32.
    ASSERT_GT(out.size(), 24u);
    EXPECT_EQ(hex(out.substr(0, 7)), "80030001000000");
    EXPECT_EQ(out[19] & 0x20, 0x20);
    EXPECT_EQ(hex(out.substr(20, 4)), "e3c6a7c2");
}

TEST(NetSpdy, headers_pass_from_frame_to_frame_of_one_compression) {
    std::string out;
    SpdyWriter writer{out};
    writer.syn_stream({.stream = 1, .headers = {{"streamType", "error"}, {"port", "80"}}});
    writer.syn_stream({.stream = 3,
                       .associated = 1,
                       .priority = 7,
                       .fin = true,
                       .unidirectional = true,
                       .headers = {{"streamtype", "data"}, {"port", "80"}}});
    writer.syn_reply(1, {});
    writer.headers(3, {{"a", std::string{"x\0y", 3}}}, true);
    const Calls wanted{"syn 1 of 0 at 0 streamtype=error port=80",
                       "syn 3 of 1 at 7 fin one-way streamtype=data port=80", "reply 1",
                       concat("headers 3 fin a=", std::string{"x\0y", 3})};
    Reading whole;
    ASSERT_TRUE(whole.reader->feed(out));
    EXPECT_EQ(whole.calls, wanted);
    Reading bytewise;
    for (const char byte : out) ASSERT_TRUE(bytewise.reader->feed({&byte, 1}));
    EXPECT_EQ(bytewise.calls, wanted);
}

TEST(NetSpdy, data_is_handed_out_as_it_comes) {
    std::string out;
    SpdyWriter writer{out};
    writer.data(1, "abcd", true);
    writer.data(1, "", true);
    writer.data(3, "");
    Reading reading;
    ASSERT_TRUE(reading.reader->feed(out.substr(0, 10)));
    ASSERT_TRUE(reading.reader->feed(out.substr(10)));
    EXPECT_EQ(reading.calls, (Calls{"data 1 ab", "data 1 fin cd", "data 1 fin ", "data 3 "}));
}

TEST(NetSpdy, more_data_than_a_frame_holds_is_cut) {
    std::string out;
    SpdyWriter{out}.data(1, std::string(20'000'000, 'x'), true);
    size_t bytes = 0;
    int fins = 0;
    SpdySink sink;
    sink.data = [&](uint32_t, std::string_view piece, bool fin) {
        bytes += piece.size();
        fins += fin;
    };
    SpdyReader reader{std::move(sink)};
    ASSERT_TRUE(reader.feed(out));
    EXPECT_EQ(bytes, 20'000'000u);
    EXPECT_EQ(fins, 1);
}

TEST(NetSpdy, unknown_frames_are_passed_over_and_malformed_ones_end_the_connection) {
    Reading reading;
    ASSERT_TRUE(reading.reader->feed(
        bytes_of({0x80, 3, 0, 42, 0, 0, 0, 1, 9, 0x80, 3, 0, 6, 0, 0, 0, 4, 0, 0, 0, 2})));
    EXPECT_EQ(reading.calls, Calls{"ping 2"});
    const struct {
        const char* why;
        std::string wire;
    } rows[] = {
        {"SPDY/2", bytes_of({0x80, 2, 0, 6, 0, 0, 0, 4, 0, 0, 0, 2})},
        {"a short PING", bytes_of({0x80, 3, 0, 6, 0, 0, 0, 2, 0, 0})},
        {"an empty RST_STREAM", bytes_of({0x80, 3, 0, 3, 0, 0, 0, 0})},
        {"SETTINGS that promise more", bytes_of({0x80, 3, 0, 4, 0, 0, 0, 4, 0, 0, 0, 9})},
        {"a huge control frame", bytes_of({0x80, 3, 0, 1, 0, 0xff, 0xff, 0xff})},
        {"headers that are not zlib",
         bytes_of({0x80, 3, 0, 2, 0, 0, 0, 8, 0, 0, 0, 1, 1, 2, 3, 4})},
        {"no headers at all", bytes_of({0x80, 3, 0, 2, 0, 0, 0, 4, 0, 0, 0, 1})},
    };
    for (const auto& row : rows) {
        Reading bad;
        EXPECT_FALSE(bad.reader->feed(row.wire)) << row.why;
        EXPECT_TRUE(bad.reader->feed(row.wire)) << row.why;
        EXPECT_TRUE(bad.calls.empty()) << row.why;
    }
}

TEST(NetSpdy, a_header_block_that_swells_is_refused) {
    std::string out;
    SpdyWriter{out}.syn_reply(1, {{"a", std::string(1'000'000, 'a')}});
    ASSERT_LT(out.size(), 64u << 10);
    Reading reading;
    const auto fed = reading.reader->feed(out);
    ASSERT_FALSE(fed);
    EXPECT_EQ(fed.error().message, "SPDY: a header block is larger than 256 KiB");
}

}   // namespace
}   // namespace skiff::net
