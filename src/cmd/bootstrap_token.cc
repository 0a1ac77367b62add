#include "cmd/bootstrap_token.h"

#include "base/os.h"
#include "base/text.h"

namespace skiff::cmd {
namespace {

constexpr auto token_life = std::chrono::minutes{10};

}   // namespace

std::string bootstrap_token_path(const Cluster& cluster) { return cluster.path("server/bootstrap-token"); }

// The form is Kubernetes': six characters, a dot, sixteen characters of [a-z0-9].
Result<std::string> make_bootstrap_token(const Cluster& cluster, Clock& clock, Random& random) {
    const auto token = concat(random.hex(3), ".", random.hex(8));
    TRY_OK(make_directories(cluster.path("server"), 0700));
    TRY_OK(write_file_atomic(bootstrap_token_path(cluster), concat(token, " ", rfc3339(clock.now() + token_life), "\n"), 0600));
    return token;
}

std::optional<apiserver::StaticToken> load_bootstrap_token(const Cluster& cluster) {
    const auto text = read_file(bootstrap_token_path(cluster));
    if (!text) return std::nullopt;
    const auto [token, end] = cut(trim(*text), ' ');
    const auto expires = end ? parse_rfc3339(*end) : fail(Reason::Invalid, "no end");
    if (!expires) return std::nullopt;
    apiserver::StaticToken known{.token = std::string{token}, .user = {}, .expires = *expires};
    known.user.name = concat("system:bootstrap:", cut(token, '.').first);
    known.user.groups = {"system:bootstrappers"};
    return known;
}

}   // namespace skiff::cmd
