// Memory that is given back all at once. Trivially destructible things only.
#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

namespace skiff::codec {

class Arena {
  public:
    Arena() = default;
    Arena(Arena&&) = default;
    Arena& operator=(Arena&&) = default;

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
