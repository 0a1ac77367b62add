// The supervisor: holds the listening sockets and keeps server, agent and containerd running. It
// knows nothing of Kubernetes and no TLS, so that it stays small and never needs a restart itself.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"

namespace skiff::cmd {

struct SupervisorOptions {
    std::string root;    // of the cluster
    std::string skiff;   // the program that server and agent are
    uint16_t port = 0;
    uint16_t agent_port = 0;
    std::string dns_address;         // "": the cluster has no DNS here
    std::string containerd_config;   // "": the user's own containerd runs by itself
};

// Returns on SIGTERM, after its parts have ended.
Result<> supervise(SupervisorOptions options);

}   // namespace skiff::cmd
