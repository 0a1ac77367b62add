// Views of texts, for tests.
#pragma once

#include <string_view>

#include <gtest/gtest.h>

#include "api/view.h"

namespace skiff::api {

// A text that is no such view fails the test and gives an empty one.
template <class V>
V of(std::string_view json) {
    auto view = decode<V>(json);
    EXPECT_TRUE(view) << json;
    return view ? *view : V{};
}

}   // namespace skiff::api
