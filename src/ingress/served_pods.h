// Which pods nginx sends requests to: who is to end waits here until it is none of them any more.
// Any thread.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/executor.h"

namespace skiff::ingress {

class ServedPods {
  public:
    using Servers = std::map<std::string, std::vector<std::string>>;   // by uid

    explicit ServedPods(Executor& executor) : executor_{executor} {}

    void in_force(Servers pods);
    // Where it was served from, once it is no more or the time is over. Before the first word of
    // in_force it is not known, and waited for.
    std::vector<std::string> wait_until_dropped(const std::string& uid, Duration timeout);

  private:
    struct Past {
        std::vector<std::string> servers;
        MonoTime since;
    };

    Executor& executor_;
    std::mutex mutex_;
    bool begun_ = false;
    Servers now_;
    std::map<std::string, Past> past_;   // a short while after they were dropped
    std::vector<std::shared_ptr<Waiter>> waiting_;
};

}   // namespace skiff::ingress
