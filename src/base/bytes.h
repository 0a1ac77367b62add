// Immutable shared bytes: one pointer, one allocation, counted references. GET, LIST and every
// watcher hold the same ones. A Slice is a part of a Bytes that keeps the whole alive.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <string_view>
#include <utility>

namespace skiff {

class Bytes {
  public:
    Bytes() = default;
    explicit Bytes(std::string_view content) : Bytes{content.size(), content} {}
    // Joins the parts into one allocation.
    static Bytes join(std::initializer_list<std::string_view> parts);
    Bytes(const Bytes& other) : block_{other.block_} { retain(); }
    Bytes(Bytes&& other) noexcept : block_{std::exchange(other.block_, nullptr)} {}
    Bytes& operator=(Bytes other) noexcept {
        std::swap(block_, other.block_);
        return *this;
    }
    ~Bytes() { release(); }

    std::string_view view() const {
        return block_ ? std::string_view{block_->data(), block_->size} : std::string_view{};
    }
    operator std::string_view() const { return view(); }   // NOLINT: a view of itself
    size_t size() const { return block_ ? block_->size : 0; }
    bool empty() const { return size() == 0; }
    explicit operator bool() const { return block_ != nullptr; }
    bool same_as(const Bytes& other) const { return block_ == other.block_; }

  private:
    struct Block {
        std::atomic<uint32_t> references;
        uint32_t size;
        char* data() { return reinterpret_cast<char*>(this + 1); }
    };
    Bytes(size_t size, std::string_view first);
    void retain() const {
        if (block_) block_->references.fetch_add(1, std::memory_order_relaxed);
    }
    void release();

    Block* block_ = nullptr;
};

struct Slice {
    Bytes whole;
    uint32_t offset = 0;
    uint32_t size = 0;

    Slice() = default;
    Slice(Bytes bytes)
        : whole{std::move(bytes)}, size{static_cast<uint32_t>(whole.size())} {}   // NOLINT
    Slice(Bytes bytes, uint32_t first, uint32_t count)
        : whole{std::move(bytes)}, offset{first}, size{count} {}
    std::string_view view() const { return whole.view().substr(offset, size); }
};

}   // namespace skiff
