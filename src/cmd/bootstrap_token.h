// The token by which a node gets its first certificate: "id.secret" with an end, in a file of the
// server's that only root reads. It can ask for one certificate, once, within ten minutes; after
// that it can only look at what it asked for.
#pragma once

#include <optional>
#include <string>

#include "apiserver/authn.h"
#include "base/random.h"
#include "cmd/cluster.h"

namespace skiff::cmd {

struct BootstrapToken {
    std::string token;
    WallTime expires;
    bool used = false;
};
Result<std::string> make_bootstrap_token(const Cluster& cluster, Clock& clock, Random& random);
std::optional<BootstrapToken> load_bootstrap_token(const Cluster& cluster);
Result<> use_bootstrap_token(const Cluster& cluster);   // a certificate was signed

// Reads the file each time a token of this form is presented: a later `up` may have made another.
apiserver::TokenAuthenticator bootstrap_authenticator(const Cluster& cluster, Clock& clock);

}   // namespace skiff::cmd
