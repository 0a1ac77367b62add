#include "base/random.h"

#include <cerrno>

#include <sys/random.h>

#include "base/result.h"
#include "base/text.h"

namespace skiff {
namespace {

class OsRandom final : public Random {
  public:
    void fill(std::span<unsigned char> bytes) override {
        while (!bytes.empty()) {
            const ssize_t count = ::getrandom(bytes.data(), bytes.size(), 0);
            // With valid arguments it fails only when a signal comes first (getrandom(2)).
            ASSERT(count >= 0 || errno == EINTR);
            if (count > 0) bytes = bytes.subspan(static_cast<size_t>(count));
        }
    }
};

}   // namespace

uint64_t Random::number() {
    uint64_t value = 0;
    unsigned char bytes[8];
    fill(bytes);
    for (const unsigned char byte : bytes) value = value << 8 | byte;
    return value;
}

uint64_t Random::below(uint64_t bound) {
    ASSERT(bound > 0);
    const uint64_t unfair = (0 - bound) % bound;   // 2^64 mod bound: so many are drawn anew
    for (;;)
        if (const uint64_t value = number(); value >= unfair) return value % bound;
}

double Random::fraction() { return static_cast<double>(number() >> 11) * 0x1p-53; }

std::string Random::uuid() {
    unsigned char bytes[16];
    fill(bytes);
    bytes[6] = static_cast<unsigned char>((bytes[6] & 0x0f) | 0x40);   // version 4
    bytes[8] = static_cast<unsigned char>((bytes[8] & 0x3f) | 0x80);   // variant 10
    std::string text = skiff::hex({reinterpret_cast<const char*>(bytes), sizeof bytes});
    for (const size_t at : {8u, 13u, 18u, 23u}) text.insert(at, 1, '-');
    return text;
}

std::string Random::name_suffix(size_t length) {
    constexpr std::string_view alphabet = "bcdfghjklmnpqrstvwxz2456789";   // apimachinery util/rand
    std::string text(length, ' ');
    for (char& c : text) c = alphabet[below(alphabet.size())];
    return text;
}

std::string Random::hex(size_t bytes) {
    std::string raw(bytes, '\0');
    fill({reinterpret_cast<unsigned char*>(raw.data()), raw.size()});
    return skiff::hex(raw);
}

Random& os_random() {
    static OsRandom random;
    return random;
}

}   // namespace skiff
