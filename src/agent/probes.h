// The probes of one running container: when each is due, what its answers add up to, and the
// verdict that plan_pod and the status read.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "agent/checks.h"
#include "agent/pod_plan.h"

namespace skiff::agent {

// How answers add up: a result changes after so many equal answers in a row. Pure.
class ProbeCount {
  public:
    ProbeCount(int successes_needed, int failures_needed, bool initially)
        : successes_needed_{successes_needed},
          failures_needed_{failures_needed},
          result_{initially} {}
    // True: the settled result may be acted on (it was reached by enough answers).
    bool add(bool success);
    bool result() const { return result_; }

  private:
    int successes_needed_;
    int failures_needed_;
    int in_row_ = 0;
    bool last_ = false;
    bool result_;
};

struct ProbeSubject {
    SharedPod pod;
    const Container* container = nullptr;   // of the pod
    std::string container_id;
    std::string address;
    WallTime started_at{};
};

class ContainerProbes {
  public:
    using Changed = std::function<void(const std::string& container_id, ProbeVerdict verdict)>;
    using Unhealthy = std::function<void(const std::string& message)>;

    // Both callbacks come on the executor; one may be under way while the destructor returns.
    ContainerProbes(Checks& checks, ProbeSubject subject, Changed changed, Unhealthy unhealthy);
    ~ContainerProbes();

    static bool needed(const Container& container);
    static ProbeVerdict initial(const Container& container);

  private:
    struct State;
    std::shared_ptr<State> state_;
};

}   // namespace skiff::agent
