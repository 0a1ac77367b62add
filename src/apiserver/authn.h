// Authentication: who sends a request. Client certificates, bearer tokens, impersonation.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "apiserver/user.h"
#include "base/result.h"
#include "base/time.h"
#include "net/http.h"

namespace skiff::apiserver {

// Absent: not a token of mine, ask the next. An error: mine, and no good.
using TokenAuthenticator = std::function<std::optional<Result<User>>(std::string_view token)>;

class Authenticator {
  public:
    void add(TokenAuthenticator tokens) { tokens_.push_back(std::move(tokens)); }
    // Unauthorized for bad credentials; system:anonymous when there are none.
    Result<User> identify(const net::Request& request) const;

  private:
    std::vector<TokenAuthenticator> tokens_;
};

User anonymous_user();
void add_authenticated_group(User& user);
bool names_node(const User& user);   // "system:node:NAME"

// The user that Impersonate-* headers ask for; absent without such headers. BadRequest when
// groups or extras are named without a user.
Result<std::optional<User>> impersonated(const net::Request& request);

// Tokens that are known beforehand, compared in constant time, each with an end.
struct StaticToken {
    std::string token;
    User user;
    std::optional<WallTime> expires;
};
TokenAuthenticator static_tokens(std::vector<StaticToken> tokens, Clock& clock);

}   // namespace skiff::apiserver
