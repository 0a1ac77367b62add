// Reads JSON text piece by piece without building anything, for decoders that want a few members of
// a large object. It checks what it reads; what it skips only has to balance.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace skiff::api {

class JsonPull {
  public:
    explicit JsonPull(std::string_view text)
        : begin_{text.data()}, at_{text.data()}, end_{text.data() + text.size()} {}

    // '{', '[', '"', 't', 'f', 'n', '0' for a number, 0 at the end or for what is no JSON.
    char peek();

    // bool first = true;
    // while (pull.next_member(first, key)) { … read or skip the value … }
    // The same for elements. False at the end, or after a failure. The key lives to the next one.
    bool next_member(bool& first, std::string_view& key);
    bool next_element(bool& first);

    // The text of a string; it lives until the next call when it had escapes.
    std::string_view string() { return string(unescaped_); }
    bool boolean();
    std::string_view number();
    std::string_view skip();   // the value's text
    bool at_end();             // nothing but white space is left

    bool failed() const { return problem_ != nullptr; }
    void fail_with(const char* problem);
    Result<> finish() const;   // what was wrong, and at which byte

  private:
    std::string_view string(std::string& unescaped);
    void skip_space();
    bool take(char wanted, const char* problem);
    void skip_string();
    bool unescape(std::string& out);
    bool unescape_unicode(std::string& out);
    bool read_hex(uint32_t& value);

    const char* begin_;
    const char* at_;
    const char* end_;
    std::string unescaped_;
    std::string unescaped_key_;
    const char* problem_ = nullptr;
    size_t problem_at_ = 0;
};

}   // namespace skiff::api
