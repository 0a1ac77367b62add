#include "api/protobuf_fuzz.h"

#include "base/fuzz.h"

namespace skiff::api {
namespace {

// The first byte chooses a kind, the rest is a body of it.
const fuzz::Target protobuf_kinds{
    "protobuf_kinds", [](std::string_view input) {
        if (input.empty()) return;
        const auto kinds = builtin_kinds();
        const auto& kind = *kinds[static_cast<unsigned char>(input[0]) % kinds.size()];
        bool understood = false;
        ASSERT(fuzz_protobuf(kind, input.substr(1), understood).empty());
    }};

}   // namespace
}   // namespace skiff::api
