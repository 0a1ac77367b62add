#include "api/conversions.h"

#include <array>

#include "api/conversions_families.h"

namespace skiff::api {
namespace {

using Conversions = std::span<const NamedConversion> (*)();

constexpr std::array<Conversions, 3> families{autoscaling_conversions, networking_conversions,
                                              workload_conversions};

}   // namespace

const Conversion* conversion_of(std::string_view name) {
    for (const Conversions family : families)
        for (const NamedConversion& one : family())
            if (one.name == name) return &one.conversion;
    return nullptr;
}

}   // namespace skiff::api
