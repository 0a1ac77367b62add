// Where two trees differ, for messages that say which change was refused.
#pragma once

#include <string>
#include <string_view>

#include "codec/json.h"

namespace skiff::api {

// "  spec.nodeName: \"a\" -> \"b\"\n" a line each; at most lines_max, then "  ...\n".
std::string changes_between(const codec::Json& before, const codec::Json& after,
                            std::string_view root, size_t lines_max = 16);

}   // namespace skiff::api
