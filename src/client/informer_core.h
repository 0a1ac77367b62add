// List-then-watch without types: what Informer<V> stands on. A chain of calls on one strand: list
// page by page, then watch from the list's revision, resuming from the last event or bookmark; a
// watch that expired lists anew and tells the handlers the difference.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>

#include "base/executor.h"
#include "base/random.h"
#include "client/cache.h"
#include "client/object_key.h"
#include "client/transport.h"

namespace skiff::client {

struct InformerOptions {
    std::string name_space;   // "" for all
    ListQuery query;
    unsigned page_size = 500;
};

class InformerCore {
  public:
    using Decode = Result<AnyObject> (*)(std::string_view json);
    using Handler = std::function<void(const AnyObject& old, const AnyObject& now)>;
    struct Parts {
        Executor& executor;
        Random& random;
        Transport& transport;
        ResourceName resource;
        Decode decode;
    };

    InformerCore(Parts parts, InformerOptions options);
    ~InformerCore();   // no handler runs when it returns, unless it was the handler that called
    InformerCore(const InformerCore&) = delete;
    InformerCore& operator=(const InformerCore&) = delete;

    ObjectCache& cache();
    const ObjectCache& cache() const;
    void on_change(Handler handler);              // before start()
    void on_synced(std::function<void()> call);   // at once (on the strand) when it is already
    void start();
    void stop();   // no handler runs any more when it returns; the cache stays readable
    bool synced() const;
    // True when the cache shows the object as it was at that resourceVersion or later, or every
    // event up to there was delivered.
    bool reached(const ObjectKey& key, std::string_view resource_version) const;

  private:
    class Flow;
    std::shared_ptr<Flow> flow_;
};

}   // namespace skiff::client
