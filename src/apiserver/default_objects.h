// What every cluster has from its first start on, beside the roles (default_policy.h).
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "client/client.h"

namespace skiff::apiserver {

bool is_system_priority_class(std::string_view name);

struct DefaultObjects {
    std::string client_ca_pem;   // for kube-system's extension-apiserver-authentication
    std::string cluster_info;    // a kubeconfig without credentials, for kube-public; "": none
};
// Makes what is missing, through a client that may all, and brings the config maps up to date. The
// namespaces are there.
Result<> ensure_default_objects(client::Client& client, const DefaultObjects& wanted);

}   // namespace skiff::apiserver
