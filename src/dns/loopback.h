// The address of the cluster's DNS on this machine: one more of `lo`.
#pragma once

#include <cstdint>

#include "base/result.h"

namespace skiff::dns {

Result<> add_to_loopback(uint32_t address);            // there already: as good
Result<bool> remove_from_loopback(uint32_t address);   // false: it was not there

}   // namespace skiff::dns
