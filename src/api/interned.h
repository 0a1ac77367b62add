// A string that many objects share (namespaces, node names, label keys and values, enum values):
// 8 bytes, counted references into one process-wide pool, equality by address.
#pragma once

#include <atomic>
#include <compare>
#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace skiff::api {

class Interned {
  public:
    Interned() = default;
    Interned(std::string_view text) : entry_{take(text)} {}                   // NOLINT
    Interned(const char* text) : Interned{std::string_view{text}} {}          // NOLINT
    Interned(const std::string& text) : Interned{std::string_view{text}} {}   // NOLINT
    Interned(const Interned& other) : entry_{other.entry_} {
        if (entry_) entry_->references.fetch_add(1, std::memory_order_relaxed);
    }
    Interned(Interned&& other) noexcept : entry_{std::exchange(other.entry_, nullptr)} {}
    Interned& operator=(Interned other) noexcept {
        std::swap(entry_, other.entry_);
        return *this;
    }
    ~Interned() {
        if (entry_) give_back(entry_);
    }

    std::string_view view() const {
        return entry_ ? std::string_view{entry_->text(), entry_->size} : std::string_view{"", 0};
    }
    operator std::string_view() const { return view(); }   // NOLINT: it is one
    std::string str() const { return std::string{view()}; }
    bool empty() const { return entry_ == nullptr; }
    size_t size() const { return entry_ ? entry_->size : 0; }

    friend bool operator==(const Interned& left, const Interned& right) {
        return left.entry_ == right.entry_;
    }
    friend std::strong_ordering operator<=>(const Interned& left, const Interned& right) {
        return left.view() <=> right.view();
    }
    template <class T>
    requires(std::convertible_to<const T&, std::string_view> &&
             !std::same_as<T, Interned>) friend bool
    operator==(const Interned& left, const T& right) {
        return left.view() == std::string_view{right};
    }
    template <class T>
    requires(std::convertible_to<const T&, std::string_view> &&
             !std::same_as<T, Interned>) friend std::strong_ordering
    operator<=>(const Interned& left, const T& right) {
        return left.view() <=> std::string_view{right};
    }

  private:
    friend class InternPool;
    struct Entry {
        std::atomic<uint32_t> references;
        uint32_t size;
        size_t hash;
        const char* text() const { return reinterpret_cast<const char*>(this + 1); }
    };
    static Entry* take(std::string_view text);   // null for ""
    static void give_back(Entry* entry);

    Entry* entry_ = nullptr;
};

size_t interned_count();   // distinct strings now in the pool

}   // namespace skiff::api
