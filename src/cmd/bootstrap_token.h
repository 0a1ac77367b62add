// The token by which a node gets its first certificate: "id.secret" with an end, in a file of the
// server's that only root reads. One use is enough for one node; it ends after ten minutes.
#pragma once

#include <optional>
#include <string>

#include "apiserver/authn.h"
#include "base/random.h"
#include "cmd/cluster.h"

namespace skiff::cmd {

Result<std::string> make_bootstrap_token(const Cluster& cluster, Clock& clock, Random& random);
// The token as the authenticator knows it; absent when there is none or it has ended.
std::optional<apiserver::StaticToken> load_bootstrap_token(const Cluster& cluster);
std::string bootstrap_token_path(const Cluster& cluster);

}   // namespace skiff::cmd
