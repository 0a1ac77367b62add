// Fuzz targets. Each parser has one in a *_fuzz.cc beside it; all are in one program
// (tests/fuzz/driver.cc, `./x fuzz`). A target gets bytes that anybody may have sent and ASSERTs
// what must hold of them; memory errors, hangs, leaks and memory out of proportion are found by
// the driver.
#pragma once

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

namespace skiff::fuzz {

class Target {
  public:
    using Run = void (*)(std::string_view input);
    Target(std::string_view name, Run body) : name_{name}, run_{body} { all().push_back(this); }

    std::string_view name() const { return name_; }
    void run(std::string_view input) const { run_(input); }
    static std::vector<const Target*>& all() {
        static std::vector<const Target*> targets;
        return targets;
    }

  private:
    std::string_view name_;
    Run run_;
};

// The first part of an input for a target that takes two: up to the first byte 0xff, which is in
// no UTF-8 text. Without one the second part is empty.
inline std::pair<std::string_view, std::string_view> two_parts(std::string_view input) {
    const auto at = input.find('\xff');
    if (at == std::string_view::npos) return {input, {}};
    return {input.substr(0, at), input.substr(at + 1)};
}

// Calls `feed` with the input in pieces whose sizes its own bytes choose, so that every cut is
// tried some time.
template <class Feed>
void in_pieces(std::string_view input, Feed&& feed) {
    size_t at = 0;
    unsigned state = static_cast<unsigned>(input.size());
    while (at < input.size()) {
        state = state * 31 + static_cast<unsigned char>(input[at]);
        const size_t size = std::min<size_t>(1 + state % 13, input.size() - at);
        feed(input.substr(at, size));
        at += size;
    }
}

}   // namespace skiff::fuzz
