// What happens to containers, as it happens, so that nothing has to be polled. Taken from
// containerd's own event service on the CRI socket (any containerd has it; CRI's GetContainerEvents
// came with 1.7), else from GetContainerEvents, else, when a runtime has neither, by asking for a
// look every second.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/executor.h"
#include "base/random.h"
#include "base/time.h"
#include "net/grpc.h"

namespace skiff::agent {

struct ContainerEvent {
    enum class Kind : uint8_t {
        Started,
        Exited,        // its main process ended
        Deleted,       // the runtime has cleaned up after it
        OutOfMemory,   // a process in it was killed for memory; Exited follows if the main one
    };
    Kind kind = Kind::Started;
    std::string id;      // of a container or a sandbox
    int exit_code = 0;   // of Exited and Deleted, from containerd's own events; else 0
    WallTime at{};
};

// Called on the executor, one at a time.
// The event is the truth before the runtime's answer is: containerd cleans up first, and its
// ContainerStatus goes on saying Running for some 30 ms after Exited, longer on a busy machine.
struct ContainerEventSink {
    std::function<void(const ContainerEvent& event)> event;
    // Events may have been missed: list everything. The first call says that following has begun.
    std::function<void()> resync;
};

class ContainerEvents {
  public:
    virtual ~ContainerEvents() = default;   // the sink is not called once this returned
};

// Subscribes, and again whenever the runtime was away. The client must outlive it.
std::unique_ptr<ContainerEvents> follow_container_events(Executor& executor, Random& random,
                                                         net::GrpcClient& client,
                                                         ContainerEventSink sink);

// For tests: one containerd envelope (containerd.services.events.v1.Envelope) as an event; absent
// when it tells nothing about a container's main process.
std::optional<ContainerEvent> event_of_envelope(std::string_view envelope);

}   // namespace skiff::agent
