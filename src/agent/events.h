// What happened to pods and the node, told to the API as core/v1 Events. An interface, so that
// workers can be tested without a server.
#pragma once

#include <memory>

#include "client/event_recorder.h"

namespace skiff::agent {

struct EventText {
    bool warning = false;
    std::string reason;
    std::string message;
};

class EventRecorder {
  public:
    virtual ~EventRecorder() = default;
    virtual void tell(const client::ObjectReference& about, EventText text) = 0;   // any thread
};

std::unique_ptr<EventRecorder> make_event_recorder(Executor& executor, client::Transport& transport,
                                                   std::string host);

}   // namespace skiff::agent
