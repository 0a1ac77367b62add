// Texts and lists of texts as JSON writes them, for bodies that are put together by hand.
#pragma once

#include <string>
#include <string_view>

#include "codec/json.h"

namespace skiff::codec {

inline std::string quoted(std::string_view text) {
    std::string out;
    write_json_string(text, out);
    return out;
}

// ["a","b"]
template <class Texts>
std::string quoted_list(const Texts& texts) {
    std::string out = "[";
    for (const auto& text : texts) {
        if (out.size() > 1) out += ',';
        write_json_string(std::string_view{text}, out);
    }
    return out + "]";
}

}   // namespace skiff::codec
