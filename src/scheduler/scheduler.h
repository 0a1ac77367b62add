// The scheduler: gives each pod without a node the best node that it fits on.
#pragma once

#include <memory>

#include "base/executor.h"
#include "base/random.h"
#include "client/transport.h"

namespace skiff::scheduler {

class Scheduler {
  public:
    virtual ~Scheduler() = default;   // stops it; a binding under way is finished
    virtual void start() = 0;
};
// `transport` acts as system:kube-scheduler and outlives the scheduler.
std::unique_ptr<Scheduler> make_scheduler(Executor& executor, Random& random,
                                          client::Transport& transport);

}   // namespace skiff::scheduler
