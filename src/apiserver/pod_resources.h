// What a pod asks for as a whole: the sum of its containers and sidecars, or more where an init
// container needs more while it runs (KEP-753).
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "api/quantity.h"
#include "codec/json.h"

namespace skiff::apiserver {

using ResourceAmounts = std::map<std::string, api::Quantity, std::less<>>;

// A list of a schema's map[string]Quantity; null gives none.
ResourceAmounts amounts_in(const codec::Json* list);
void add_amounts(ResourceAmounts& into, const ResourceAmounts& more);
// `list`: "requests" or "limits". What the pod itself says of a resource counts before its
// containers; overhead is not counted.
ResourceAmounts pod_amounts(const codec::Json& spec, std::string_view list);

}   // namespace skiff::apiserver
