// `skiff status --security`: what guards this cluster, looked at from outside where it can be,
// after the sections of the CIS Kubernetes Benchmark that apply to it.
#pragma once

#include "cmd/cluster.h"
#include "cmd/pki.h"

namespace skiff::cmd {

struct SecurityCheck {
    enum class State {
        On,
        Off,    // not there, or not by this cluster's settings
        Look,   // somebody opened it: the detail says who and how to close it
    };
    State state;
    std::string what;
    std::string detail;
};

// Asks files, the API and the agent's port; blocks. Root only.
std::vector<SecurityCheck> security_checks(const Cluster& cluster, const Pki& pki);
// 0 when nobody opened anything, else 3.
int print_security(const Cluster& cluster);

}   // namespace skiff::cmd
