// Events are kept for an hour after they last happened, as upstream's --event-ttl has it.
#pragma once

#include <memory>

#include "apiserver/registry.h"

namespace skiff::apiserver {

class EventExpiry {
  public:
    explicit EventExpiry(Registry& registry);
    ~EventExpiry();
    void start();
    size_t expire_now();   // deletes what is due; how many

  private:
    struct State;
    std::shared_ptr<State> state_;
};

// When an event last happened, read off its text; absent when it says nothing that can be read.
std::optional<WallTime> last_happened(const Json& event);

}   // namespace skiff::apiserver
