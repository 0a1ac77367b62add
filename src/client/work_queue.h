// Keys to reconcile: each at most once in the queue and never twice at the same time, however
// often it is added; keys whose reconcile failed come again later and later.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "base/executor.h"
#include "base/result.h"
#include "client/object_key.h"

namespace skiff::client {

// What a reconcile that succeeded asks for.
struct Requeue {
    std::optional<Duration> after;
    static Requeue no() { return {}; }
    static Requeue in(Duration delay) { return {delay}; }
};

struct WorkQueueOptions {
    const char* name = "queue";     // in log lines
    unsigned workers = 2;           // reconciles that may run at once
    Duration backoff_first = 5ms;   // upstream's ItemExponentialFailureRateLimiter
    Duration backoff_max = 1000s;
};

class WorkQueue {
  public:
    using Reconcile = std::function<Result<Requeue>(const ObjectKey& key)>;

    WorkQueue(Executor& executor, Reconcile reconcile, WorkQueueOptions options = {});
    ~WorkQueue();   // stop()
    WorkQueue(const WorkQueue&) = delete;
    WorkQueue& operator=(const WorkQueue&) = delete;

    // Any thread. A key that is being reconciled comes again when that is done.
    void add(const ObjectKey& key);
    void add_after(const ObjectKey& key, Duration delay);   // of several times the earliest holds
    void start();                                           // keys gather before it
    // Nothing new starts; returns when no reconcile runs any more. Not from a reconcile.
    void stop();
    size_t size() const;   // keys that wait for a worker, without the delayed ones
    unsigned failures(const ObjectKey& key) const;

  private:
    class Core;
    std::shared_ptr<Core> core_;
};

}   // namespace skiff::client
