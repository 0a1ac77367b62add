// Memory that is given back all at once. Trivially destructible things only.
#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace skiff::codec {

class Arena {
  public:
    Arena() = default;
    explicit Arena(size_t expected) { reserve(expected); }
    // What was allocated stays where it is; the arena moved from is empty and can be used.
    Arena(Arena&& other) noexcept
        : blocks_{std::move(other.blocks_)},
          block_{std::exchange(other.block_, nullptr)},
          used_{std::exchange(other.used_, 0)},
          capacity_{std::exchange(other.capacity_, 0)},
          held_{std::exchange(other.held_, 0)} {
        other.blocks_.clear();
    }
    Arena& operator=(Arena&& other) noexcept {
        Arena moved{std::move(other)};
        std::swap(blocks_, moved.blocks_);
        std::swap(block_, moved.block_);
        std::swap(used_, moved.used_);
        std::swap(capacity_, moved.capacity_);
        std::swap(held_, moved.held_);
        return *this;
    }
    // One block for at least so much, so that what follows comes without another.
    void reserve(size_t bytes);

    void* allocate(size_t size, size_t alignment) {
        const size_t at = (used_ + alignment - 1) & ~(alignment - 1);
        if (at + size > capacity_) return allocate_slow(size, alignment);
        used_ = at + size;
        return block_ + at;
    }
    template <class T>
    T* array(size_t count) {
        static_assert(std::is_trivially_destructible_v<T>);
        return static_cast<T*>(allocate(count * sizeof(T), alignof(T)));
    }
    std::string_view copy(std::string_view text) {
        if (text.empty()) return {"", 0};
        char* memory = array<char>(text.size());
        std::memcpy(memory, text.data(), text.size());
        return {memory, text.size()};
    }
    size_t bytes_held() const { return held_; }

  private:
    void* allocate_slow(size_t size, size_t alignment);

    std::vector<std::unique_ptr<char[]>> blocks_;
    char* block_ = nullptr;
    size_t used_ = 0;
    size_t capacity_ = 0;
    size_t held_ = 0;
};

}   // namespace skiff::codec
