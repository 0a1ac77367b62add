// Owners for OpenSSL's objects and its errors as text. For .cc files of net/ only.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "base/result.h"

namespace skiff::net {

template <auto release>
struct OpensslFree {
    template <class T>
    void operator()(T* object) const {
        release(object);
    }
};
using BioPtr = std::unique_ptr<BIO, OpensslFree<BIO_free_all>>;
using X509Ptr = std::unique_ptr<X509, OpensslFree<X509_free>>;
using ReqPtr = std::unique_ptr<X509_REQ, OpensslFree<X509_REQ_free>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, OpensslFree<EVP_PKEY_free>>;
using KeyCtxPtr = std::unique_ptr<EVP_PKEY_CTX, OpensslFree<EVP_PKEY_CTX_free>>;
using DigestCtxPtr = std::unique_ptr<EVP_MD_CTX, OpensslFree<EVP_MD_CTX_free>>;
using NamePtr = std::unique_ptr<X509_NAME, OpensslFree<X509_NAME_free>>;
using BigPtr = std::unique_ptr<BIGNUM, OpensslFree<BN_free>>;

inline std::string openssl_problem() {
    const auto code = ERR_get_error();
    ERR_clear_error();
    const char* reason = code ? ERR_reason_error_string(code) : nullptr;
    return reason ? reason : "unknown error";
}

inline std::unexpected<Error> fail_openssl(std::string_view doing,
                                           Reason reason = Reason::InternalError) {
    return fail(reason, std::string{doing} + ": " + openssl_problem());
}

inline BioPtr memory_bio(std::string_view content) {
    return BioPtr{BIO_new_mem_buf(content.data(), static_cast<int>(content.size()))};
}

Result<X509Ptr> certificate_from_pem(std::string_view pem);   // the first one
Result<KeyPtr> private_key_from_pem(std::string_view pem);
std::vector<X509Ptr> certificates_from_pem(std::string_view pem);   // all that parse
std::string common_name_of(const X509_NAME* name);
std::vector<std::string> organizations_of(const X509_NAME* name);
std::string der_of(const X509* certificate);
// The slot of an SSL in which a server keeps why the client's certificate failed (X509_V_ERR_*).
int verify_problem_index();

}   // namespace skiff::net
