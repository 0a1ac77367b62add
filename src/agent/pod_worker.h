// One pod's life on this node: takes what happens to it (its object, its containers, its probes,
// the time), asks plan_pod what to do, has it done, and reports its status. Everything about a pod
// happens on its worker's strand; what blocks runs beside it and comes back with its result.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "agent/container_events.h"
#include "agent/pod_actions.h"
#include "agent/probes.h"

namespace skiff::agent {

struct WorkerParts {
    PodParts pod;
    Checks& checks;
    // All of it has ended and nothing is left; called once, from the worker's strand.
    std::function<void(const std::string& uid)> finished;
    // A container has ended: followers of its log stop at its end.
    std::function<void(const std::string& container_id)> ended;
    // A container or sandbox belongs to this pod from now on.
    std::function<void(const std::string& id, const std::string& uid)> owns;
};

// What a log or exec request needs to know of a container.
struct ContainerWhereabouts {
    std::string id;
    std::string log_path;
    bool running = false;
    WallTime started_at{};
    bool known = false;    // the pod has a container of that name
    std::string waiting;   // why it does not run
};

class PodWorker {
  public:
    // `record` is what the runtime shows already: after a restart of the agent nothing is touched
    // that is as it should be. `gone`: the API does not have this pod (an orphan).
    PodWorker(WorkerParts parts, SharedPod pod, PodRecord record, bool gone);
    ~PodWorker();

    // Any thread; none blocks.
    void update(SharedPod pod);
    void deleted(SharedPod last);   // it is gone from the API
    void event(const ContainerEvent& event);
    void resync();   // events may have been missed

    SharedPod pod() const;
    bool gone() const;   // the API does not have it any more; true as soon as deleted() returns
    ContainerWhereabouts find_container(const std::string& name, bool previous) const;
    std::string sandbox_id() const;   // "" while there is none that runs
    std::vector<std::pair<std::string, std::string>> running_logs() const;   // container id, path

  private:
    class Core;
    std::shared_ptr<Core> core_;
};

}   // namespace skiff::agent
