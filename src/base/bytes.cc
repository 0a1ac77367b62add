#include "base/bytes.h"

#include <cstdlib>
#include <cstring>
#include <limits>
#include <new>

#include "base/result.h"

namespace skiff {

Bytes::Bytes(size_t size, std::string_view first) {
    ASSERT(size <= std::numeric_limits<uint32_t>::max());
    ASSERT(first.size() <= size);
    auto* memory = std::malloc(sizeof(Block) + size);
    if (!memory) throw std::bad_alloc{};
    block_ = new (memory) Block{.references = 1, .size = static_cast<uint32_t>(size)};
    if (!first.empty()) std::memcpy(block_->data(), first.data(), first.size());
}

Bytes Bytes::join(std::initializer_list<std::string_view> parts) {
    size_t total = 0;
    for (const auto part : parts) total += part.size();
    Bytes whole{total, {}};
    char* at = whole.block_->data();
    for (const auto part : parts) {
        if (part.empty()) continue;
        std::memcpy(at, part.data(), part.size());
        at += part.size();
    }
    return whole;
}

void Bytes::release() {
    if (!block_) return;
    if (block_->references.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
    block_->~Block();
    std::free(block_);
}

}   // namespace skiff
