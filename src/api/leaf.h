// What single values are in JSON and in Kubernetes' protobuf; the walkers share it.
#pragma once

#include <string_view>

#include "api/schema.h"
#include "base/result.h"
#include "codec/json.h"

namespace skiff::api {

// Go's zero of a plain field that omitempty leaves out: false, 0, "", [] and {}. Times, quantities
// and int-or-strings are structs in Go, which have no such zero.
bool is_omitted_zero(const Field& field, const codec::Json& value);
// Whether Go writes the field when the object does not say it, and as what: a plain message {}, an
// `always` scalar its zero. Null: it is left out.
codec::Json implied_value(const Field& field);

// Checks a scalar and makes it canonical; null is the caller's. The error is the bare text of what
// is wrong ("" for "of another JSON type than Go's").
struct LeafProblem {
    bool wrong_type = false;   // to be worded as `cannot unmarshal X into Go …`
    std::string message;
    explicit operator bool() const { return wrong_type || !message.empty(); }
};
LeafProblem check_leaf(Type type, codec::Json& value, codec::Arena& arena);

std::string_view go_kind(
    const codec::Json& value);   // "string", "number", "bool", "array", "object"
std::string go_type(const Field& field,
                    bool element);   // "[]v1.Container"; an element: "v1.Container"

}   // namespace skiff::api
