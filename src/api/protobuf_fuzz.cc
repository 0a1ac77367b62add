// libFuzzer's entry: the first byte chooses a kind, the rest is a body of it. It needs a clang that
// knows std::expected (16 and newer): clang++ -std=c++23 -fsanitize=fuzzer,address over the sources
// of base, codec and api.
#include "api/protobuf_fuzz.h"

#include <cstdint>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size == 0) return 0;
    const auto kinds = skiff::api::builtin_kinds();
    const std::string_view bytes{reinterpret_cast<const char*>(data), size};
    bool understood = false;
    if (!skiff::api::fuzz_protobuf(*kinds[data[0] % kinds.size()], bytes.substr(1), understood)
             .empty())
        std::abort();
    return 0;
}
