// libFuzzer's entry: the first byte chooses a kind, the rest is a body of it. Build with
// clang++ -fsanitize=fuzzer,address over the sources of base, codec and api.
#include <cstdint>
#include <cstdlib>

#include "api/normalize.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace skiff;
    if (size == 0) return 0;
    const auto kinds = api::builtin_kinds();
    const api::Kind& kind = *kinds[data[0] % kinds.size()];
    codec::Arena arena;
    auto object = api::decode_protobuf(
        *kind.message, {reinterpret_cast<const char*>(data + 1), size - 1}, arena);
    api::NormalizeReport report;
    if (!object || !api::normalize(*kind.message, *object, arena, report)) return 0;
    // What was understood can be written, and reads the same.
    std::string bytes;
    if (!api::encode_protobuf(*kind.message, *object, bytes)) std::abort();
    auto again = api::decode_protobuf(*kind.message, bytes, arena);
    if (!again || !api::normalize(*kind.message, *again, arena, report) || !(*again == *object)) std::abort();
    api::apply_defaults(kind, *object, arena);
    static_cast<void>(api::validate(kind, *object, nullptr));
    return 0;
}
