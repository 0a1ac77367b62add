#include <gtest/gtest.h>

#include "base/text.h"
#include "net/tls.h"

namespace skiff::net {
namespace {

const WallTime noon{std::chrono::sys_days{std::chrono::January / 2 / 2026} + 12h};

struct Authority {
    KeyPair ca = make_ca("skiff-ca", noon, noon + 24h).value();
};

TEST(NetCertificates, an_issued_certificate_says_what_was_asked_for) {
    const Authority authority;
    const CertificateRequest subject{.common_name = "system:node:one",
                                     .organizations = {"system:nodes", "a,DNS:evil"},
                                     .dns_names = {"one", "one,DNS:evil"},
                                     .addresses = {"10.0.0.1", "fd00::1"}};
    const auto pair = issue(authority.ca, subject,
                            {.server_auth = true, .not_before = noon, .not_after = noon + 1h});
    ASSERT_TRUE(pair) << pair.error().message;
    const auto parsed = parse_certificate(pair->certificate_pem).value();
    EXPECT_EQ(parsed.common_name, subject.common_name);
    EXPECT_EQ(parsed.organizations, subject.organizations);
    EXPECT_EQ(parsed.dns_names, subject.dns_names);   // a comma makes no second name
    EXPECT_EQ(parsed.addresses, subject.addresses);
    EXPECT_EQ(parsed.not_before, noon);
    EXPECT_EQ(parsed.not_after, noon + 1h);
    EXPECT_EQ(parsed.serial.size(), 32u);
    EXPECT_EQ(parsed.fingerprint.size(), 64u);
    EXPECT_TRUE(make_server_tls(pair->certificate_pem, pair->key_pem, {}));
    const auto other = issue(authority.ca, subject, {.not_before = noon, .not_after = noon + 1h});
    EXPECT_NE(parse_certificate(other->certificate_pem)->serial, parsed.serial);
}

TEST(NetCertificates, a_bad_address_is_named) {
    const auto made = issue(Authority{}.ca, {.common_name = "x", .addresses = {"10.0.0.300"}},
                            {.not_before = noon, .not_after = noon + 1h});
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().reason, Reason::Invalid);
    EXPECT_NE(made.error().message.find("'10.0.0.300'"), std::string::npos);
}

TEST(NetCertificates, a_request_is_made_read_and_signed) {
    const Authority authority;
    const auto key = make_key_pem().value();
    const CertificateRequest subject{.common_name = "system:node:two",
                                     .organizations = {"system:nodes"},
                                     .dns_names = {"two"},
                                     .addresses = {"10.0.0.2"}};
    const auto csr = make_csr(key, subject).value();
    const auto parsed = parse_csr(csr);
    ASSERT_TRUE(parsed) << parsed.error().message;
    EXPECT_EQ(parsed->subject.common_name, subject.common_name);
    EXPECT_EQ(parsed->subject.organizations, subject.organizations);
    EXPECT_EQ(parsed->subject.dns_names, subject.dns_names);
    EXPECT_EQ(parsed->subject.addresses, subject.addresses);
    EXPECT_FALSE(parsed->public_key_der.empty());
    const auto certificate = sign_csr(
        authority.ca, csr, {.client_auth = true, .not_before = noon, .not_after = noon + 1h});
    ASSERT_TRUE(certificate) << certificate.error().message;
    EXPECT_EQ(parse_certificate(*certificate)->common_name, subject.common_name);
    EXPECT_TRUE(make_client_tls(authority.ca.certificate_pem, *certificate, key));
}

TEST(NetCertificates, a_request_that_was_changed_is_refused) {
    const auto key = make_key_pem().value();
    const auto csr = make_csr(key, {.common_name = "honest"}).value();
    const std::string begin = "-----BEGIN CERTIFICATE REQUEST-----\n";
    const auto end = csr.find("-----END");
    std::string body;
    for (const char c : csr.substr(begin.size(), end - begin.size()))
        if (c != '\n') body += c;
    auto der = base64_decoded(body).value();
    der.replace(der.find("honest"), 6, "crooks");
    const auto changed = begin + base64(der) + "\n-----END CERTIFICATE REQUEST-----\n";
    for (const auto& bad : {changed, std::string{"nonsense"}, std::string{}}) {
        const auto parsed = parse_csr(bad);
        ASSERT_FALSE(parsed);
        EXPECT_EQ(parsed.error().reason, Reason::Invalid);
        EXPECT_FALSE(sign_csr(Authority{}.ca, bad, {.not_before = noon, .not_after = noon + 1h}));
    }
}

TEST(NetCertificates, es256_signatures_verify_with_key_and_certificate_and_nothing_else) {
    const Authority authority;
    const auto pair =
        issue(authority.ca, {.common_name = "signer"}, {.not_before = noon, .not_after = noon + 1h})
            .value();
    const auto signature = sign_es256(pair.key_pem, "message").value();
    EXPECT_EQ(signature.size(), 64u);
    EXPECT_TRUE(verify_es256(pair.key_pem, "message", signature).value());
    EXPECT_TRUE(verify_es256(pair.certificate_pem, "message", signature).value());
    EXPECT_FALSE(verify_es256(pair.key_pem, "massage", signature).value());
    EXPECT_FALSE(verify_es256(authority.ca.key_pem, "message", signature).value());
    EXPECT_FALSE(verify_es256(pair.key_pem, "message", signature.substr(1)).value());
    EXPECT_FALSE(verify_es256(pair.key_pem, "message", std::string(64, '\0')).value());
    EXPECT_FALSE(verify_es256("nonsense", "message", signature));
}

TEST(NetCertificates, sha256_is_sha256) {
    EXPECT_EQ(hex(sha256("abc")),
              "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

}   // namespace
}   // namespace skiff::net
