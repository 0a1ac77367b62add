// libfyaml reads a flow collection ([a, {b: c}]) to its end before it says a word of it, for all of
// it may turn out to be a key: some 350 bytes for each token, and however deep. So what stands
// before it is looked at first, with a reader that keeps nothing.
#pragma once

#include <cstddef>
#include <string_view>

namespace skiff::codec {

class YamlLookahead {
  public:
    YamlLookahead(std::string_view text, unsigned depth_max);

    // `at`: behind the last event. What is wrong with what libfyaml would read for the next one, or
    // "". Whatever was looked at once is not looked at again.
    std::string_view check(size_t at);
    size_t at() const { return at_; }   // where it stopped

  private:
    std::string_view flow();
    std::string_view open();
    void close();
    void quoted(char quote);
    void word();
    bool blank_at(size_t at) const;

    std::string_view text_;
    size_t at_ = 0;
    size_t checked_ = 0;
    unsigned depth_max_;
    size_t tokens_max_;
    unsigned depth_ = 0;
    unsigned held_depth_ = 0;   // where a collection began that may be a key; 0: none
    size_t held_tokens_ = 0;
    bool value_ = false;   // behind a colon, where no key can be
};

}   // namespace skiff::codec
