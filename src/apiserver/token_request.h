// TokenRequest (the subresource `token` of service accounts): what a token may be bound to, and
// whether that still lives.
#pragma once

#include "apiserver/registry.h"
#include "apiserver/service_account_tokens.h"

namespace skiff::apiserver {

// Fills the request's status, or says why not.
Result<> issue_token(const Call& call, const Registry& registry, const ServiceAccountTokens& tokens,
                     Document& request);

// Account, pod, secret and node are there and are the same ones; what stands in a Secret stands
// there still.
bool token_subject_lives(const Registry& registry, const TokenSubject& subject,
                         std::string_view token);

}   // namespace skiff::apiserver
