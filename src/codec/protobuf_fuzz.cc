#include "base/fuzz.h"
#include "codec/protobuf.h"

namespace skiff::codec {
namespace {

// Every accessor on every field, and what may be a message within.
void read_all(ProtoReader reader, int depth) {
    while (reader.next()) {
        switch (reader.type()) {
        case WireType::Varint:
            (void)reader.sint64(), (void)reader.int32(), (void)reader.boolean();
            break;
        case WireType::Fixed64: (void)reader.float64(); break;
        case WireType::Fixed32: (void)reader.float32(); break;
        case WireType::Bytes:
            reader.each_varint([](uint64_t) {});
            if (depth > 0 && !reader.failed()) read_all(reader.message(), depth - 1);
            break;
        case WireType::StartGroup:
        case WireType::EndGroup: ASSERT(!"a group was shown");
        }
    }
    ASSERT(reader.failed() == !reader.finish());
}

const fuzz::Target protobuf{
    "protobuf", [](std::string_view input) {
        read_all(ProtoReader{input}, 8);
        const auto envelope = open_kubernetes_envelope(input);
        if (!envelope) {
            ASSERT(envelope.error().reason == Reason::BadRequest);
            return;
        }
        std::string again;
        append_kubernetes_envelope(again, envelope->apiVersion, envelope->kind,
                                   [&](ProtoWriter& writer) { writer.out() += envelope->raw; });
        const auto same = open_kubernetes_envelope(again);
        ASSERT(same && same->raw == envelope->raw && same->kind == envelope->kind);
    }};

}   // namespace
}   // namespace skiff::codec
