#include "net/aes_gcm.h"

#include <gtest/gtest.h>

namespace skiff::net {
namespace {

TEST(AesGcm, what_is_sealed_opens_with_the_same_key_in_the_same_place_only) {
    const std::string key(32, 'k'), other(32, 'o'), nonce(12, 'n');
    for (const std::string text : {"", "a", "a secret that is longer than one block of sixteen"}) {
        const auto sealed = aes_gcm_seal(key, nonce, text, "/registry/secrets/a/b");
        ASSERT_TRUE(sealed);
        EXPECT_EQ(aes_gcm_open(key, *sealed, "/registry/secrets/a/b").value(), text);
        EXPECT_FALSE(aes_gcm_open(other, *sealed, "/registry/secrets/a/b"));
        EXPECT_FALSE(aes_gcm_open(key, *sealed, "/registry/secrets/a/c"));
        for (size_t i = 0; i < sealed->size(); i += 5) {
            auto changed = *sealed;
            changed[i] = static_cast<char>(changed[i] ^ 1);
            EXPECT_FALSE(aes_gcm_open(key, changed, "/registry/secrets/a/b")) << i;
        }
    }
    EXPECT_FALSE(aes_gcm_open(key, "short", ""));
    EXPECT_FALSE(aes_gcm_seal("short", nonce, "a", ""));
}

}   // namespace
}   // namespace skiff::net
