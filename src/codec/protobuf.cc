#include "codec/protobuf.h"

#include <cstring>

#include "base/text.h"

namespace skiff::codec {
namespace {

constexpr int group_depth_max = 32;
constexpr uint32_t field_number_max = (1u << 29) - 1;

template <class Number>
Number little_endian(std::string_view bytes) {
    Number value = 0;
    for (size_t i = 0; i < sizeof(Number); ++i)
        value |= static_cast<Number>(static_cast<unsigned char>(bytes[i])) << (8 * i);
    return value;
}

template <class Number>
void append_little_endian(std::string& out, Number value) {
    for (size_t i = 0; i < sizeof(Number); ++i)
        out.push_back(static_cast<char>((value >> (8 * i)) & 0xff));
}

}   // namespace

void ProtoReader::fail_at(const char* problem) {
    if (problem_) return;
    problem_ = problem;
    problem_at_ = at_;
}

bool ProtoReader::want(WireType type) {
    if (type_ == type) return true;
    fail_at("the field has another wire type than its definition");
    return false;
}

bool ProtoReader::read_varint(uint64_t& value) {
    value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        if (at_ == bytes_.size()) {
            fail_at("the message ends inside a varint");
            return false;
        }
        const auto byte = static_cast<unsigned char>(bytes_[at_++]);
        if (shift == 63 && byte > 1) break;   // more than 64 bits
        value |= uint64_t{byte & 0x7fu} << shift;
        if (byte < 0x80) return true;
    }
    fail_at("a varint is longer than 64 bits");
    return false;
}

bool ProtoReader::read_tag() {
    uint64_t tag = 0;
    if (!read_varint(tag)) return false;
    const uint64_t number = tag >> 3;
    if (number == 0 || number > field_number_max) {
        fail_at("a field number is out of range");
        return false;
    }
    if ((tag & 7) > 5) {
        fail_at("a wire type is unknown");
        return false;
    }
    number_ = static_cast<uint32_t>(number);
    type_ = static_cast<WireType>(tag & 7);
    return true;
}

bool ProtoReader::read_payload() {
    uint64_t size = 0;
    switch (type_) {
    case WireType::Varint: return read_varint(value_);
    case WireType::Bytes:
        if (!read_varint(size)) return false;
        break;
    case WireType::Fixed64: size = 8; break;
    case WireType::Fixed32: size = 4; break;
    default: fail_at("a group ends that was not begun"); return false;
    }
    if (size > bytes_.size() - at_) {
        fail_at("the message ends inside a field");
        return false;
    }
    payload_ = bytes_.substr(at_, size);
    at_ += size;
    if (type_ == WireType::Fixed64) value_ = little_endian<uint64_t>(payload_);
    if (type_ == WireType::Fixed32) value_ = little_endian<uint32_t>(payload_);
    return true;
}

bool ProtoReader::skip_group(uint32_t number) {
    uint32_t open[group_depth_max] = {number};
    int depth = 1;
    while (depth > 0) {
        if (!read_tag()) return false;
        if (type_ == WireType::StartGroup) {
            if (depth == group_depth_max) {
                fail_at("groups are nested too deeply");
                return false;
            }
            open[depth++] = number_;
        } else if (type_ == WireType::EndGroup) {
            if (open[--depth] != number_) {
                fail_at("a group ends that was not begun");
                return false;
            }
        } else if (!read_payload()) {
            return false;
        }
    }
    return true;
}

bool ProtoReader::next() {
    while (!problem_ && at_ < bytes_.size()) {
        if (!read_tag()) return false;
        if (type_ != WireType::StartGroup) return read_payload();
        if (!skip_group(number_)) return false;
    }
    return false;
}

Result<> ProtoReader::finish() const {
    if (problem_) {
        return fail(Reason::BadRequest, concat("protobuf: ", problem_, " (field ", number_,
                                               ", byte ", problem_at_, ")"));
    }
    ASSERT(at_ == bytes_.size());   // next() was not called to the end
    return {};
}

void ProtoWriter::varint(uint64_t value) {
    while (value >= 0x80) {
        out_.push_back(static_cast<char>((value & 0x7f) | 0x80));
        value >>= 7;
    }
    out_.push_back(static_cast<char>(value));
}

void ProtoWriter::fixed64(uint32_t number, uint64_t value) {
    tag(number, WireType::Fixed64);
    append_little_endian(out_, value);
}

void ProtoWriter::fixed32(uint32_t number, uint32_t value) {
    tag(number, WireType::Fixed32);
    append_little_endian(out_, value);
}

void ProtoWriter::bytes(uint32_t number, std::string_view value) {
    tag(number, WireType::Bytes);
    varint(value.size());
    out_ += value;
}

size_t ProtoWriter::begin(uint32_t number) {
    tag(number, WireType::Bytes);
    out_.push_back('\0');   // room for a length below 128
    return out_.size();
}

void ProtoWriter::end(size_t mark) {
    ASSERT(mark > 0 && mark <= out_.size());
    uint64_t size = out_.size() - mark;
    char length[10];
    size_t digits = 0;
    for (; size >= 0x80; size >>= 7) length[digits++] = static_cast<char>((size & 0x7f) | 0x80);
    length[digits++] = static_cast<char>(size);
    out_[mark - 1] = length[0];
    if (digits > 1) out_.insert(mark, length + 1, digits - 1);
}

Result<KubernetesEnvelope> open_kubernetes_envelope(std::string_view body) {
    if (!body.starts_with(kubernetes_protobuf_magic))
        return fail(Reason::BadRequest, "protobuf: the body does not begin with 'k8s\\0'");
    KubernetesEnvelope envelope;
    ProtoReader unknown{body.substr(kubernetes_protobuf_magic.size())};
    while (unknown.next()) {
        switch (unknown.number()) {
        case 1: {
            ProtoReader type = unknown.message();
            while (type.next()) {
                if (type.number() == 1) envelope.apiVersion = type.text();
                if (type.number() == 2) envelope.kind = type.text();
            }
            TRY_OK(type.finish());
            break;
        }
        case 2: envelope.raw = unknown.bytes(); break;
        case 3: envelope.contentEncoding = unknown.text(); break;
        case 4: envelope.contentType = unknown.text(); break;
        default: break;
        }
    }
    TRY_OK(unknown.finish());
    return envelope;
}

}   // namespace skiff::codec
