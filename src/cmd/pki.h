// The cluster's keys and certificates, below --root/server/pki, made once and renewed at start when
// a third of their life is left; a process that runs on renews them too (certificate_renewal.h).
#pragma once

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
    WallTime renew_at;   // when the first of them wants it
};

// How long before its making a certificate of that life begins: for clocks that differ a little.
Duration backdating(Duration life);
// One process at a time. The machine's addresses of today are in the server's certificate.
Result<Pki> ensure_pki(const Cluster& cluster, Clock& clock);
// What runs in the agent's process under a service account of its own in kube-system has a
// certificate for it: "ingress-controller", "local-path-provisioner".
Result<net::KeyPair> component_certificate(const Cluster& cluster, const std::string& account);
Result<std::string> cluster_ca(const Cluster& cluster);   // PEM
std::string kubeconfig_text(const Cluster& cluster, const Pki& pki);

}   // namespace skiff::cmd
