// The node's own keys and certificates below --root/agent/pki: got by a one-time bootstrap token
// and certificate signing requests, renewed by the identity itself before they end.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/executor.h"
#include "client/client.h"
#include "net/tls.h"

namespace skiff::agent {

struct IdentityOptions {
    std::string folder;   // <root>/agent/pki
    std::string node_name;
    std::vector<std::string> addresses;
};

enum class CertificateKind { Client, Serving };

// What is on disk, if it is usable for a while; absent when there is none or its time is over.
std::optional<net::KeyPair> load_certificate(const IdentityOptions& options, CertificateKind kind,
                                             WallTime now);

// Asks the API for a certificate and waits until it is given; writes it. Blocks.
Result<net::KeyPair> request_certificate(const IdentityOptions& options, CertificateKind kind,
                                         client::Client& client);

// When a certificate should be renewed: after four fifths of its life.
Result<WallTime> renewal_time(const std::string& certificate_pem);

}   // namespace skiff::agent
