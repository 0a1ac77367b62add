// What the instrumented code calls (-fsanitize-coverage=trace-pc,trace-cmp): edges are counted, and
// what is compared with constants is kept for the mutator to try.
#include "coverage.h"

#include <cstring>

// In libasan; g++ comes without the header.
extern "C" int __sanitizer_install_malloc_and_free_hooks(void (*on_malloc)(const volatile void*,
                                                                           size_t),
                                                         void (*on_free)(const volatile void*));
extern "C" size_t __sanitizer_get_allocated_size(const volatile void* pointer);

namespace skiff::fuzz {

std::array<uint8_t, edges_max> edges;
std::vector<uint32_t> passed;
std::vector<std::string> words;

namespace {

constexpr size_t words_max = 512;
constexpr size_t word_bytes_max = 40;
uintptr_t last_place;
size_t next_word;
std::array<uint32_t, 4096> noted;   // hashes of what was
bool noting;
bool counting;

// Bounded and unordered: a new word takes an old one's place.
void note_word(const char* bytes, size_t size) {
    if (noting || !counting || size == 0 || size > word_bytes_max) return;
    uint64_t hash = size;
    for (size_t i = 0; i < size; ++i)
        hash = (hash ^ static_cast<unsigned char>(bytes[i])) * 0x100000001b3;
    auto& known = noted[(hash >> 32) % noted.size()];
    if (known == static_cast<uint32_t>(hash)) return;
    known = static_cast<uint32_t>(hash);
    noting = true;   // what it allocates compares, too
    const std::string_view word{bytes, size};
    if (words.size() < words_max) {
        words.emplace_back(word);
    } else {
        words[next_word++ % words_max] = word;
    }
    noting = false;
}

// Constants of up to 8 bytes, in the order in which texts and in which networks have them. Most
// are small numbers: one byte is then enough.
void note_constant(uint64_t value, size_t size) {
    char bytes[8];
    if (value < 0x100) size = 1;
    std::memcpy(bytes, &value, sizeof bytes);
    note_word(bytes, size);
    if (size == 1) return;
    char reversed[8];
    for (size_t i = 0; i < size; ++i) reversed[i] = bytes[size - 1 - i];
    note_word(reversed, size);
}

size_t live;
size_t peak;
size_t live_at_start;

// The words' own memory is no input's.
void on_malloc(const volatile void*, size_t size) {
    if (noting) return;
    live += size;
    if (live > peak) peak = live;
}
void on_free(const volatile void* pointer) {
    if (pointer && !noting) live -= __sanitizer_get_allocated_size(pointer);
}

}   // namespace

void watch_allocations() {
    passed.reserve(edges_max);   // so that it never allocates
    __sanitizer_install_malloc_and_free_hooks(on_malloc, on_free);
}

void begin_input() {
    for (const auto edge : passed) edges[edge] = 0;
    passed.clear();
    last_place = 0;
    counting = true;
    live_at_start = peak = live;
}
InputMemory end_input() {
    counting = false;
    return {.peak = peak - live_at_start,
            .kept = static_cast<int64_t>(live) - static_cast<int64_t>(live_at_start)};
}

}   // namespace skiff::fuzz

using skiff::fuzz::edges;

extern "C" {

extern const char __executable_start;   // the linker's

void __sanitizer_cov_trace_pc() {
    if (!skiff::fuzz::counting) return;
    // Wherever the program was loaded, the same seed gives the same run.
    const auto here = (reinterpret_cast<uintptr_t>(__builtin_return_address(0)) -
                       reinterpret_cast<uintptr_t>(&__executable_start)) *
                          0x9e3779b1u >>
                      8;
    const auto edge = static_cast<uint32_t>((here ^ skiff::fuzz::last_place) % edges.size());
    if (edges[edge] == 0) skiff::fuzz::passed.push_back(edge);
    if (edges[edge] < 255) ++edges[edge];
    skiff::fuzz::last_place = here >> 1;
}

void __sanitizer_cov_trace_cmp1(uint8_t, uint8_t) {}
void __sanitizer_cov_trace_cmp2(uint16_t, uint16_t) {}
void __sanitizer_cov_trace_cmp4(uint32_t, uint32_t) {}
void __sanitizer_cov_trace_cmp8(uint64_t, uint64_t) {}
void __sanitizer_cov_trace_cmpf(float, float) {}
void __sanitizer_cov_trace_cmpd(double, double) {}
void __sanitizer_cov_trace_const_cmp1(uint8_t constant, uint8_t) {
    skiff::fuzz::note_constant(constant, 1);
}
void __sanitizer_cov_trace_const_cmp2(uint16_t constant, uint16_t) {
    skiff::fuzz::note_constant(constant, 2);
}
void __sanitizer_cov_trace_const_cmp4(uint32_t constant, uint32_t) {
    skiff::fuzz::note_constant(constant, 4);
}
void __sanitizer_cov_trace_const_cmp8(uint64_t constant, uint64_t) {
    skiff::fuzz::note_constant(constant, 8);
}
void __sanitizer_cov_trace_switch(uint64_t, uint64_t* cases) {
    for (uint64_t i = 0; i < cases[0] && i < 64; ++i)
        skiff::fuzz::note_constant(cases[2 + i], cases[1] / 8);
}
void __sanitizer_weak_hook_memcmp(void*, const void* left, const void* right, size_t size, int) {
    skiff::fuzz::note_word(static_cast<const char*>(left), size);
    skiff::fuzz::note_word(static_cast<const char*>(right), size);
}

}   // extern "C"
