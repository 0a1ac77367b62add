// Events of the API, what `kubectl describe` shows: recorded at once, sent in order behind the
// caller's back, repeated ones counted up instead of written anew, floods held back. As upstream's
// recorder: an event that cannot be delivered is lost, and nobody waits for one.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/executor.h"
#include "base/text.h"
#include "client/transport.h"

namespace skiff::client {

struct ObjectReference {
    std::string api_version;   // "v1", "apps/v1"
    std::string kind;
    std::string name_space;
    std::string name;
    std::string uid;
    std::string resource_version;
    std::string field_path;   // "spec.containers{web}": a container's events
};
// Of a view that declares name, namespace and uid.
template <class V>
ObjectReference reference_to(const V& object, std::string field_path = {}) {
    return {.api_version =
                V::group.empty() ? std::string{V::version} : concat(V::group, "/", V::version),
            .kind = std::string{V::kind},
            .name_space = std::string{object.metadata.namespace_},
            .name = std::string{object.metadata.name},
            .uid = std::string{object.metadata.uid},
            .field_path = std::move(field_path)};
}

enum class EventType : bool { Normal, Warning };

class EventRecorder {
  public:
    struct Source {
        std::string component;   // "kubelet", "default-scheduler": what tools look for
        std::string host;        // the node, for those that run on one
    };
    EventRecorder(Executor& executor, Transport& transport, Source source);
    ~EventRecorder();   // drops what was not sent yet
    EventRecorder(const EventRecorder&) = delete;
    EventRecorder& operator=(const EventRecorder&) = delete;

    // Any thread.
    void record(const ObjectReference& about, EventType type, std::string_view reason,
                std::string_view message);

  private:
    class Flow;
    std::shared_ptr<Flow> flow_;
};

}   // namespace skiff::client
