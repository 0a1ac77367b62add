// meta.k8s.io/v1 Table, what `kubectl get` prints.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "api/schema.h"
#include "base/time.h"
#include "codec/json.h"

namespace skiff::api {

enum class IncludeObject : uint8_t { Metadata, None, Object };

// Objects are in `kind`'s version; the table shares their trees, so they must live as long.
// `api_version`: meta.k8s.io/v1 or v1beta1.
codec::Json make_table(const Kind& kind, std::span<const codec::Json> objects,
                       IncludeObject include, std::string_view api_version,
                       std::string_view resource_version, WallTime now, codec::Arena& arena);
// A table of one row without column definitions, for watch events after the first.
codec::Json make_table_row(const Kind& kind, const codec::Json& object, IncludeObject include,
                           WallTime now, codec::Arena& arena,
                           std::string_view api_version = "meta.k8s.io/v1");
// "5m", "2d3h": as kubectl shows ages (duration.HumanDuration).
std::string human_duration(Duration duration);

// A cell that a template cannot say; registered by the name after '@' in the schema.
using Printer = codec::Json (*)(const codec::Json& object, WallTime now, codec::Arena& arena);
Printer printer_of(std::string_view name);   // null if there is none

}   // namespace skiff::api
