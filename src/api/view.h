// Typed views: structs that declare the fields they read of an object. The generator makes the
// structs and their tables from *.view files; this is the one decoder and the one encoder.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "codec/json.h"

namespace skiff::api {

// A view type V has: `static const ViewTable& table();` and, at the top level,
// `static constexpr std::string_view group, version, resource, kind;`.
struct ViewTable;

Result<> decode_view(const ViewTable& table, std::string_view json, void* out);
Result<> decode_view(const ViewTable& table, const codec::Json& value, void* out);
codec::Json encode_view(const ViewTable& table, const void* view, codec::Arena& arena);

template <class V>
Result<V> decode(std::string_view json) {
    V view{};
    if (auto done = decode_view(V::table(), json, &view); !done)
        return std::unexpected{std::move(done).error()};
    return view;
}
template <class V>
codec::Json encode(const V& view, codec::Arena& arena) {
    return encode_view(V::table(), &view, arena);
}

}   // namespace skiff::api
