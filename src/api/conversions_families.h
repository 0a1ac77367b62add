// The conversions' arrays, one a file conversions_<family>.cc; conversions.cc looks through them.
#pragma once

#include <span>

#include "api/conversions.h"

namespace skiff::api {

struct NamedConversion {
    std::string_view name;
    Conversion conversion;
};

std::span<const NamedConversion> autoscaling_conversions();
std::span<const NamedConversion> networking_conversions();
std::span<const NamedConversion> workload_conversions();

}   // namespace skiff::api
