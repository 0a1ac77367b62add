// Which worlds are lived: --seed N, or SKIFF_SIM_SEEDS of them, or as many as a test finds usual.
#pragma once

#include <cstdint>
#include <vector>

namespace skiff::sim {

std::vector<uint64_t> seeds_to_run(int usual);

}   // namespace skiff::sim
