// Pods that wait for a node: those to try next, and those for which nothing can have changed.
// Pure bookkeeping; the scheduler's strand owns it.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "base/time.h"
#include "scheduler/node_info.h"

namespace skiff::scheduler {

class PodQueue {
  public:
    // The pod as it is now; a pod that is tried or waits is replaced in place.
    void put(const PodPtr& pod, MonoTime now);
    void remove(const std::string& uid);
    // The next to try: highest priority, then the longest in the queue. Absent: none is ready.
    PodPtr take(MonoTime now);
    // Taken and found no node: waits for a change, and for its back-off (1 s to 10 s).
    void park(const PodPtr& pod, MonoTime now);
    // Something changed that may help: all parked ones are tried again after their back-off.
    void wake(MonoTime now);
    void wake_one(const std::string& uid);
    void wake_if(const std::function<bool(const view::Pod& pod)>& concerned);
    std::optional<MonoTime> next_ready() const;   // absent: nothing waits for time only
    size_t size() const { return entries_.size(); }

  private:
    struct Entry {
        PodPtr pod;
        uint64_t order = 0;
        unsigned tries = 0;
        MonoTime ready_at{};
        bool parked = false;   // until wake()
        bool taken = false;    // a decision is under way
    };
    std::map<std::string, Entry> entries_;   // by uid
    uint64_t next_order_ = 0;
};

}   // namespace skiff::scheduler
