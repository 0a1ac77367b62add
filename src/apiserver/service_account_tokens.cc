#include "apiserver/service_account_tokens.h"

#include <limits>

#include "base/text.h"
#include "codec/json_text.h"
#include "net/jwk.h"
#include "net/tls.h"

namespace skiff::apiserver {
namespace {

constexpr size_t token_bytes_max = 16u << 10;
constexpr size_t verified_tokens_max = 4096;   // about 1 KiB each
constexpr std::string_view secret_issuer = "kubernetes/serviceaccount";
constexpr std::string_view secret_claims = "kubernetes.io/serviceaccount/";

int64_t unix_seconds(WallTime time) {
    return std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
}

void append_bound(std::string& out, std::string_view kind, const TokenSubject::Bound& bound) {
    if (bound.name.empty()) return;
    append(out, R"(,")", kind, R"(":{"name":")", bound.name, R"(","uid":")", bound.uid, R"("})");
}

std::string claims_of(const TokenSubject& subject, const std::vector<std::string>& audiences,
                      std::string_view issuer, int64_t now, std::chrono::seconds life,
                      std::string_view id) {
    auto out = concat(R"({"aud":)", codec::quoted_list(audiences), R"(,"exp":)", now + life.count(),
                      R"(,"iat":)", now, R"(,"iss":)", codec::quoted(issuer));
    append(out, R"(,"jti":")", id, R"(","kubernetes.io":{"namespace":")", subject.name_space, '"');
    append_bound(out, "node", subject.node);
    append_bound(out, "pod", subject.pod);
    append_bound(out, "secret", subject.secret);
    append_bound(out, "serviceaccount", {subject.account, subject.account_uid});
    append(out, R"(},"nbf":)", now, R"(,"sub":"system:serviceaccount:)", subject.name_space, ':',
           subject.account, R"("})");
    return out;
}

std::string claims_in_secret(const TokenSubject& subject) {
    std::string out = concat(R"({"iss":")", secret_issuer, '"');
    for (const auto& [claim, value] : {std::pair{"namespace", &subject.name_space},
                                       std::pair{"secret.name", &subject.secret.name},
                                       std::pair{"service-account.name", &subject.account},
                                       std::pair{"service-account.uid", &subject.account_uid}})
        append(out, R"(,")", secret_claims, claim, R"(":")", *value, '"');
    append(out, R"(,"sub":"system:serviceaccount:)", subject.name_space, ':', subject.account,
           R"("})");
    return out;
}

Error bad(std::string_view why) {
    return {.reason = Reason::Unauthorized, .message = concat("token: ", why)};
}

bool shares_audience(const std::vector<std::string>& audiences,
                     const std::vector<std::string>& wanted) {
    return std::ranges::any_of(audiences, [&](const auto& audience) {
        return std::ranges::find(wanted, audience) != wanted.end();
    });
}

int64_t number_of(const codec::Json& claims, std::string_view key) {
    const auto* value = claims.find(key);
    return value && value->is_integer() ? value->as_int() : 0;
}

User user_of(const TokenSubject& subject, std::string_view token_id) {
    User user{
        .name = concat("system:serviceaccount:", subject.name_space, ':', subject.account),
        .uid = subject.account_uid,
        .groups = {"system:serviceaccounts", concat("system:serviceaccounts:", subject.name_space)},
        .extra = {}};
    if (!token_id.empty())
        user.extra["authentication.kubernetes.io/credential-id"] = {concat("JTI=", token_id)};
    for (const auto& [kind, bound] :
         {std::pair{"pod", &subject.pod}, std::pair{"node", &subject.node}}) {
        if (bound->name.empty()) continue;
        user.extra[concat("authentication.kubernetes.io/", kind, "-name")] = {bound->name};
        if (!bound->uid.empty())
            user.extra[concat("authentication.kubernetes.io/", kind, "-uid")] = {bound->uid};
    }
    return user;
}

TokenSubject subject_in(const codec::Json& claims) {
    const auto text = [&](std::initializer_list<std::string_view> path) {
        return std::string{claims.text_at(path)};
    };
    const auto bound = [&](std::string_view kind) {
        return TokenSubject::Bound{.name = text({"kubernetes.io", kind, "name"}),
                                   .uid = text({"kubernetes.io", kind, "uid"})};
    };
    const auto account = bound("serviceaccount");
    return {.name_space = text({"kubernetes.io", "namespace"}),
            .account = account.name,
            .account_uid = account.uid,
            .pod = bound("pod"),
            .secret = bound("secret"),
            .node = bound("node"),
            .in_secret = false};
}

TokenSubject secret_subject_in(const codec::Json& claims) {
    const auto text = [&](std::string_view claim) {
        return std::string{claims.text_at({concat(secret_claims, claim)})};
    };
    return {.name_space = text("namespace"),
            .account = text("service-account.name"),
            .account_uid = text("service-account.uid"),
            .pod = {},
            .secret = {.name = text("secret.name"), .uid = {}},
            .node = {},
            .in_secret = true};
}

}   // namespace

ServiceAccountTokens::ServiceAccountTokens(std::string key_pem, std::string issuer, Clock& clock)
    : key_pem_{std::move(key_pem)}, issuer_{std::move(issuer)}, clock_{clock} {
    const auto key = net::ec_public_key(key_pem_);
    const auto id = key ? base64url(net::sha256(key->der)) : std::string{};
    header_ = concat(R"({"alg":"ES256","kid":")", id, R"(","typ":"JWT"})");
    key_set_ = R"({"keys":[)";
    if (key)
        append(key_set_, R"({"use":"sig","kty":"EC","kid":")", id,
               R"(","crv":"P-256","alg":"ES256","x":")", base64url(key->x), R"(","y":")",
               base64url(key->y), R"("})");
    key_set_ += "]}";
}

Result<std::string> ServiceAccountTokens::signed_token(std::string_view claims) const {
    const auto signed_part = concat(base64url(header_), ".", base64url(claims));
    TRY(const auto signature, net::sign_es256(key_pem_, signed_part));
    return concat(signed_part, ".", base64url(signature));
}

Result<std::string> ServiceAccountTokens::issue(const TokenSubject& subject,
                                                const std::vector<std::string>& audiences,
                                                std::chrono::seconds life,
                                                const std::string& id) const {
    return signed_token(claims_of(subject, audiences.empty() ? std::vector{issuer_} : audiences,
                                  issuer_, unix_seconds(clock_.now()), life, id));
}

Result<std::string> ServiceAccountTokens::issue_for_secret(const TokenSubject& subject) const {
    return signed_token(claims_in_secret(subject));
}

std::optional<Result<ServiceAccountTokens::Verified>> ServiceAccountTokens::verify(
    std::string_view token) const {
    const auto parts = split(token, '.');
    if (parts.size() != 3) return std::nullopt;
    const auto claims_json = base64url_decoded(parts[1]);
    const auto head_json = base64url_decoded(parts[0]);
    const auto signature = base64url_decoded(parts[2]);
    if (!claims_json || !head_json || !signature) return std::nullopt;
    const auto claims = codec::parse_json(*claims_json);
    const auto head = codec::parse_json(*head_json);
    if (!claims || !head) return std::nullopt;
    const bool in_secret = claims->root.text_at({"iss"}) == secret_issuer;
    if (!in_secret && claims->root.text_at({"iss"}) != issuer_) return std::nullopt;

    if (head->root.text_at({"alg"}) != "ES256")
        return std::unexpected{bad("its algorithm is not ES256")};
    const auto right = net::verify_es256(
        key_pem_, token.substr(0, parts[0].size() + 1 + parts[1].size()), *signature);
    if (!right || !*right) return std::unexpected{bad("its signature is wrong")};
    if (in_secret)
        return Verified{.subject = secret_subject_in(claims->root),
                        .audiences = {issuer_},
                        .id = {},
                        .expires = std::numeric_limits<int64_t>::max()};
    Verified verified{.subject = subject_in(claims->root),
                      .audiences = {},
                      .id = std::string{claims->root.text_at({"jti"})},
                      .expires = number_of(claims->root, "exp"),
                      .not_before = number_of(claims->root, "nbf")};
    if (const auto* audiences = claims->root.find("aud"))
        for (const auto& audience : audiences->items())
            verified.audiences.emplace_back(audience.text());
    return verified;
}

void ServiceAccountTokens::remember(std::string hash, Verified verified) const {
    const auto now = unix_seconds(clock_.now());
    verified_.use([&](auto& known) {
        if (known.size() >= verified_tokens_max)
            std::erase_if(known, [&](const auto& entry) { return entry.second.expires <= now; });
        if (known.size() >= verified_tokens_max) known.erase(known.begin());   // hashes: any one
        known.insert_or_assign(std::move(hash), std::move(verified));
    });
}

std::vector<std::string> ServiceAccountTokens::audiences_of(std::string_view token) const {
    return verified_.use([hash = net::sha256(token)](const auto& known) {
        const auto found = known.find(hash);
        return found == known.end() ? std::vector<std::string>{} : found->second.audiences;
    });
}

std::optional<Result<User>> ServiceAccountTokens::authenticate(
    std::string_view token, const std::vector<std::string>& audiences) const {
    if (token.size() > token_bytes_max) return std::nullopt;
    auto hash = net::sha256(token);
    auto verified = verified_.use([&](const auto& known) -> std::optional<Verified> {
        const auto found = known.find(hash);
        if (found == known.end()) return std::nullopt;
        return found->second;
    });
    if (!verified) {
        auto fresh = verify(token);
        if (!fresh) return std::nullopt;
        if (!*fresh) return std::unexpected{std::move(*fresh).error()};
        verified = std::move(**fresh);
        remember(std::move(hash), *verified);
    }
    const auto now = unix_seconds(clock_.now());
    if (verified->expires <= now) return std::unexpected{bad("it has expired")};
    if (verified->not_before > now + 10) return std::unexpected{bad("it is not valid yet")};
    if (!shares_audience(verified->audiences, audiences.empty() ? std::vector{issuer_} : audiences))
        return std::unexpected{bad("it is meant for another audience")};
    if (exists_ && !exists_(verified->subject, token))
        return std::unexpected{bad("what it is bound to is gone")};
    return user_of(verified->subject, verified->id);
}

}   // namespace skiff::apiserver
