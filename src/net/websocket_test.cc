#include "net/websocket.h"

#include <gtest/gtest.h>

#include "base/text.h"

namespace skiff::net {
namespace {

constexpr std::string_view mask{"\x37\xfa\x21\x3d", 4};   // RFC 6455 §5.7's

// What a reader hands out, as text: one entry a call.
struct Reading {
    std::vector<std::string> calls;
    std::unique_ptr<WebSocketReader> reader;

    explicit Reading(WebSocketReader::Peer peer = WebSocketReader::Peer::Client) {
        WebSocketSink sink{
            .data =
                [this](bool text, bool first, bool last, std::string_view piece) {
                    calls.push_back(concat(text ? "text" : "binary", first ? " first" : "",
                                           last ? " last" : "", " ", piece));
                },
            .ping = [this](std::string_view payload) { calls.push_back(concat("ping ", payload)); },
            .close =
                [this](uint16_t code, std::string_view reason) {
                    calls.push_back(concat("close ", code, " ", reason));
                },
        };
        reader = std::make_unique<WebSocketReader>(peer, std::move(sink));
    }
    using Calls = std::vector<std::string>;
};

std::string bytes_of(std::initializer_list<int> values) {
    std::string out;
    for (const int value : values) out.push_back(static_cast<char>(value));
    return out;
}

std::string frame(WebSocketOpcode opcode, std::string_view payload, bool last = true,
                  std::string_view with_mask = {}) {
    std::string out;
    append_websocket_frame(out, opcode, payload, last, with_mask);
    return out;
}

TEST(NetWebSocket, the_accept_key_is_the_one_of_the_rfc) {
    EXPECT_EQ(websocket_accept("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

TEST(NetWebSocket, frames_have_the_bytes_of_the_rfc) {
    const std::string long_text(256, 'a'), longer(65536, 'b');
    const struct {
        const char* why;
        std::string frame;
        std::string head;
    } rows[] = {
        {"a single unmasked text", frame(WebSocketOpcode::Text, "Hello"),
         bytes_of({0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f})},
        {"a single masked text", frame(WebSocketOpcode::Text, "Hello", true, mask),
         bytes_of({0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58})},
        {"a first fragment", frame(WebSocketOpcode::Text, "Hel", false),
         bytes_of({0x01, 0x03, 0x48, 0x65, 0x6c})},
        {"256 bytes", frame(WebSocketOpcode::Binary, long_text),
         bytes_of({0x82, 0x7e, 0x01, 0x00}) + long_text},
        {"64 KiB", frame(WebSocketOpcode::Binary, longer),
         bytes_of({0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0}) + longer},
        {"a close",
         frame(WebSocketOpcode::Close,
               "\x03\xe8"
               "bye"),
         bytes_of({0x88, 0x05, 0x03, 0xe8, 'b', 'y', 'e'})},
    };
    for (const auto& row : rows) EXPECT_TRUE(row.frame == row.head) << row.why;
}

TEST(NetWebSocket, messages_come_whole_and_in_fragments_with_pings_between) {
    std::string wire;
    append_websocket_frame(wire, WebSocketOpcode::Text, "Hel", false, mask);
    append_websocket_frame(wire, WebSocketOpcode::Ping, "are you there", true, mask);
    append_websocket_frame(wire, WebSocketOpcode::Continuation, "lo", true, mask);
    append_websocket_frame(wire, WebSocketOpcode::Binary, "", true, mask);
    append_websocket_close(wire, 1001, "going", mask);
    append_websocket_frame(wire, WebSocketOpcode::Text, "after the end", true, mask);
    Reading reading;
    EXPECT_TRUE(reading.reader->feed(wire));
    EXPECT_EQ(reading.calls, (Reading::Calls{"text first Hel", "ping are you there", "text last lo",
                                             "binary first last ", "close 1001 going"}));
}

TEST(NetWebSocket, bytes_may_arrive_one_by_one) {
    std::string wire;
    append_websocket_frame(wire, WebSocketOpcode::Binary, std::string(300, 'x'), true, mask);
    append_websocket_frame(wire, WebSocketOpcode::Ping, "p", true, mask);
    append_websocket_frame(wire, WebSocketOpcode::Close, "", true, mask);
    Reading reading;
    for (const char byte : wire) EXPECT_TRUE(reading.reader->feed({&byte, 1}));
    ASSERT_EQ(reading.calls.size(), 302u);
    EXPECT_EQ(reading.calls.front(), "binary first x");
    EXPECT_EQ(reading.calls[299], "binary last x");
    EXPECT_EQ(reading.calls[300], "ping p");
    EXPECT_EQ(reading.calls[301], "close 1005 ");
}

TEST(NetWebSocket, what_the_rfc_forbids_is_refused) {
    const std::string key = "\x01\x02\x03\x04";
    const struct {
        const char* why;
        std::string wire;
    } rows[] = {
        {"an unmasked frame of a client", bytes_of({0x81, 0x00})},
        {"a reserved bit", bytes_of({0xc1, 0x80}) + key},
        {"opcode 3", bytes_of({0x83, 0x80}) + key},
        {"opcode 11", bytes_of({0x8b, 0x80}) + key},
        {"a fragmented ping", bytes_of({0x09, 0x80}) + key},
        {"a ping of 126 bytes", bytes_of({0x89, 0xfe, 0, 126}) + key},
        {"a continuation of nothing", bytes_of({0x80, 0x80}) + key},
        {"a message in a message", bytes_of({0x01, 0x80}) + key + bytes_of({0x81, 0x80}) + key},
        {"a length of 2^63", bytes_of({0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0}) + key},
        {"a long form of a short length", bytes_of({0x82, 0xfe, 0, 125}) + key},
        {"half a close code", bytes_of({0x88, 0x81}) + key + "\x02"},
        {"close code 1005", bytes_of({0x88, 0x82}) + key + bytes_of({0x03 ^ 1, 0xed ^ 2})},
    };
    for (const auto& row : rows) {
        Reading reading;
        EXPECT_FALSE(reading.reader->feed(row.wire)) << row.why;
        EXPECT_EQ(reading.reader->close_code(), websocket_close::protocol_error);
        EXPECT_TRUE(reading.reader->feed("ignored")) << row.why;
    }
    Reading client{WebSocketReader::Peer::Server};
    EXPECT_FALSE(client.reader->feed(bytes_of({0x81, 0x80}) + key)) << "a masked frame of a server";
}

TEST(NetWebSocket, a_handshake_is_checked_and_answered) {
    Headers request;
    request.add("Connection", "keep-alive, Upgrade");
    request.add("Upgrade", "websocket");
    EXPECT_FALSE(websocket_handshake(request, ""));
    request.add("Sec-WebSocket-Version", "13");
    EXPECT_FALSE(websocket_handshake(request, ""));
    request.add("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
    const auto answer = websocket_handshake(request, "v5.channel.k8s.io");
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->find("sec-websocket-accept"), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    EXPECT_EQ(answer->find("sec-websocket-protocol"), "v5.channel.k8s.io");
}

TEST(NetWebSocket, the_clients_order_of_protocols_decides) {
    constexpr std::string_view supported[] = {"v5.channel.k8s.io", "v4.channel.k8s.io", ""};
    const auto chosen = [&](std::initializer_list<std::string_view> lines) {
        Headers request;
        for (const auto line : lines) request.add("sec-websocket-protocol", line);
        return choose_websocket_protocol(request, supported);
    };
    EXPECT_EQ(chosen({"v4.channel.k8s.io, v5.channel.k8s.io"}), "v4.channel.k8s.io");
    EXPECT_EQ(chosen({"v9.channel.k8s.io", "v5.channel.k8s.io"}), "v5.channel.k8s.io");
    EXPECT_EQ(chosen({}), "");
    EXPECT_EQ(chosen({"chat"}), std::nullopt);
}

}   // namespace
}   // namespace skiff::net
