// Which pods are endpoints, as far as the rules in force go: who is to end waits here until it is
// none any more. Any thread.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "base/executor.h"
#include "client/object_key.h"
#include "proxy/views.h"

namespace skiff::proxy {

class DroppedEndpoints {
  public:
    explicit DroppedEndpoints(Executor& executor) : executor_{executor} {}

    // The rules are as this slice says. Null: it is gone.
    void in_force(const client::ObjectKey& slice, const view::EndpointSlice* now);
    void begun();   // all slices that there are were told

    void wait(const std::string& pod_uid, Duration timeout);

  private:
    bool settled(const std::string& pod_uid) const {   // with the lock
        return begun_ && !listed_.contains(pod_uid);
    }
    void wake(std::unique_lock<std::mutex> lock);

    Executor& executor_;
    std::mutex mutex_;
    bool begun_ = false;
    std::map<client::ObjectKey, std::set<std::string>> by_slice_;
    std::map<std::string, unsigned> listed_;   // by uid: in how many slices
    std::vector<std::shared_ptr<Waiter>> waiting_;
};

}   // namespace skiff::proxy
