// What must hold of any bytes that claim to be an object: they are refused, or understood so that
// they can be written and read again, defaulted and judged. For the fuzz entry and its test.
#pragma once

#include <string_view>

#include "api/normalize.h"

namespace skiff::api {

// "" or what did not hold. `understood`: the bytes were an object.
inline std::string_view fuzz_protobuf(const Kind& kind, std::string_view bytes, bool& understood) {
    Arena arena;
    auto object = decode_protobuf(*kind.message, bytes, arena);
    NormalizeReport report;
    understood = object && normalize(*kind.message, *object, arena, report);
    if (!understood) return "";
    if (!report.unknown_fields.empty())
        return "decoding made a field that the schema does not know";
    std::string written;
    if (!encode_protobuf(*kind.message, *object, written)) return "what was read cannot be written";
    auto again = decode_protobuf(*kind.message, written, arena);
    if (!again || !normalize(*kind.message, *again, arena, report))
        return "what was written cannot be read";
    if (!(*again == *object)) return "what was written reads differently";
    apply_defaults(kind, *object, arena);
    const Json old = object->deep_copy(arena);
    static_cast<void>(validate(kind, *object, nullptr));
    static_cast<void>(validate(kind, *object, &old));
    if (!to_stored(kind, *object, nullptr, arena)) return "it does not become the stored version";
    return from_stored(kind, *object, arena) ? "" : "it does not come back from the stored version";
}

}   // namespace skiff::api
