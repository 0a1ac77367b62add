// A sorted list of names in one shared allocation: what they have in common once, then the rest
// of each. Immutable: copies of a tree's node share it until a name comes or goes.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"

namespace skiff::store {

class Names {
  public:
    Names() = default;
    size_t size() const;
    std::string_view common() const;
    std::string_view rest(size_t index) const;
    size_t lower_bound(std::string_view name) const;   // the first that is >= name
    size_t upper_bound(std::string_view name) const;   // the first that is > name
    bool is(size_t index, std::string_view name) const;
    size_t memory_bytes() const { return bytes_.size(); }

  private:
    friend class NamesBuilder;
    uint16_t number(size_t index) const;
    template <class Before>
    size_t search(std::string_view name, Before before) const;
    // uint16_t: count, size of the common part, the end of each rest; then the bytes.
    Bytes bytes_;
};

class NamesBuilder {
  public:
    NamesBuilder& add(const Names& from, size_t first, size_t last);
    NamesBuilder& add(std::string_view name);
    Names build() const;   // the names must have been added in order

  private:
    std::string text_;
    std::vector<uint32_t> ends_;
};

}   // namespace skiff::store
