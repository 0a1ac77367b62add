// The cluster's keys and certificates, below --root/server/pki, made once and renewed at start when
// a third of their life is left.
#pragma once

#include <memory>
#include <string>

#include "base/time.h"
#include "cmd/cluster.h"
#include "net/tls.h"

namespace skiff::cmd {

struct Pki {
    net::KeyPair ca;
    net::KeyPair server;        // the API server's, serving
    net::KeyPair admin;         // CN kubernetes-admin, O system:masters
    net::KeyPair node_client;   // towards the agents: CN kube-apiserver-kubelet-client
    std::string service_account_key_pem;
};

Result<Pki> ensure_pki(const Cluster& cluster, const std::vector<std::string>& addresses,
                       Clock& clock);
// What runs in the agent's process under a service account of its own in kube-system has a
// certificate for it: "ingress-controller", "local-path-provisioner".
Result<std::shared_ptr<net::TlsContext>> component_tls(const Cluster& cluster,
                                                       const std::string& account);
std::string kubeconfig_text(const Cluster& cluster, const Pki& pki);

}   // namespace skiff::cmd
