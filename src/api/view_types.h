// What the members of views are made of.
#pragma once

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "api/interned.h"
#include "api/quantity.h"

namespace skiff::api {

// An optional held by pointer, with the copies and comparisons of a value.
template <class T>
class Boxed {
  public:
    Boxed() = default;
    Boxed(T value) : box_{std::make_unique<T>(std::move(value))} {}   // NOLINT: as std::optional
    Boxed(const Boxed& other) : box_{other.box_ ? std::make_unique<T>(*other.box_) : nullptr} {}
    Boxed(Boxed&&) noexcept = default;
    Boxed& operator=(Boxed other) noexcept {
        box_ = std::move(other.box_);
        return *this;
    }
    explicit operator bool() const { return box_ != nullptr; }
    bool has_value() const { return box_ != nullptr; }
    T& operator*() { return *box_; }
    const T& operator*() const { return *box_; }
    T* operator->() { return box_.get(); }
    const T* operator->() const { return box_.get(); }
    T& emplace() {
        box_ = std::make_unique<T>();
        return *box_;
    }
    T& make() { return box_ ? *box_ : emplace(); }   // the one that is there, else a new one
    void reset() { box_.reset(); }
    friend bool operator==(const Boxed& left, const Boxed& right) {
        return left.box_ && right.box_ ? *left.box_ == *right.box_ : !left.box_ && !right.box_;
    }

  private:
    std::unique_ptr<T> box_;
};

// A map from strings as a vector sorted by key: small, and in the order that is written.
template <class Key, class Value>
class SortedMap {
  public:
    using Pair = std::pair<Key, Value>;
    SortedMap() = default;
    SortedMap(std::initializer_list<Pair> pairs) {
        for (const Pair& pair : pairs) (*this)[std::string_view{pair.first}] = pair.second;
    }
    Value* find(std::string_view key) {
        const auto at = place(key);
        return at != pairs_.end() && at->first == key ? &at->second : nullptr;
    }
    const Value* find(std::string_view key) const {
        return const_cast<SortedMap*>(this)->find(key);
    }
    bool contains(std::string_view key) const { return find(key) != nullptr; }
    Value get(std::string_view key) const {   // an empty value when it is not there
        const Value* found = find(key);
        return found ? *found : Value{};
    }
    Value& operator[](std::string_view key) {
        const auto at = place(key);
        if (at != pairs_.end() && at->first == key) return at->second;
        return pairs_.emplace(at, Key{key}, Value{})->second;
    }
    bool erase(std::string_view key) {
        const auto at = place(key);
        if (at == pairs_.end() || at->first != key) return false;
        pairs_.erase(at);
        return true;
    }
    auto begin() const { return pairs_.begin(); }
    auto end() const { return pairs_.end(); }
    size_t size() const { return pairs_.size(); }
    bool empty() const { return pairs_.empty(); }
    void reserve(size_t count) { pairs_.reserve(count); }
    void clear() { pairs_.clear(); }
    void shrink_to_fit() { pairs_.shrink_to_fit(); }
    bool operator==(const SortedMap&) const = default;

  private:
    auto place(std::string_view key) {
        if (pairs_.empty() || std::string_view{pairs_.back().first} < key) return pairs_.end();
        return std::lower_bound(pairs_.begin(), pairs_.end(), key,
                                [](const Pair& pair, std::string_view one) {
                                    return std::string_view{pair.first} < one;
                                });
    }
    std::vector<Pair> pairs_;
};

using Labels = SortedMap<Interned, Interned>;
using ResourceList = SortedMap<Interned, Quantity>;

struct IntOrString {
    int32_t number = 0;
    bool is_string = false;
    std::string text;
    IntOrString() = default;
    IntOrString(int32_t value) : number{value} {}                              // NOLINT
    IntOrString(std::string_view value) : is_string{true}, text{value} {}      // NOLINT
    IntOrString(const char* value) : IntOrString{std::string_view{value}} {}   // NOLINT
    bool operator==(const IntOrString&) const = default;
};

}   // namespace skiff::api
