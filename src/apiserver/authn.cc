#include "apiserver/authn.h"

#include "base/text.h"
#include "net/tls.h"

namespace skiff::apiserver {
namespace {

Error unauthorized() { return {.reason = Reason::Unauthorized, .message = "Unauthorized"}; }

// Takes the same time wherever the first difference is.
bool equal_in_constant_time(std::string_view left, std::string_view right) {
    if (left.size() != right.size()) return false;
    unsigned char difference = 0;
    for (size_t i = 0; i < left.size(); ++i)
        difference = static_cast<unsigned char>(difference | (left[i] ^ right[i]));
    return difference == 0;
}

}   // namespace

User anonymous_user() {
    return {
        .name = "system:anonymous", .uid = {}, .groups = {"system:unauthenticated"}, .extra = {}};
}

void add_authenticated_group(User& user) {
    if (!user.anonymous() && !user.in_group("system:authenticated"))
        user.groups.emplace_back("system:authenticated");
}

namespace {

constexpr std::string_view node_prefix = "system:node:";

Error unauthorized(std::string why) {
    return {.reason = Reason::Unauthorized, .message = std::move(why)};
}

Result<User> user_of(const net::Peer::Certificate& certificate) {
    User user{.name = certificate.common_name,
              .uid = {},
              .groups = certificate.organizations,
              .extra = {}};
    if (user.in_group("system:nodes") && !names_node(user))
        return std::unexpected{unauthorized(
            concat("client certificate: one of system:nodes must be named system:node:NAME, not \"",
                   user.name, "\""))};
    add_authenticated_group(user);
    user.extra["authentication.kubernetes.io/credential-id"] = {
        concat("X509SHA256=", hex(net::sha256(certificate.der)))};
    return user;
}

}   // namespace

bool names_node(const User& user) {
    return user.name.starts_with(node_prefix) && user.name.size() > node_prefix.size();
}

// A good certificate first, then the token (upstream's order); what was wrong with a certificate
// counts when no token says who it is.
Result<User> Authenticator::identify(const net::Request& request) const {
    if (request.peer && request.peer->certificate) return user_of(*request.peer->certificate);
    if (const auto header = request.headers.find("authorization")) {
        const auto [scheme, token] = cut(*header, ' ');
        if (!iequals(scheme, "bearer") || !token) return std::unexpected{unauthorized()};
        for (const auto& authenticator : tokens_) {
            auto user = authenticator(trim(*token));
            if (!user) continue;
            if (!*user) return std::unexpected{unauthorized()};
            add_authenticated_group(**user);
            return std::move(**user);
        }
        return std::unexpected{unauthorized()};
    }
    if (request.peer && !request.peer->certificate_problem.empty())
        return std::unexpected{
            unauthorized(concat("client certificate: ", request.peer->certificate_problem))};
    return anonymous_user();
}

namespace {

// A service account without groups has those that every token of it names.
void add_account_groups(User& user) {
    const auto parts = split(user.name, ':');
    const bool account = parts.size() == 4 && parts[0] == "system" && parts[1] == "serviceaccount";
    if (account && user.groups.empty())
        user.groups = {"system:serviceaccounts", concat("system:serviceaccounts:", parts[2])};
}

}   // namespace

Result<std::optional<User>> impersonated(const net::Request& request) {
    User user;
    for (const auto& [name, value] : request.headers) {
        if (name == "impersonate-user")
            user.name = value;
        else if (name == "impersonate-uid")
            user.uid = value;
        else if (name == "impersonate-group")
            user.groups.push_back(value);
        else if (name.starts_with("impersonate-extra-"))
            user.extra[net::percent_decoded(name.substr(18))].push_back(value);
    }
    if (user.name.empty()) {
        if (user.groups.empty() && user.extra.empty() && user.uid.empty()) return std::nullopt;
        return fail(Reason::BadRequest, "requested groups or extras without impersonating a user");
    }
    if (user.name == "system:anonymous") {
        if (user.groups.empty()) user.groups.emplace_back("system:unauthenticated");
    } else {
        add_account_groups(user);
        add_authenticated_group(user);
    }
    return user;
}

TokenAuthenticator static_tokens(std::vector<StaticToken> tokens, Clock& clock) {
    return [tokens = std::move(tokens),
            &clock](std::string_view token) -> std::optional<Result<User>> {
        const StaticToken* found = nullptr;
        for (const auto& known : tokens)
            if (equal_in_constant_time(known.token, token)) found = &known;
        if (!found) return std::nullopt;
        if (found->expires && clock.now() >= *found->expires)
            return std::unexpected{unauthorized()};
        return found->user;
    };
}

}   // namespace skiff::apiserver
