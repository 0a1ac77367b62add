// Service account tokens: ES256 JSON Web Tokens bound to an account, perhaps to a pod, a node or a
// secret (KEP-1205), and those without an end that stand in Secrets of type
// kubernetes.io/service-account-token.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "apiserver/authn.h"
#include "base/guarded.h"
#include "base/time.h"

namespace skiff::apiserver {

inline constexpr std::string_view token_secret_type = "kubernetes.io/service-account-token";

struct TokenSubject {
    struct Bound {   // "" when bound to no such object
        std::string name;
        std::string uid;
        bool operator==(const Bound&) const = default;
    };
    std::string name_space;
    std::string account;
    std::string account_uid;
    Bound pod;
    Bound secret;   // without a uid when the token is the secret's content
    Bound node;     // beside a pod: where that runs, no condition
    bool in_secret = false;
};

class ServiceAccountTokens {
  public:
    // Whether account and what the token is bound to still are what it says.
    using Exists = std::function<bool(const TokenSubject& subject, std::string_view token)>;
    ServiceAccountTokens(std::string key_pem, std::string issuer, Clock& clock);

    void set_exists(Exists exists) { exists_ = std::move(exists); }
    const std::string& issuer() const { return issuer_; }
    const std::string& key_set() const { return key_set_; }   // JWKS, as /openid/v1/jwks has it
    Result<std::string> issue(const TokenSubject& subject,
                              const std::vector<std::string>& audiences, std::chrono::seconds life,
                              const std::string& id) const;
    // What a token Secret holds: good as long as the Secret holds it and the account lives.
    Result<std::string> issue_for_secret(const TokenSubject& subject) const;
    // Absent: no token of this issuer. `audiences`: those accepted, empty for the API server's own.
    std::optional<Result<User>> authenticate(std::string_view token,
                                             const std::vector<std::string>& audiences = {}) const;
    // Those that a token is for which authenticate() has just found good.
    std::vector<std::string> audiences_of(std::string_view token) const;

  private:
    // What a token whose signature was found right says; the times and what it is bound to are
    // looked at every time.
    struct Verified {
        TokenSubject subject;
        std::vector<std::string> audiences;
        std::string id;
        int64_t expires = 0;   // of one in a secret: never
        int64_t not_before = 0;
    };
    Result<std::string> signed_token(std::string_view claims) const;
    std::optional<Result<Verified>> verify(std::string_view token) const;
    void remember(std::string hash, Verified verified) const;

    mutable Guarded<std::map<std::string, Verified>> verified_;   // by the token's SHA-256; bounded
    std::string key_pem_;
    std::string header_;
    std::string key_set_;
    std::string issuer_;
    Clock& clock_;
    Exists exists_;
};

}   // namespace skiff::apiserver
