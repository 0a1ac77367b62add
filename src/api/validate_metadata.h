// What must hold of every object's metadata (apimachinery, api/validation).
#pragma once

#include "api/field_errors.h"
#include "api/schema.h"

namespace skiff::api {

void validate_metadata(const Kind& kind, const codec::Json& object, const codec::Json* old,
                       Causes& causes);

}   // namespace skiff::api
