// Every controller of the cluster, wired and started: what server processes run. Each acts under
// its own name; none knows the store, the clock or threads but through what it is handed.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/executor.h"
#include "base/random.h"
#include "client/transport.h"

namespace skiff::controllers {

// What a signed certificate may be used for.
struct CertificateUse {
    bool server_auth = false;
    bool client_auth = false;
    Duration life = std::chrono::hours{24 * 365};
};

// What the services that a cluster has by itself need to know.
struct ClusterServices {
    std::string api_address;   // where pods reach the API server, past its service
    uint16_t api_port = 0;
    std::string api_service_address;   // of the service `kubernetes`: the range's first
    std::string dns_address;           // of the service `kube-dns`: the range's tenth
};

struct TokenSecretOf {
    std::string name_space, account, account_uid, secret;
};

struct ControllersOptions {
    // A transport as that user, e.g. "system:serviceaccount:kube-system:namespace-controller".
    std::function<std::unique_ptr<client::Transport>(std::string_view user)> transport_as;
    // Signs a PEM certificate request with the cluster's CA; the certificate's PEM.
    std::function<Result<std::string>(const std::string& csr_pem, const CertificateUse& use)> sign;
    // Subject and names of a PEM certificate request.
    struct CsrFacts {
        std::string common_name;
        std::vector<std::string> organizations;
        std::vector<std::string> dns_names;
        std::vector<std::string> addresses;
    };
    std::function<Result<CsrFacts>(const std::string& csr_pem)> inspect;
    std::string root_ca_pem;   // becomes kube-root-ca.crt in every namespace
    // The content of a Secret with a token of the account; null: no such Secret is filled.
    std::function<Result<std::string>(const TokenSecretOf& of)> secret_token;
    bool automatic_token_secrets = false;              // every account has one, as in 2017
    std::optional<ClusterServices> cluster_services;   // absent: they are not made
};

class Controllers {
  public:
    virtual ~Controllers() = default;   // stops them; what runs is finished
    virtual void start() = 0;
};
std::unique_ptr<Controllers> make_controllers(Executor& executor, Random& random,
                                              ControllersOptions options);

}   // namespace skiff::controllers
