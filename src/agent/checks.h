// The four ways to ask a container how it is, used by probes and lifecycle hooks: each blocks its
// task for at most `timeout`.
#pragma once

#include <string>

#include "agent/cri.h"
#include "agent/pod_types.h"
#include "base/executor.h"
#include "net/loop.h"

namespace skiff::agent {

enum class CheckOutcome : uint8_t { Success, Failure, Unknown };   // Unknown: could not be asked
struct CheckResult {
    CheckOutcome outcome = CheckOutcome::Unknown;
    std::string output;
};

struct CheckTarget {
    const Container& container;
    std::string container_id;
    std::string address;   // of the pod
};

class Checks {
  public:
    Checks(Executor& executor, net::Loop& loop, Cri& cri)
        : executor_{executor}, loop_{loop}, cri_{cri} {}

    CheckResult exec(const CheckTarget& target, const Pod::ExecAction& action, Duration timeout);
    CheckResult http(const CheckTarget& target, const Pod::HTTPGetAction& action, Duration timeout,
                     std::string_view agent_name);
    CheckResult tcp(const CheckTarget& target, const Pod::TCPSocketAction& action,
                    Duration timeout);
    CheckResult grpc(const CheckTarget& target, const Pod::GRPCAction& action, Duration timeout);
    CheckResult probe(const CheckTarget& target, const Probe& probe);
    Executor& executor() { return executor_; }

  private:
    Executor& executor_;
    net::Loop& loop_;
    Cri& cri_;
};

// A port by number or by the name of one of the container's ports.
std::optional<uint16_t> resolve_port(const Container& container, const api::IntOrString& port);

}   // namespace skiff::agent
