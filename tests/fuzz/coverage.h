#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace skiff::fuzz {

inline constexpr size_t edges_max = 1u << 16;
extern std::array<uint8_t, edges_max> edges;   // how often each was passed since begin_input()
extern std::vector<uint32_t> passed;           // which of them are not 0
extern std::vector<std::string> words;         // what inputs were compared with

struct InputMemory {
    size_t peak = 0;    // above what was there before
    int64_t kept = 0;   // and is still
};
void watch_allocations();
void begin_input();
InputMemory end_input();

}   // namespace skiff::fuzz
