// Certificates and requests for them: any bytes, in PEM or to be put into it, and what is read of
// them. OpenSSL reads the DER; the names and times in it are ours to take out.
#include "base/fuzz.h"
#include "base/text.h"
#include "net/tls.h"

namespace skiff::net {
namespace {

std::string pem(std::string_view label, std::string_view input) {
    if (input.starts_with("-----")) return std::string{input};
    const auto text = base64(input);
    std::string out = concat("-----BEGIN ", label, "-----\n");
    for (size_t at = 0; at < text.size(); at += 64) append(out, text.substr(at, 64), "\n");
    return out += concat("-----END ", label, "-----\n");
}

void try_certificate(std::string_view input) {
    const auto parsed = parse_certificate(pem("CERTIFICATE", input));
    if (!parsed) return;
    ASSERT(parsed->fingerprint.size() == 64);
    (void)rfc3339(parsed->not_before), (void)rfc3339(parsed->not_after);
}

void try_csr(std::string_view input) {
    const auto parsed = parse_csr(pem("CERTIFICATE REQUEST", input));
    if (parsed) ASSERT(!parsed->public_key_der.empty());
}

const fuzz::Target x509{"x509", [](std::string_view input) {
                            try_certificate(input);
                            try_csr(input);
                        }};

}   // namespace
}   // namespace skiff::net
