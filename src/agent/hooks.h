// Lifecycle hooks: what a container wants done right after its start and before its end.
#pragma once

#include "agent/checks.h"

namespace skiff::agent {

class HookRunner {
  public:
    explicit HookRunner(Checks& checks) : checks_{checks} {}
    // Blocks until the hook is done or the time is over.
    Result<> run(const Pod::LifecycleHandler& handler, const CheckTarget& target, Duration timeout);

  private:
    Checks& checks_;
};

}   // namespace skiff::agent
