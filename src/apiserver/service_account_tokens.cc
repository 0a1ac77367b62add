#include "apiserver/service_account_tokens.h"

#include "base/text.h"
#include "codec/json.h"
#include "net/tls.h"

namespace skiff::apiserver {
namespace {

constexpr size_t token_bytes_max = 16u << 10;
constexpr size_t verified_tokens_max = 4096;   // about 1 KiB each
constexpr std::string_view header = R"({"alg":"ES256","typ":"JWT"})";

int64_t unix_seconds(WallTime time) {
    return std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
}

std::string claims_of(const TokenSubject& subject, const std::vector<std::string>& audiences,
                      std::string_view issuer, int64_t now, std::chrono::seconds life,
                      std::string_view id) {
    std::string out = R"({"aud":[)";
    for (size_t i = 0; i < audiences.size(); ++i) {
        if (i) out += ',';
        codec::write_json_string(audiences[i], out);
    }
    append(out, R"(],"exp":)", now + life.count(), R"(,"iat":)", now, R"(,"iss":)");
    codec::write_json_string(issuer, out);
    append(out, R"(,"jti":")", id, R"(","kubernetes.io":{"namespace":")", subject.name_space, '"');
    if (!subject.pod.empty())
        append(out, R"(,"pod":{"name":")", subject.pod, R"(","uid":")", subject.pod_uid, R"("})");
    append(out, R"(,"serviceaccount":{"name":")", subject.account, R"(","uid":")",
           subject.account_uid, R"("}},"nbf":)", now, R"(,"sub":"system:serviceaccount:)",
           subject.name_space, ':', subject.account, R"("})");
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
    if (!subject.pod.empty()) {
        user.extra["authentication.kubernetes.io/pod-name"] = {subject.pod};
        user.extra["authentication.kubernetes.io/pod-uid"] = {subject.pod_uid};
    }
    return user;
}

}   // namespace

Result<std::string> ServiceAccountTokens::issue(const TokenSubject& subject,
                                                const std::vector<std::string>& audiences,
                                                std::chrono::seconds life,
                                                const std::string& id) const {
    const auto claims = claims_of(subject, audiences.empty() ? std::vector{issuer_} : audiences,
                                  issuer_, unix_seconds(clock_.now()), life, id);
    const auto signed_part = concat(base64url(header), ".", base64url(claims));
    TRY(const auto signature, net::sign_es256(key_pem_, signed_part));
    return concat(signed_part, ".", base64url(signature));
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
    if (!claims || !head || claims->root.text_at({"iss"}) != issuer_) return std::nullopt;

    if (head->root.text_at({"alg"}) != "ES256")
        return std::unexpected{bad("its algorithm is not ES256")};
    const auto right = net::verify_es256(
        key_pem_, token.substr(0, parts[0].size() + 1 + parts[1].size()), *signature);
    if (!right || !*right) return std::unexpected{bad("its signature is wrong")};
    const auto text = [&](std::initializer_list<std::string_view> path) {
        return std::string{claims->root.text_at(path)};
    };
    Verified verified{.subject = {.name_space = text({"kubernetes.io", "namespace"}),
                                  .account = text({"kubernetes.io", "serviceaccount", "name"}),
                                  .account_uid = text({"kubernetes.io", "serviceaccount", "uid"}),
                                  .pod = text({"kubernetes.io", "pod", "name"}),
                                  .pod_uid = text({"kubernetes.io", "pod", "uid"})},
                      .audiences = {},
                      .id = text({"jti"}),
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
    if (exists_ && !exists_(verified->subject))
        return std::unexpected{bad("what it is bound to is gone")};
    return user_of(verified->subject, verified->id);
}

}   // namespace skiff::apiserver
