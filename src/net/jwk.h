// A P-256 public key as JSON Web Key sets tell it (RFC 7517).
#pragma once

#include <string>

#include "base/result.h"

namespace skiff::net {

struct EcPublicKey {
    std::string x, y;   // 32 raw bytes each
    std::string der;    // SubjectPublicKeyInfo
};
Result<EcPublicKey> ec_public_key(const std::string& private_key_pem);

}   // namespace skiff::net
