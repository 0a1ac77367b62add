// Service account tokens: ES256 JSON Web Tokens bound to an account, perhaps a pod (KEP-1205).
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "apiserver/authn.h"
#include "base/guarded.h"
#include "base/time.h"

namespace skiff::apiserver {

struct TokenSubject {
    std::string name_space;
    std::string account;
    std::string account_uid;
    std::string pod;   // "" when bound to no pod
    std::string pod_uid;
};

class ServiceAccountTokens {
  public:
    // `exists` tells whether account and pod (when bound) still are what the token says.
    using Exists = std::function<bool(const TokenSubject& subject)>;
    ServiceAccountTokens(std::string key_pem, std::string issuer, Clock& clock)
        : key_pem_{std::move(key_pem)}, issuer_{std::move(issuer)}, clock_{clock} {}

    void set_exists(Exists exists) { exists_ = std::move(exists); }
    const std::string& issuer() const { return issuer_; }
    Result<std::string> issue(const TokenSubject& subject,
                              const std::vector<std::string>& audiences, std::chrono::seconds life,
                              const std::string& id) const;
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
        int64_t expires = 0;
        int64_t not_before = 0;
    };
    std::optional<Result<Verified>> verify(std::string_view token) const;
    void remember(std::string hash, Verified verified) const;

    mutable Guarded<std::map<std::string, Verified>> verified_;   // by the token's SHA-256; bounded
    std::string key_pem_;
    std::string issuer_;
    Clock& clock_;
    Exists exists_;
};

}   // namespace skiff::apiserver
