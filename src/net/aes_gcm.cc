#include "net/aes_gcm.h"

#include "net/openssl.h"

namespace skiff::net {
namespace {

constexpr size_t tag_bytes = 16;

using CipherPtr = std::unique_ptr<EVP_CIPHER_CTX, OpensslFree<EVP_CIPHER_CTX_free>>;

const unsigned char* bytes_of(std::string_view text) {
    return reinterpret_cast<const unsigned char*>(text.data());
}
unsigned char* bytes_of(std::string& text) { return reinterpret_cast<unsigned char*>(text.data()); }

Result<> check_key(std::string_view key) {
    if (key.size() == aes_key_bytes) return {};
    return fail(Reason::Invalid, "an AES-256 key must have 32 bytes");
}

}   // namespace

Result<std::string> aes_gcm_seal(std::string_view key, std::string_view nonce,
                                 std::string_view text, std::string_view context) {
    TRY_OK(check_key(key));
    ASSERT(nonce.size() == gcm_nonce_bytes);
    const CipherPtr cipher{EVP_CIPHER_CTX_new()};
    std::string out{nonce};
    out.resize(gcm_nonce_bytes + text.size() + tag_bytes);
    int size = 0, rest = 0;
    auto* body = bytes_of(out) + gcm_nonce_bytes;
    const bool done =
        EVP_EncryptInit_ex(cipher.get(), EVP_aes_256_gcm(), nullptr, bytes_of(key),
                           bytes_of(nonce)) == 1 &&
        EVP_EncryptUpdate(cipher.get(), nullptr, &size, bytes_of(context),
                          static_cast<int>(context.size())) == 1 &&
        EVP_EncryptUpdate(cipher.get(), body, &size, bytes_of(text),
                          static_cast<int>(text.size())) == 1 &&
        EVP_EncryptFinal_ex(cipher.get(), body + size, &rest) == 1 &&
        EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_GET_TAG, tag_bytes, body + text.size()) == 1;
    if (!done) return fail_openssl("encrypt");
    return out;
}

Result<std::string> aes_gcm_open(std::string_view key, std::string_view sealed,
                                 std::string_view context) {
    TRY_OK(check_key(key));
    if (sealed.size() < gcm_nonce_bytes + tag_bytes)
        return fail(Reason::Invalid, "decrypt: there is too little of it");
    const CipherPtr cipher{EVP_CIPHER_CTX_new()};
    const auto body = sealed.substr(gcm_nonce_bytes, sealed.size() - gcm_nonce_bytes - tag_bytes);
    std::string tag{sealed.substr(sealed.size() - tag_bytes)};
    std::string out(body.size() + 1, '\0');   // never a null pointer
    int size = 0, rest = 0;
    const bool done =
        EVP_DecryptInit_ex(cipher.get(), EVP_aes_256_gcm(), nullptr, bytes_of(key),
                           bytes_of(sealed)) == 1 &&
        EVP_DecryptUpdate(cipher.get(), nullptr, &size, bytes_of(context),
                          static_cast<int>(context.size())) == 1 &&
        EVP_DecryptUpdate(cipher.get(), bytes_of(out), &size, bytes_of(body),
                          static_cast<int>(body.size())) == 1 &&
        EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_SET_TAG, tag_bytes, tag.data()) == 1 &&
        EVP_DecryptFinal_ex(cipher.get(), bytes_of(out) + size, &rest) == 1;
    ERR_clear_error();
    if (!done) return fail(Reason::Invalid, "decrypt: another key, or it was changed");
    out.resize(body.size());
    return out;
}

}   // namespace skiff::net
