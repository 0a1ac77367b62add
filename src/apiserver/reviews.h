// Kinds that are asked and not stored: access reviews, token reviews, who am I, token requests.
#pragma once

#include "apiserver/authn.h"
#include "apiserver/authz.h"
#include "apiserver/registry.h"
#include "apiserver/service_account_tokens.h"

namespace skiff::apiserver {

struct ReviewParts {
    Registry& registry;
    const Authorizer& authorizer;
    const ServiceAccountTokens& tokens;
    const Authenticator& authenticator;
};

// True when the call asked one of these; it is answered then.
bool serve_review(const CallPtr& call, const ReviewParts& parts);

}   // namespace skiff::apiserver
