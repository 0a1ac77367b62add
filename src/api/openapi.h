// OpenAPI documents made on demand from the schema; nothing is held in memory.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "api/schema.h"

namespace skiff::api {

struct GroupVersion {
    std::string_view group;
    std::string_view version;
};
// {"paths":{"api/v1":{"serverRelativeURL":"/openapi/v3/api/v1?hash=…"},…}}
std::string openapi_v3_index(std::span<const Kind* const> kinds);
std::string openapi_v3(std::span<const Kind* const> kinds,
                       GroupVersion gv);                               // "" if there is none
std::string openapi_v2(std::span<const Kind* const> kinds);            // swagger 2.0 JSON
std::string openapi_v2_protobuf(std::span<const Kind* const> kinds);   // gnostic's Document

}   // namespace skiff::api
