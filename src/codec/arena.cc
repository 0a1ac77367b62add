#include "codec/arena.h"

#include <algorithm>
#include <cstdint>

namespace skiff::codec {
namespace {

constexpr size_t block_bytes_min = 1024;
constexpr size_t block_bytes_max = 256 * 1024;   // larger only for what needs more in one piece

}   // namespace

void Arena::reserve(size_t bytes) {
    if (capacity_ - used_ >= bytes) return;
    blocks_.push_back(std::make_unique_for_overwrite<char[]>(bytes));
    held_ += bytes;
    block_ = blocks_.back().get();
    capacity_ = bytes;
    used_ = 0;
}

// Blocks double, so that a small document takes one small block and a large one few large ones.
void* Arena::allocate_slow(size_t size, size_t alignment) {
    const size_t wanted = size + alignment;
    const size_t next = std::clamp(held_, block_bytes_min, block_bytes_max);
    if (wanted > next / 2 && block_ && capacity_ - used_ > 256) {
        // A big piece gets a block of its own; what is left of the current one stays in use.
        blocks_.push_back(std::make_unique_for_overwrite<char[]>(wanted));
        held_ += wanted;
        const auto address = reinterpret_cast<uintptr_t>(blocks_.back().get());
        return reinterpret_cast<void*>((address + alignment - 1) & ~(alignment - 1));
    }
    const size_t capacity = std::max(wanted, next);
    blocks_.push_back(std::make_unique_for_overwrite<char[]>(capacity));
    held_ += capacity;
    block_ = blocks_.back().get();
    capacity_ = capacity;
    used_ = 0;
    return allocate(size, alignment);
}

}   // namespace skiff::codec
