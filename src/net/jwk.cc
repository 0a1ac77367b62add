#include "net/jwk.h"

#include <openssl/core_names.h>

#include "net/openssl.h"

namespace skiff::net {
namespace {

constexpr int coordinate_bytes = 32;

Result<std::string> coordinate(const EVP_PKEY* key, const char* name) {
    BIGNUM* raw = nullptr;
    if (EVP_PKEY_get_bn_param(key, name, &raw) != 1) return fail_openssl("read a public key");
    const BigPtr number{raw};
    std::string bytes(coordinate_bytes, '\0');
    if (BN_bn2binpad(number.get(), reinterpret_cast<unsigned char*>(bytes.data()),
                     coordinate_bytes) < 0)
        return fail(Reason::Invalid, "the key must be a P-256 key");
    return bytes;
}

}   // namespace

Result<EcPublicKey> ec_public_key(const std::string& private_key_pem) {
    TRY(const auto key, private_key_from_pem(private_key_pem));
    if (EVP_PKEY_get_base_id(key.get()) != EVP_PKEY_EC || EVP_PKEY_get_bits(key.get()) != 256)
        return fail(Reason::Invalid, "the key must be a P-256 key");
    EcPublicKey found;
    TRY(found.x, coordinate(key.get(), OSSL_PKEY_PARAM_EC_PUB_X));
    TRY(found.y, coordinate(key.get(), OSSL_PKEY_PARAM_EC_PUB_Y));
    unsigned char* der = nullptr;
    const int size = i2d_PUBKEY(key.get(), &der);
    if (size <= 0) return fail_openssl("write a public key");
    found.der.assign(reinterpret_cast<const char*>(der), static_cast<size_t>(size));
    OPENSSL_free(der);
    return found;
}

}   // namespace skiff::net
