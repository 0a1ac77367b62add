// TLS contexts, and the certificates Skiff makes for itself (OpenSSL; P-256 keys).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"

namespace skiff::net {

// A context may be given new certificates while it is in use; connections made later use them.
class TlsContext {
  public:
    virtual ~TlsContext() = default;
    virtual Result<> use(const std::string& certificate_pem, const std::string& key_pem) = 0;
    virtual Result<> trust(const std::string& ca_pem) = 0;   // replaces the trusted roots
    virtual std::shared_ptr<void> native() = 0;   // today's SSL_CTX*, for net/ only; any thread
};

// For servers: client certificates are asked for, never demanded. One that does not verify against
// the trusted roots does not fail the handshake: it leaves Peer::certificate null and its reason
// in Peer::certificate_problem, so that the user gets a 401 that says why.
Result<std::shared_ptr<TlsContext>> make_server_tls(const std::string& certificate_pem,
                                                    const std::string& key_pem,
                                                    const std::string& client_ca_pem);
// For clients. Empty certificate and key: none is presented. Empty roots: the machine's own.
Result<std::shared_ptr<TlsContext>> make_client_tls(const std::string& ca_pem,
                                                    const std::string& certificate_pem = {},
                                                    const std::string& key_pem = {});
// For HTTPS probes only, which by Kubernetes' rule do not look at the certificate.
Result<std::shared_ptr<TlsContext>> make_unverified_client_tls();

struct CertificateRequest {
    std::string common_name;
    std::vector<std::string> organizations;
    std::vector<std::string> dns_names;
    std::vector<std::string> addresses;   // IP SANs
};
struct CertificateProfile {
    bool server_auth = false;
    bool client_auth = false;
    bool ca = false;
    WallTime not_before;
    WallTime not_after;
};
struct KeyPair {
    std::string certificate_pem;
    std::string key_pem;
};
Result<std::string> make_key_pem();   // P-256, PKCS#8
Result<KeyPair> make_ca(const std::string& common_name, WallTime not_before, WallTime not_after);
Result<KeyPair> issue(const KeyPair& ca, const CertificateRequest& subject,
                      const CertificateProfile& profile);
// PEM CERTIFICATE REQUEST, and back; a bad signature or PEM is Invalid.
Result<std::string> make_csr(const std::string& key_pem, const CertificateRequest& subject);
struct ParsedCsr {
    CertificateRequest subject;
    std::string public_key_der;
};
Result<ParsedCsr> parse_csr(const std::string& csr_pem);
Result<std::string> sign_csr(const KeyPair& ca, const std::string& csr_pem,
                             const CertificateProfile& profile);   // the certificate's PEM
struct ParsedCertificate {
    std::string common_name;
    std::vector<std::string> organizations;
    std::vector<std::string> dns_names;
    std::vector<std::string> addresses;
    WallTime not_before;
    WallTime not_after;
    std::string serial;        // lower-case hex
    std::string fingerprint;   // SHA-256 of the DER, lower-case hex
};
Result<ParsedCertificate> parse_certificate(const std::string& certificate_pem);

// RS256/ES256 JSON Web Signatures for service-account tokens.
Result<std::string> sign_es256(const std::string& key_pem, std::string_view message);   // r||s
Result<bool> verify_es256(const std::string& key_or_certificate_pem, std::string_view message,
                          std::string_view signature);
std::string sha256(std::string_view bytes);   // 32 raw bytes

}   // namespace skiff::net
