// The only door to chance. Production's is the kernel's, the simulated world's is seeded.
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace skiff {

class Random {
  public:
    virtual ~Random() = default;
    virtual void fill(std::span<unsigned char> bytes) = 0;

    uint64_t number();                // any of 2^64
    uint64_t below(uint64_t bound);   // [0, bound), bound > 0, without bias
    double fraction();                // [0, 1)
    std::string uuid();               // RFC 9562 version 4
    // Kubernetes' safe alphabet for generated names (no vowels, nothing that looks alike).
    std::string name_suffix(size_t length = 5);
    std::string hex(size_t bytes);
};

Random& os_random();   // getrandom(2); only cmd/ and tests name it

}   // namespace skiff
