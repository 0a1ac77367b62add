// The roles and bindings that every cluster has (Kubernetes v1.33's, names and rules): made when
// they are missing, completed when they lack something, unless a user forbade it by the annotation
// rbac.authorization.kubernetes.io/autoupdate: "false".
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "client/client.h"

namespace skiff::apiserver {

struct PolicyOptions {
    // Service accounts of `default` and `kube-system` may read what in-cluster controllers of 2017
    // read without asking, and write the status of ingresses (`skiff up --compat=2017`).
    bool compat_2017 = false;
};

struct PolicyObject {
    std::string resource;   // "clusterroles", "clusterrolebindings", "roles", "rolebindings"
    std::string name_space;
    std::string name;
    std::string text;   // JSON
};
std::vector<PolicyObject> default_policy(const PolicyOptions& options);

// Writes what is missing, namespaces too, through a client that may all. The relaxation of 2017
// goes again where it is no longer asked for.
Result<> ensure_default_policy(client::Client& client, const PolicyOptions& options);

}   // namespace skiff::apiserver
