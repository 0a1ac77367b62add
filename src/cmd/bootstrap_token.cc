#include "cmd/bootstrap_token.h"

#include "base/os.h"
#include "base/text.h"

namespace skiff::cmd {
namespace {

constexpr auto token_life = std::chrono::minutes{10};
constexpr size_t token_length = 6 + 1 + 16;   // Kubernetes' form: id of six, secret of sixteen

std::string path_of(const Cluster& cluster) { return cluster.path("server/bootstrap-token"); }

Result<> save(const Cluster& cluster, const BootstrapToken& token) {
    const auto text =
        concat(token.token, " ", rfc3339(token.expires), token.used ? " used\n" : "\n");
    return write_file_atomic(path_of(cluster), text, 0600);
}

}   // namespace

Result<std::string> make_bootstrap_token(const Cluster& cluster, Clock& clock, Random& random) {
    const BootstrapToken token{.token = concat(random.hex(3), ".", random.hex(8)),
                               .expires = clock.now() + token_life};
    TRY_OK(make_directories(cluster.path("server"), 0700));
    TRY_OK(save(cluster, token));
    return token.token;
}

std::optional<BootstrapToken> load_bootstrap_token(const Cluster& cluster) {
    const auto text = read_file(path_of(cluster));
    if (!text) return std::nullopt;
    const auto words = split(trim(*text), ' ');
    if (words.size() < 2) return std::nullopt;
    const auto expires = parse_rfc3339(words[1]);
    if (!expires) return std::nullopt;
    return BootstrapToken{
        .token = std::string{words[0]}, .expires = *expires, .used = words.size() > 2};
}

Result<> use_bootstrap_token(const Cluster& cluster) {
    auto token = load_bootstrap_token(cluster);
    if (!token || token->used) return {};
    token->used = true;
    return save(cluster, *token);
}

apiserver::TokenAuthenticator bootstrap_authenticator(const Cluster& cluster, Clock& clock) {
    return [cluster, &clock](std::string_view presented) -> std::optional<Result<apiserver::User>> {
        if (presented.size() != token_length || presented[6] != '.') return std::nullopt;
        const auto known = load_bootstrap_token(cluster);
        if (!known) return std::nullopt;
        apiserver::StaticToken token{.token = known->token, .user = {}, .expires = known->expires};
        token.user.name = concat("system:bootstrap:", cut(known->token, '.').first);
        token.user.groups = {known->used ? "system:bootstrappers:used" : "system:bootstrappers"};
        return apiserver::static_tokens({std::move(token)}, clock)(presented);
    };
}

}   // namespace skiff::cmd
