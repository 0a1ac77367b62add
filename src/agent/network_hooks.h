// What the node's service network has to say in a pod's life. Empty functions: nothing. They are
// called from any thread, may block for a bounded time, and outlive the agent.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "base/result.h"

namespace skiff::agent {

struct PodOnNetwork {
    std::string name_space;
    std::string name;
    std::string uid;
    std::string address;
};

struct NetworkHooks {
    // Before a container of the pod starts: returns when whoever may reach the pod, and whom it may
    // reach, is in force. Not for pods on the host's network.
    std::function<Result<>(const PodOnNetwork& pod)> admit;
    // Before a pod that was deleted, and has some grace, is told to end: returns when no new
    // connection comes to it any more.
    std::function<void(const std::string& pod_uid)> release;
};

}   // namespace skiff::agent
