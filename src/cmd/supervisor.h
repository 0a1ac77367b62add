// The supervisor: holds the listening sockets and keeps server, agent and containerd running. It
// knows nothing of Kubernetes and no TLS, so that it stays small and never needs a restart itself.
#pragma once

#include <string>
#include <vector>

namespace skiff::cmd {

// `skiff supervise --root DIR`: started by `up`, ends on SIGTERM after its parts.
int run_supervisor(const std::vector<std::string>& arguments);

}   // namespace skiff::cmd
