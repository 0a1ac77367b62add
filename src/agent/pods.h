// All pods of the node: one worker each, fed with what the API and the runtime say. Knows which
// container belongs to whom.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "agent/pod_worker.h"

namespace skiff::agent {

class Pods {
  public:
    // `ended` is told of every container that ends (followers of its log).
    Pods(PodParts parts, Checks& checks,
         std::function<void(const std::string& container_id)> ended);
    ~Pods();

    // Begins: what the runtime already runs is matched with the API's pods of this node; pods that
    // the API does not have are ended.
    Result<> adopt(const std::vector<SharedPod>& pods);

    // From the informer, after adopt(). `now` null: gone.
    void changed(const SharedPod& old, const SharedPod& now);
    // From the runtime; events of what nobody owns yet are remembered by nobody: workers read the
    // state of what they made themselves.
    void event(const ContainerEvent& event);
    void resync();

    // Of the pod that the API has under this name: one that was replaced may still be ending here.
    std::shared_ptr<PodWorker> find(const std::string& name_space, const std::string& name) const;
    std::vector<std::shared_ptr<PodWorker>> all() const;

  private:
    void add(const SharedPod& pod, PodRecord record, bool gone);
    WorkerParts worker_parts();

    PodParts parts_;
    Checks& checks_;
    std::function<void(const std::string&)> ended_;
    mutable std::mutex mutex_;
    std::map<std::string, std::shared_ptr<PodWorker>> workers_;   // by uid
    std::map<std::string, std::string> owners_;                   // container or sandbox: uid
};

}   // namespace skiff::agent
