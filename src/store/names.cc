#include "store/names.h"

#include <algorithm>
#include <cstring>

#include "base/result.h"

namespace skiff::store {

uint16_t Names::number(size_t index) const {
    uint16_t value = 0;
    std::memcpy(&value, bytes_.view().data() + index * sizeof value, sizeof value);
    return value;
}

size_t Names::size() const { return bytes_ ? number(0) : 0; }

std::string_view Names::common() const {
    return bytes_.view().substr((2 + size()) * sizeof(uint16_t), number(1));
}

std::string_view Names::rest(size_t index) const {
    const size_t start = (2 + size()) * sizeof(uint16_t) + number(1);
    const size_t first = index == 0 ? 0 : number(1 + index);
    return bytes_.view().substr(start + first, number(2 + index) - first);
}

// The first index for which before(rest, the name's rest) is false.
template <class Before>
size_t Names::search(std::string_view name, Before before) const {
    size_t first = 0;
    size_t last = size();
    if (last == 0) return 0;
    const auto shared = common();
    const int order = name.substr(0, shared.size()).compare(shared);
    if (order != 0) return order < 0 ? 0 : last;
    const auto wanted = name.substr(shared.size());
    while (first < last) {
        const size_t middle = (first + last) / 2;
        if (before(rest(middle), wanted)) {
            first = middle + 1;
        } else {
            last = middle;
        }
    }
    return first;
}

size_t Names::lower_bound(std::string_view name) const {
    return search(name, [](std::string_view left, std::string_view right) { return left < right; });
}

size_t Names::upper_bound(std::string_view name) const {
    return search(name,
                  [](std::string_view left, std::string_view right) { return left <= right; });
}

bool Names::is(size_t index, std::string_view name) const {
    if (index >= size()) return false;
    const auto shared = common();
    return name.starts_with(shared) && name.substr(shared.size()) == rest(index);
}

NamesBuilder& NamesBuilder::add(const Names& from, size_t first, size_t last) {
    for (size_t i = first; i < last; ++i) {
        text_ += from.common();
        add(from.rest(i));
    }
    return *this;
}

NamesBuilder& NamesBuilder::add(std::string_view name) {
    text_ += name;
    ends_.push_back(static_cast<uint32_t>(text_.size()));
    return *this;
}

Names NamesBuilder::build() const {
    Names names;
    if (ends_.empty()) return names;
    const auto name = [&](size_t i) {
        const size_t first = i == 0 ? 0 : ends_[i - 1];
        return std::string_view{text_}.substr(first, ends_[i] - first);
    };
    // Sorted: what the first and the last share, all share.
    const auto least = name(0);
    const auto greatest = name(ends_.size() - 1);
    const auto shared =
        static_cast<size_t>(std::ranges::mismatch(least, greatest).in1 - least.begin());
    std::string packed;
    const auto number = [&](size_t value) {
        ASSERT(value <= UINT16_MAX);
        const auto small = static_cast<uint16_t>(value);
        packed.append(reinterpret_cast<const char*>(&small), sizeof small);
    };
    packed.reserve((2 + ends_.size()) * sizeof(uint16_t) + text_.size());
    number(ends_.size());
    number(shared);
    size_t end = 0;
    for (size_t i = 0; i < ends_.size(); ++i) number(end += name(i).size() - shared);
    packed += least.substr(0, shared);
    for (size_t i = 0; i < ends_.size(); ++i) packed += name(i).substr(shared);
    names.bytes_ = Bytes{packed};
    return names;
}

}   // namespace skiff::store
