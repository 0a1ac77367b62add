// Certificates, requests and signatures over P-256: what Skiff's own authority needs, no more.
#include <array>
#include <ctime>

#include <arpa/inet.h>
#include <openssl/ecdsa.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

#include "base/text.h"
#include "net/openssl.h"
#include "net/tls.h"

namespace skiff::net {
namespace {

constexpr int es256_half_bytes = 32;

using ExtensionPtr = std::unique_ptr<X509_EXTENSION, OpensslFree<X509_EXTENSION_free>>;
using NamesPtr = std::unique_ptr<GENERAL_NAMES, OpensslFree<GENERAL_NAMES_free>>;
using SignaturePtr = std::unique_ptr<ECDSA_SIG, OpensslFree<ECDSA_SIG_free>>;
struct FreeExtensions {
    void operator()(STACK_OF(X509_EXTENSION) * list) const {
        sk_X509_EXTENSION_pop_free(list, X509_EXTENSION_free);
    }
};
using ExtensionsPtr = std::unique_ptr<STACK_OF(X509_EXTENSION), FreeExtensions>;

std::string text_of(BIO* bio) {
    char* data = nullptr;
    const long size = BIO_get_mem_data(bio, &data);
    return {data, static_cast<size_t>(size)};
}

template <class Write>
Result<std::string> pem_text(std::string_view what, Write write) {
    const BioPtr bio{BIO_new(BIO_s_mem())};
    if (!bio || write(bio.get()) != 1) return fail_openssl(concat("write ", what));
    return text_of(bio.get());
}

Result<std::string> certificate_text(X509* certificate) {
    return pem_text("certificate", [&](BIO* bio) { return PEM_write_bio_X509(bio, certificate); });
}

Result<KeyPtr> new_key() {
    KeyPtr key{EVP_EC_gen("P-256")};
    if (!key) return fail_openssl("make a key");
    return key;
}

Result<std::string> key_text(EVP_PKEY* key) {
    return pem_text("key", [&](BIO* bio) {
        return PEM_write_bio_PrivateKey(bio, key, nullptr, nullptr, 0, nullptr, nullptr);
    });
}

std::vector<std::string> entries_of(const X509_NAME* name, int nid) {
    std::vector<std::string> found;
    for (int at = X509_NAME_get_index_by_NID(name, nid, -1); at >= 0;
         at = X509_NAME_get_index_by_NID(name, nid, at)) {
        const auto* value = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at));
        unsigned char* utf8 = nullptr;
        const int size = ASN1_STRING_to_UTF8(&utf8, value);
        if (size < 0) continue;
        found.emplace_back(reinterpret_cast<char*>(utf8), static_cast<size_t>(size));
        OPENSSL_free(utf8);
    }
    return found;
}

Result<NamePtr> name_from(const CertificateRequest& subject) {
    NamePtr name{X509_NAME_new()};
    const auto add = [&](const char* field, const std::string& value) {
        return X509_NAME_add_entry_by_txt(name.get(), field, MBSTRING_UTF8,
                                          reinterpret_cast<const unsigned char*>(value.data()),
                                          static_cast<int>(value.size()), -1, 0) == 1;
    };
    for (const auto& organization : subject.organizations)
        if (!add("O", organization)) return fail_openssl("subject O", Reason::Invalid);
    if (!add("CN", subject.common_name)) return fail_openssl("subject CN", Reason::Invalid);
    return name;
}

// Built by hand: OpenSSL's text form would let a comma in a name add further names.
Result<NamesPtr> alternative_names(const CertificateRequest& subject) {
    NamesPtr names{GENERAL_NAMES_new()};
    const auto add = [&](int type, ASN1_STRING* value) {
        GENERAL_NAME* entry = GENERAL_NAME_new();
        GENERAL_NAME_set0_value(entry, type, value);
        sk_GENERAL_NAME_push(names.get(), entry);
    };
    for (const auto& dns : subject.dns_names) {
        ASN1_IA5STRING* value = ASN1_IA5STRING_new();
        ASN1_STRING_set(value, dns.data(), static_cast<int>(dns.size()));
        add(GEN_DNS, value);
    }
    for (const auto& address : subject.addresses) {
        ASN1_OCTET_STRING* value = a2i_IPADDRESS(address.c_str());
        if (!value) return fail(Reason::Invalid, concat("'", address, "' must be an IP address"));
        add(GEN_IPADD, value);
    }
    return names;
}

void read_alternative_names(const GENERAL_NAMES* names, std::vector<std::string>& dns_names,
                            std::vector<std::string>& addresses) {
    for (int i = 0; i < sk_GENERAL_NAME_num(names); ++i) {
        const auto* entry = sk_GENERAL_NAME_value(names, i);
        int type = 0;
        const auto* value = static_cast<const ASN1_STRING*>(GENERAL_NAME_get0_value(entry, &type));
        const auto* data = ASN1_STRING_get0_data(value);
        const auto size = static_cast<size_t>(ASN1_STRING_length(value));
        if (type == GEN_DNS) dns_names.emplace_back(reinterpret_cast<const char*>(data), size);
        if (type == GEN_IPADD && (size == 4 || size == 16)) {
            char text[INET6_ADDRSTRLEN];
            ::inet_ntop(size == 4 ? AF_INET : AF_INET6, data, text, sizeof text);
            addresses.emplace_back(text);
        }
    }
}

bool set_time(ASN1_TIME* field, WallTime time) {
    const auto seconds = std::chrono::floor<std::chrono::seconds>(time).time_since_epoch().count();
    return ASN1_TIME_set(field, static_cast<time_t>(seconds)) != nullptr;
}

WallTime time_of(const ASN1_TIME* field) {
    std::tm parts{};
    if (ASN1_TIME_to_tm(field, &parts) != 1) return {};
    return WallTime{std::chrono::seconds{::timegm(&parts)}};
}

bool add_extension(X509* certificate, X509* issuer, int nid, const char* value) {
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
    const ExtensionPtr extension{X509V3_EXT_conf_nid(nullptr, &context, nid, value)};
    return extension && X509_add_ext(certificate, extension.get(), -1) == 1;
}

bool add_profile(X509* certificate, X509* issuer, const CertificateProfile& profile) {
    const char* uses = profile.server_auth && profile.client_auth ? "serverAuth,clientAuth"
                       : profile.server_auth                      ? "serverAuth"
                       : profile.client_auth                      ? "clientAuth"
                                                                  : nullptr;
    return add_extension(certificate, issuer, NID_basic_constraints,
                         profile.ca ? "critical,CA:TRUE" : "critical,CA:FALSE") &&
           add_extension(certificate, issuer, NID_key_usage,
                         profile.ca ? "critical,digitalSignature,keyCertSign,cRLSign"
                                    : "critical,digitalSignature") &&
           (!uses || add_extension(certificate, issuer, NID_ext_key_usage, uses)) &&
           add_extension(certificate, issuer, NID_subject_key_identifier, "hash") &&
           add_extension(certificate, issuer, NID_authority_key_identifier, "keyid");
}

bool set_random_serial(X509* certificate) {
    std::array<unsigned char, 16> bytes{};
    if (RAND_bytes(bytes.data(), bytes.size()) != 1) return false;
    bytes[0] = static_cast<unsigned char>((bytes[0] & 0x7f) | 0x40);   // positive, of full length
    const BigPtr number{BN_bin2bn(bytes.data(), bytes.size(), nullptr)};
    return number && BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate));
}

struct Issuer {
    X509* certificate = nullptr;   // null: the new certificate signs itself
    EVP_PKEY* key = nullptr;
};

Result<X509Ptr> build_certificate(const CertificateRequest& subject, EVP_PKEY* public_key,
                                  const Issuer& issuer, const CertificateProfile& profile) {
    X509Ptr made{X509_new()};
    TRY(const auto name, name_from(subject));
    TRY(const auto names, alternative_names(subject));
    X509* signer = issuer.certificate ? issuer.certificate : made.get();
    const bool built =
        X509_set_version(made.get(), X509_VERSION_3) == 1 && set_random_serial(made.get()) &&
        X509_set_subject_name(made.get(), name.get()) == 1 &&
        X509_set_issuer_name(made.get(), X509_get_subject_name(signer)) == 1 &&
        set_time(X509_getm_notBefore(made.get()), profile.not_before) &&
        set_time(X509_getm_notAfter(made.get()), profile.not_after) &&
        X509_set_pubkey(made.get(), public_key) == 1 && add_profile(made.get(), signer, profile) &&
        (sk_GENERAL_NAME_num(names.get()) == 0 ||
         X509_add1_ext_i2d(made.get(), NID_subject_alt_name, names.get(), 0, 0) == 1) &&
        X509_sign(made.get(), issuer.key, EVP_sha256()) > 0;
    if (!built) return fail_openssl("make a certificate");
    return made;
}

struct Authority {
    X509Ptr certificate;
    KeyPtr key;
    Issuer issuer() const { return {certificate.get(), key.get()}; }
};

Result<Authority> authority_from(const KeyPair& ca) {
    TRY(auto certificate, certificate_from_pem(ca.certificate_pem));
    TRY(auto key, private_key_from_pem(ca.key_pem));
    return Authority{std::move(certificate), std::move(key)};
}

struct CheckedCsr {
    ReqPtr request;
    CertificateRequest subject;
};

Result<CheckedCsr> check_csr(const std::string& csr_pem) {
    ERR_clear_error();
    const auto bio = memory_bio(csr_pem);
    ReqPtr request{PEM_read_bio_X509_REQ(bio.get(), nullptr, nullptr, nullptr)};
    if (!request) return fail_openssl("certificate request", Reason::Invalid);
    EVP_PKEY* key = X509_REQ_get0_pubkey(request.get());
    if (!key || X509_REQ_verify(request.get(), key) != 1)
        return fail_openssl("certificate request: signature", Reason::Invalid);
    CertificateRequest subject;
    const auto* name = X509_REQ_get_subject_name(request.get());
    subject.common_name = common_name_of(name);
    subject.organizations = organizations_of(name);
    const ExtensionsPtr extensions{X509_REQ_get_extensions(request.get())};
    const NamesPtr names{static_cast<GENERAL_NAMES*>(
        X509V3_get_d2i(extensions.get(), NID_subject_alt_name, nullptr, nullptr))};
    if (names) read_alternative_names(names.get(), subject.dns_names, subject.addresses);
    return CheckedCsr{std::move(request), std::move(subject)};
}

// A certificate's, a public or a private key's: whatever the PEM holds.
Result<KeyPtr> public_key_from_pem(const std::string& pem) {
    if (pem.find("BEGIN CERTIFICATE") != std::string::npos) {
        TRY(const auto certificate, certificate_from_pem(pem));
        KeyPtr key{X509_get_pubkey(certificate.get())};
        if (!key) return fail_openssl("certificate's key", Reason::Invalid);
        return key;
    }
    if (pem.find("PRIVATE KEY") != std::string::npos) return private_key_from_pem(pem);
    ERR_clear_error();
    const auto bio = memory_bio(pem);
    KeyPtr key{PEM_read_bio_PUBKEY(bio.get(), nullptr, nullptr, nullptr)};
    if (!key) return fail_openssl("public key", Reason::Invalid);
    return key;
}

}   // namespace

Result<X509Ptr> certificate_from_pem(std::string_view pem) {
    ERR_clear_error();
    const auto bio = memory_bio(pem);
    X509Ptr certificate{PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)};
    if (!certificate) return fail_openssl("certificate", Reason::Invalid);
    return certificate;
}

Result<KeyPtr> private_key_from_pem(std::string_view pem) {
    ERR_clear_error();
    const auto bio = memory_bio(pem);
    KeyPtr key{PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, nullptr)};
    if (!key) return fail_openssl("private key", Reason::Invalid);
    return key;
}

std::vector<X509Ptr> certificates_from_pem(std::string_view pem) {
    std::vector<X509Ptr> found;
    const auto bio = memory_bio(pem);
    while (X509* certificate = PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr))
        found.emplace_back(certificate);
    ERR_clear_error();   // the last read ends with "no start line"
    return found;
}

std::string common_name_of(const X509_NAME* name) {
    auto found = entries_of(name, NID_commonName);
    return found.empty() ? std::string{} : std::move(found.back());
}

std::vector<std::string> organizations_of(const X509_NAME* name) {
    return entries_of(name, NID_organizationName);
}

std::string der_of(const X509* certificate) {
    unsigned char* bytes = nullptr;
    const int size = i2d_X509(certificate, &bytes);
    std::string der{reinterpret_cast<char*>(bytes), static_cast<size_t>(std::max(size, 0))};
    OPENSSL_free(bytes);
    return der;
}

Result<std::string> make_key_pem() {
    TRY(const auto key, new_key());
    return key_text(key.get());
}

Result<KeyPair> make_ca(const std::string& common_name, WallTime not_before, WallTime not_after) {
    TRY(const auto key, new_key());
    const CertificateProfile profile{.ca = true, .not_before = not_before, .not_after = not_after};
    TRY(const auto certificate,
        build_certificate({.common_name = common_name}, key.get(), {.key = key.get()}, profile));
    TRY(auto certificate_pem, certificate_text(certificate.get()));
    TRY(auto key_pem, key_text(key.get()));
    return KeyPair{std::move(certificate_pem), std::move(key_pem)};
}

Result<KeyPair> issue(const KeyPair& ca, const CertificateRequest& subject,
                      const CertificateProfile& profile) {
    TRY(const auto authority, authority_from(ca));
    TRY(const auto key, new_key());
    TRY(const auto certificate, build_certificate(subject, key.get(), authority.issuer(), profile));
    TRY(auto certificate_pem, certificate_text(certificate.get()));
    TRY(auto key_pem, key_text(key.get()));
    return KeyPair{std::move(certificate_pem), std::move(key_pem)};
}

Result<std::string> make_csr(const std::string& key_pem, const CertificateRequest& subject) {
    TRY(const auto key, private_key_from_pem(key_pem));
    TRY(const auto name, name_from(subject));
    TRY(const auto names, alternative_names(subject));
    const ReqPtr request{X509_REQ_new()};
    STACK_OF(X509_EXTENSION)* extensions = nullptr;
    if (sk_GENERAL_NAME_num(names.get()) > 0)
        X509V3_add1_i2d(&extensions, NID_subject_alt_name, names.get(), 0, 0);
    const ExtensionsPtr owned{extensions};
    const bool built = X509_REQ_set_version(request.get(), X509_REQ_VERSION_1) == 1 &&
                       X509_REQ_set_subject_name(request.get(), name.get()) == 1 &&
                       X509_REQ_set_pubkey(request.get(), key.get()) == 1 &&
                       (!owned || X509_REQ_add_extensions(request.get(), owned.get()) == 1) &&
                       X509_REQ_sign(request.get(), key.get(), EVP_sha256()) > 0;
    if (!built) return fail_openssl("make a certificate request");
    return pem_text("certificate request",
                    [&](BIO* bio) { return PEM_write_bio_X509_REQ(bio, request.get()); });
}

Result<ParsedCsr> parse_csr(const std::string& csr_pem) {
    TRY(auto checked, check_csr(csr_pem));
    unsigned char* bytes = nullptr;
    const int size = i2d_PUBKEY(X509_REQ_get0_pubkey(checked.request.get()), &bytes);
    if (size <= 0) return fail_openssl("certificate request: key", Reason::Invalid);
    ParsedCsr parsed{std::move(checked.subject),
                     std::string{reinterpret_cast<char*>(bytes), static_cast<size_t>(size)}};
    OPENSSL_free(bytes);
    return parsed;
}

Result<std::string> sign_csr(const KeyPair& ca, const std::string& csr_pem,
                             const CertificateProfile& profile) {
    TRY(const auto authority, authority_from(ca));
    TRY(const auto checked, check_csr(csr_pem));
    TRY(const auto certificate,
        build_certificate(checked.subject, X509_REQ_get0_pubkey(checked.request.get()),
                          authority.issuer(), profile));
    return certificate_text(certificate.get());
}

Result<ParsedCertificate> parse_certificate(const std::string& certificate_pem) {
    TRY(const auto certificate, certificate_from_pem(certificate_pem));
    ParsedCertificate parsed;
    const auto* subject = X509_get_subject_name(certificate.get());
    parsed.common_name = common_name_of(subject);
    parsed.organizations = organizations_of(subject);
    const NamesPtr names{static_cast<GENERAL_NAMES*>(
        X509_get_ext_d2i(certificate.get(), NID_subject_alt_name, nullptr, nullptr))};
    if (names) read_alternative_names(names.get(), parsed.dns_names, parsed.addresses);
    parsed.not_before = time_of(X509_get0_notBefore(certificate.get()));
    parsed.not_after = time_of(X509_get0_notAfter(certificate.get()));
    const auto* serial = X509_get0_serialNumber(certificate.get());
    parsed.serial = hex({reinterpret_cast<const char*>(ASN1_STRING_get0_data(serial)),
                         static_cast<size_t>(ASN1_STRING_length(serial))});
    parsed.fingerprint = hex(sha256(der_of(certificate.get())));
    return parsed;
}

Result<std::string> sign_es256(const std::string& key_pem, std::string_view message) {
    TRY(const auto key, private_key_from_pem(key_pem));
    const DigestCtxPtr context{EVP_MD_CTX_new()};
    const auto* input = reinterpret_cast<const unsigned char*>(message.data());
    std::array<unsigned char, 128> der{};
    size_t size = der.size();
    if (EVP_DigestSignInit(context.get(), nullptr, EVP_sha256(), nullptr, key.get()) != 1 ||
        EVP_DigestSign(context.get(), der.data(), &size, input, message.size()) != 1)
        return fail_openssl("sign");
    const unsigned char* at = der.data();
    const SignaturePtr signature{d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(size))};
    if (!signature) return fail(Reason::Invalid, "sign: the key must be a P-256 key");
    std::string raw(2 * es256_half_bytes, '\0');
    auto* out = reinterpret_cast<unsigned char*>(raw.data());
    if (BN_bn2binpad(ECDSA_SIG_get0_r(signature.get()), out, es256_half_bytes) < 0 ||
        BN_bn2binpad(ECDSA_SIG_get0_s(signature.get()), out + es256_half_bytes, es256_half_bytes) <
            0)
        return fail(Reason::Invalid, "sign: the key must be a P-256 key");
    return raw;
}

Result<bool> verify_es256(const std::string& key_or_certificate_pem, std::string_view message,
                          std::string_view signature) {
    TRY(const auto key, public_key_from_pem(key_or_certificate_pem));
    if (EVP_PKEY_get_base_id(key.get()) != EVP_PKEY_EC || EVP_PKEY_get_bits(key.get()) != 256)
        return fail(Reason::Invalid, "verify: the key must be a P-256 key");
    if (signature.size() != 2 * es256_half_bytes) return false;
    const auto* raw = reinterpret_cast<const unsigned char*>(signature.data());
    const SignaturePtr parts{ECDSA_SIG_new()};
    ECDSA_SIG_set0(parts.get(), BN_bin2bn(raw, es256_half_bytes, nullptr),
                   BN_bin2bn(raw + es256_half_bytes, es256_half_bytes, nullptr));
    unsigned char* der = nullptr;
    const int size = i2d_ECDSA_SIG(parts.get(), &der);
    if (size <= 0) return fail_openssl("verify");
    const DigestCtxPtr context{EVP_MD_CTX_new()};
    const auto* input = reinterpret_cast<const unsigned char*>(message.data());
    const bool right =
        EVP_DigestVerifyInit(context.get(), nullptr, EVP_sha256(), nullptr, key.get()) == 1 &&
        EVP_DigestVerify(context.get(), der, static_cast<size_t>(size), input, message.size()) == 1;
    OPENSSL_free(der);
    ERR_clear_error();
    return right;
}

std::string sha256(std::string_view bytes) {
    std::string digest(SHA256_DIGEST_LENGTH, '\0');
    SHA256(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(),
           reinterpret_cast<unsigned char*>(digest.data()));
    return digest;
}

}   // namespace skiff::net
