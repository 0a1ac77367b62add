// Brings a JSON tree into the form its schema gives: known fields only, right types, no nulls.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "api/schema.h"
#include "codec/json.h"

namespace skiff::api {

using codec::Arena;
using codec::Json;

struct NormalizeReport {
    std::vector<std::string> unknown_fields;   // paths: spec.containers[0].imagee
};
// Gives the tree the form that Go's decoding and encoding would: unknown fields (reported), nulls
// and plain fields that are zero or empty go; plain messages and `always` scalars that are absent
// come; numbers, times and quantities become canonical. Field order is kept.
// BadRequest on a wrong type, worded as Kubernetes does: `json: cannot unmarshal string into Go
// struct field PodSpec.spec.containers of type []v1.Container`.
Result<> normalize(const Message& message, Json& value, Arena& arena, NormalizeReport& report);

// Fills what is absent and has a default (the version's own differences first), then come the
// kind's own functions: those of a stored kind only, for to_stored defaults what it made once more.
// The object was normalised.
void apply_defaults(const Kind& kind, Json& object, Arena& arena);

// All that is wrong, as field causes in Kubernetes' words (FieldValueRequired, FieldValueInvalid,
// FieldValueNotSupported, FieldValueForbidden …); `old` is the stored object on an update.
// Metadata, table rules, then the kind's functions, each cause once. `status` is not looked at:
// clients do not set it, and upstream hardly checks what controllers write.
//
// What the tables' rules mean: `required` is for what Go can tell from its absence (a text, a list
// or a map that is empty, a pointer or a time that is absent), and for a port of 0; `format` is for
// texts, for each element of a list and for the keys of a map.
// `subresource` is what is written, "" the object itself: of a status the kind's own check counts.
std::vector<Cause> validate(const Kind& kind, const Json& object, const Json* old,
                            std::string_view subresource = {});
// Invalid as apimachinery words it: `Pod "x" is invalid: spec.containers: Required value`.
Error invalid_error(const Kind& kind, std::string_view name, std::vector<Cause> causes);

// Kubernetes' protobuf: the message without the k8s\0 envelope. A decoded tree, as any that
// comes from a client, is yet to be normalised. Encoding leaves out zeros.
Result<Json> decode_protobuf(const Message& message, std::string_view bytes, Arena& arena);
Result<> encode_protobuf(const Message& message, const Json& value, std::string& out);

// Between a served version and the stored one. `existing` (stored form, may be null) keeps what
// the served version cannot say. Sets apiVersion and kind (in front when they were not there), also
// when the two are the same kind.
Result<> to_stored(const Kind& served, Json& object, const Json* existing, Arena& arena);
Result<> from_stored(const Kind& served, Json& object, Arena& arena);

}   // namespace skiff::api
