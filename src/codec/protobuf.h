// Protocol buffers' wire format (protobuf.dev/programming-guides/encoding), without any message
// definition: a reader over bytes it does not own and a writer that appends to a string. Depth is
// the caller's: a nested message is a Reader of its own over bytes().
#pragma once

#include <bit>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace skiff::codec {

enum class WireType : uint8_t {
    Varint = 0,
    Fixed64 = 1,
    Bytes = 2,   // strings, bytes, nested messages, packed lists
    StartGroup = 3,
    EndGroup = 4,
    Fixed32 = 5,
};

constexpr uint64_t zigzag(int64_t value) {
    return (static_cast<uint64_t>(value) << 1) ^ static_cast<uint64_t>(value >> 63);
}
constexpr int64_t unzigzag(uint64_t value) {
    return static_cast<int64_t>(value >> 1) ^ -static_cast<int64_t>(value & 1);
}

// ProtoReader reader{bytes};
// while (reader.next()) {
//     switch (reader.number()) {
//     case 1: name = reader.text(); break;
//     }                                       // a field nobody asked for is skipped
// }
// TRY_OK(reader.finish());
//
// next() decodes one field whole. The accessors convert its payload as protobuf does (an int32 is
// the low half of the varint); asking for another wire type than the one sent gives zero and makes
// the reader fail. After a failure next() is false and finish() tells what was wrong and where.
// Groups (long deprecated) are skipped inside next() and never seen.
class ProtoReader {
  public:
    explicit ProtoReader(std::string_view bytes) : bytes_{bytes} {}

    bool next();
    Result<> finish() const;   // Ok: everything was read and nothing was wrong

    uint32_t number() const { return number_; }
    WireType type() const { return type_; }
    bool failed() const { return problem_ != nullptr; }

    uint64_t uint64() { return want(WireType::Varint) ? value_ : 0; }
    int64_t int64() { return static_cast<int64_t>(uint64()); }
    uint32_t uint32() { return static_cast<uint32_t>(uint64()); }
    int32_t int32() { return static_cast<int32_t>(uint32()); }
    int64_t sint64() { return unzigzag(uint64()); }
    int32_t sint32() { return static_cast<int32_t>(unzigzag(uint32())); }
    bool boolean() { return uint64() != 0; }
    uint64_t fixed64() { return want(WireType::Fixed64) ? value_ : 0; }
    uint32_t fixed32() { return want(WireType::Fixed32) ? static_cast<uint32_t>(value_) : 0; }
    double float64() { return std::bit_cast<double>(fixed64()); }
    float float32() { return std::bit_cast<float>(fixed32()); }
    std::string_view bytes() { return want(WireType::Bytes) ? payload_ : std::string_view{}; }
    std::string_view text() { return bytes(); }   // not checked for UTF-8
    ProtoReader message() { return ProtoReader{bytes()}; }

    // A repeated scalar comes packed or one by one; both are legal for every declaration.
    template <class F>
    void each_varint(F&& element) {
        if (type_ == WireType::Varint) return element(value_);
        ProtoReader packed{bytes()};
        while (packed.at_ < packed.bytes_.size()) {
            if (!packed.read_varint(packed.value_)) return fail_at(packed.problem_);
            element(packed.value_);
        }
    }
    // For callers that find a payload wrong, so that finish() reports it: a string constant.
    void fail_at(const char* problem);

  private:
    bool want(WireType type);
    bool read_varint(uint64_t& value);
    bool read_tag();
    bool read_payload();
    bool skip_group(uint32_t number);

    std::string_view bytes_;
    size_t at_ = 0;
    uint32_t number_ = 0;
    WireType type_ = WireType::Varint;
    uint64_t value_ = 0;
    std::string_view payload_;
    const char* problem_ = nullptr;
    size_t problem_at_ = 0;
};

// Appends to `out`, which must outlive it. Zero values are written when asked for: proto3's
// leaving-out is the caller's `if`.
class ProtoWriter {
  public:
    explicit ProtoWriter(std::string& out) : out_{out} {}

    void uint64(uint32_t number, uint64_t value) { tag(number, WireType::Varint), varint(value); }
    void int64(uint32_t number, int64_t value) { uint64(number, static_cast<uint64_t>(value)); }
    void uint32(uint32_t number, uint32_t value) { uint64(number, value); }
    void int32(uint32_t number, int32_t value) { int64(number, value); }   // sign-extended
    void sint64(uint32_t number, int64_t value) { uint64(number, zigzag(value)); }
    void boolean(uint32_t number, bool value) { uint64(number, value ? 1 : 0); }
    void fixed64(uint32_t number, uint64_t value);
    void fixed32(uint32_t number, uint32_t value);
    void float64(uint32_t number, double value) { fixed64(number, std::bit_cast<uint64_t>(value)); }
    void float32(uint32_t number, float value) { fixed32(number, std::bit_cast<uint32_t>(value)); }
    void bytes(uint32_t number, std::string_view value);
    void text(uint32_t number, std::string_view value) { bytes(number, value); }

    // A nested message (or packed list), written in place: what `content` writes to this writer
    // becomes its payload. Short payloads cost nothing; a length of n > 1 bytes moves them n - 1.
    template <class F>
    void message(uint32_t number, F&& content) {
        const size_t mark = begin(number);
        content();
        end(mark);
    }
    size_t begin(uint32_t number);
    void end(size_t mark);

    void tag(uint32_t number, WireType type) {
        varint((uint64_t{number} << 3) | static_cast<uint64_t>(type));
    }
    void varint(uint64_t value);
    std::string& out() { return out_; }

  private:
    std::string& out_;
};

// Kubernetes' protobuf bodies: the four bytes "k8s\0", then a runtime.Unknown message that names
// the type and holds the object (apimachinery, runtime/serializer/protobuf).
inline constexpr std::string_view kubernetes_protobuf_magic{"k8s\0", 4};

struct KubernetesEnvelope {   // views into the body
    std::string_view apiVersion;
    std::string_view kind;
    std::string_view raw;
    std::string_view contentEncoding;
    std::string_view contentType;
};
// BadRequest when the magic or the envelope is wrong.
Result<KubernetesEnvelope> open_kubernetes_envelope(std::string_view body);
// Wraps what `content(writer)` writes.
template <class F>
void append_kubernetes_envelope(std::string& out, std::string_view api_version,
                                std::string_view kind, F&& content) {
    out += kubernetes_protobuf_magic;
    ProtoWriter writer{out};
    writer.message(1, [&] {
        writer.text(1, api_version);
        writer.text(2, kind);
    });
    writer.message(2, [&] { content(writer); });
    writer.text(3, "");   // upstream writes both, empty as well
    writer.text(4, "");
}

}   // namespace skiff::codec
