// securityContext of pod and container as the runtime takes it. Pure, but for what the image says
// about its user, which the caller has looked up.
#pragma once

#include <optional>
#include <string>

#include "agent/cri_config.h"
#include "agent/pod_types.h"
#include "base/result.h"

namespace skiff::agent {

struct ImageUser {
    std::optional<int64_t> uid;   // the image's user when it is a number
    std::string name;             // else its name; both absent: root
};

cri::LinuxSandboxSecurityContext sandbox_security(const Pod& pod);

struct ContainerSecurityFacts {
    ImageUser image_user;
    std::string target_container_id;   // an ephemeral container's target: shares its processes
    std::string seccomp_folder;        // where localhostProfile files lie
};
// CreateContainerConfigError when runAsNonRoot cannot be kept.
Result<cri::LinuxContainerSecurityContext> container_security(const Pod& pod,
                                                              const Container& container,
                                                              const ContainerSecurityFacts& facts);

}   // namespace skiff::agent
