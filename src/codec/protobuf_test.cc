#include "codec/protobuf.h"

#include <limits>
#include <vector>

#include <gtest/gtest.h>

namespace skiff::codec {
namespace {

std::string bytes_of(std::initializer_list<int> values) {
    std::string out;
    for (const int value : values) out.push_back(static_cast<char>(value));
    return out;
}

std::string shown(std::string_view bytes) {
    std::string out;
    for (const char byte : bytes) {
        constexpr char digits[] = "0123456789abcdef";
        out += digits[static_cast<unsigned char>(byte) >> 4];
        out += digits[static_cast<unsigned char>(byte) & 15];
    }
    return out;
}

TEST(CodecProtobuf, varints_have_the_bytes_of_the_specification) {
    const struct {
        const char* why;
        uint64_t value;
        std::string wire;
    } rows[] = {
        {"zero", 0, bytes_of({0x08, 0x00})},
        {"the largest of one byte", 127, bytes_of({0x08, 0x7f})},
        {"the smallest of two", 128, bytes_of({0x08, 0x80, 0x01})},
        {"the specification's example", 150, bytes_of({0x08, 0x96, 0x01})},
        {"the largest", std::numeric_limits<uint64_t>::max(),
         bytes_of({0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01})},
    };
    for (const auto& row : rows) {
        std::string out;
        ProtoWriter{out}.uint64(1, row.value);
        EXPECT_EQ(shown(out), shown(row.wire)) << row.why;
        ProtoReader reader{out};
        ASSERT_TRUE(reader.next()) << row.why;
        EXPECT_EQ(reader.uint64(), row.value) << row.why;
        EXPECT_FALSE(reader.next());
        EXPECT_TRUE(reader.finish()) << row.why;
    }
}

TEST(CodecProtobuf, every_scalar_type_survives_a_round_trip) {
    std::string out;
    ProtoWriter writer{out};
    writer.int32(1, -1);
    writer.int64(2, std::numeric_limits<int64_t>::min());
    writer.sint64(3, -2);
    writer.boolean(4, true);
    writer.fixed64(5, 0x0102030405060708);
    writer.fixed32(6, 0xdeadbeef);
    writer.float64(7, -0.5);
    writer.float32(8, 1.25f);
    writer.text(536870911, "far");
    ProtoReader reader{out};
    ASSERT_TRUE(reader.next());
    EXPECT_EQ(reader.int32(), -1);
    ASSERT_TRUE(reader.next());
    EXPECT_EQ(reader.int64(), std::numeric_limits<int64_t>::min());
    ASSERT_TRUE(reader.next());
    EXPECT_EQ(reader.uint64(), 3u);   // zigzag of -2
    EXPECT_EQ(reader.sint64(), -2);
    EXPECT_EQ(reader.sint32(), -2);
    ASSERT_TRUE(reader.next());
    EXPECT_TRUE(reader.boolean());
    ASSERT_TRUE(reader.next());
    EXPECT_EQ(reader.fixed64(), 0x0102030405060708u);
    ASSERT_TRUE(reader.next());
    EXPECT_EQ(reader.fixed32(), 0xdeadbeefu);
    ASSERT_TRUE(reader.next());
    EXPECT_EQ(reader.float64(), -0.5);
    ASSERT_TRUE(reader.next());
    EXPECT_EQ(reader.float32(), 1.25f);
    ASSERT_TRUE(reader.next());
    EXPECT_EQ(reader.number(), 536870911u);
    EXPECT_EQ(reader.text(), "far");
    EXPECT_FALSE(reader.next());
    EXPECT_TRUE(reader.finish());
}

TEST(CodecProtobuf, a_nested_message_gets_its_length_whatever_its_size) {
    for (const size_t size : {0u, 1u, 125u, 126u, 127u, 128u, 16383u, 16384u, 3000000u}) {
        const std::string content(size, 'x');
        std::string out;
        ProtoWriter writer{out};
        writer.text(1, "before");
        writer.message(2, [&] {
            writer.message(3, [&] { writer.text(4, content); });
            writer.uint64(5, 6);
        });
        writer.text(7, "after");

        std::string inner, middle, whole;   // the same with temporary copies
        ProtoWriter{inner}.text(4, content);
        ProtoWriter{middle}.bytes(3, inner);
        ProtoWriter{middle}.uint64(5, 6);
        ProtoWriter{whole}.text(1, "before");
        ProtoWriter{whole}.bytes(2, middle);
        ProtoWriter{whole}.text(7, "after");
        EXPECT_TRUE(out == whole) << size;
    }
}

TEST(CodecProtobuf, a_list_of_numbers_is_read_packed_or_not) {
    std::string out;
    ProtoWriter writer{out};
    writer.uint64(1, 7);
    writer.message(1, [&] {
        writer.varint(300);
        writer.varint(0);
    });
    std::vector<uint64_t> seen;
    ProtoReader reader{out};
    while (reader.next()) reader.each_varint([&](uint64_t value) { seen.push_back(value); });
    EXPECT_TRUE(reader.finish());
    EXPECT_EQ(seen, (std::vector<uint64_t>{7, 300, 0}));
}

TEST(CodecProtobuf, malformed_input_fails_and_says_where) {
    const struct {
        const char* why;
        std::string wire;
        const char* says;
    } rows[] = {
        {"a tag without payload", bytes_of({0x08}), "ends inside a varint"},
        {"an endless varint", std::string(11, '\xff'), "longer than 64 bits"},
        {"a varint of 65 bits",
         bytes_of({0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02}),
         "longer than 64 bits"},
        {"a length beyond the end", bytes_of({0x0a, 0x05, 'a'}), "ends inside a field"},
        {"a length near 2^64",
         bytes_of({0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01}),
         "ends inside a field"},
        {"a short fixed64", bytes_of({0x09, 1, 2, 3}), "ends inside a field"},
        {"a short fixed32", bytes_of({0x0d, 1, 2, 3}), "ends inside a field"},
        {"field number 0", bytes_of({0x00, 0x00}), "out of range"},
        {"field number 2^29", bytes_of({0x80, 0x80, 0x80, 0x80, 0x10, 0x00}), "out of range"},
        {"wire type 6", bytes_of({0x0e, 0x00}), "wire type is unknown"},
        {"an end of no group", bytes_of({0x0c}), "not begun"},
        {"an end of another group", bytes_of({0x0b, 0x14}), "not begun"},
        {"a group without end", bytes_of({0x0b, 0x10, 0x01}), "ends inside a varint"},
        {"groups without bottom", std::string(100, '\x0b'), "too deeply"},
    };
    for (const auto& row : rows) {
        ProtoReader reader{row.wire};
        while (reader.next()) {}
        const auto done = reader.finish();
        ASSERT_FALSE(done) << row.why;
        EXPECT_NE(done.error().message.find(row.says), std::string::npos)
            << row.why << ": " << done.error().message;
    }
}

TEST(CodecProtobuf, groups_are_skipped) {
    // group 1 { 2: 1, group 3 { 4: "ab" } }, then 5: 9
    const auto wire = bytes_of({0x0b, 0x10, 0x01, 0x1b, 0x22, 0x02, 'a', 'b', 0x1c, 0x0c, 0x28, 9});
    ProtoReader reader{wire};
    ASSERT_TRUE(reader.next());
    EXPECT_EQ(reader.number(), 5u);
    EXPECT_EQ(reader.uint32(), 9u);
    EXPECT_FALSE(reader.next());
    EXPECT_TRUE(reader.finish());
}

TEST(CodecProtobuf, a_payload_of_another_wire_type_fails_instead_of_reading_garbage) {
    std::string out;
    ProtoWriter{out}.uint64(1, 5);
    ProtoReader reader{out};
    ASSERT_TRUE(reader.next());
    EXPECT_EQ(reader.text(), "");
    EXPECT_TRUE(reader.failed());
    EXPECT_FALSE(reader.next());
    EXPECT_FALSE(reader.finish());
}

TEST(CodecProtobuf, kubernetes_envelope_is_the_one_that_kubectl_sends) {
    std::string body;
    append_kubernetes_envelope(body, "v1", "Namespace", [](ProtoWriter& writer) {
        writer.message(1, [&] { writer.text(1, "demo"); });
    });
    EXPECT_EQ(shown(body), shown(std::string_view{"k8s\0"
                                                  "\x0a\x0f\x0a\x02v1\x12\x09Namespace"
                                                  "\x12\x08\x0a\x06\x0a\x04"
                                                  "demo\x1a\0\x22\0",
                                                  4 + 17 + 10 + 4}));
    const auto envelope = open_kubernetes_envelope(body);
    ASSERT_TRUE(envelope);
    EXPECT_EQ(envelope->apiVersion, "v1");
    EXPECT_EQ(envelope->kind, "Namespace");
    EXPECT_EQ(envelope->raw.size(), 8u);
    EXPECT_EQ(envelope->contentType, "");
}

TEST(CodecProtobuf, a_wrong_envelope_is_a_bad_request) {
    for (const std::string& body :
         {std::string{}, std::string{"k8s"}, std::string{"{\"a\":1}"},
          std::string{"k8s\0\x0a\x7f", 6}, std::string{"k8s\0\x08\x01", 6}}) {
        const auto envelope = open_kubernetes_envelope(body);
        ASSERT_FALSE(envelope) << shown(body);
        EXPECT_EQ(envelope.error().reason, Reason::BadRequest);
    }
}

}   // namespace
}   // namespace skiff::codec
