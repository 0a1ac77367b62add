#include "api/conversions.h"

namespace skiff::api {

// No version needs one yet: a family's functions are named here.
const Conversion* conversion_of(std::string_view) { return nullptr; }

}   // namespace skiff::api
