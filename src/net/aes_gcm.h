// AES-256-GCM: what is sealed can be read by nobody without the key, and not be moved to another
// place (`context`) or changed unseen.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace skiff::net {

inline constexpr size_t aes_key_bytes = 32;
inline constexpr size_t gcm_nonce_bytes = 12;

// Nonce, ciphertext, tag. A nonce must never be used twice under one key.
Result<std::string> aes_gcm_seal(std::string_view key, std::string_view nonce,
                                 std::string_view text, std::string_view context);
// Invalid when key, context or any byte is not what it was.
Result<std::string> aes_gcm_open(std::string_view key, std::string_view sealed,
                                 std::string_view context);

}   // namespace skiff::net
