// List-then-watch of one resource into a cache of views, shared by all that read it in a process.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/random.h"
#include "client/client.h"
#include "client/informer_core.h"

namespace skiff::client {

template <class V>
using Shared = std::shared_ptr<const V>;

// The cache, its reads from any thread. Handlers run in order on one strand, after the cache has
// the change. Objects are immutable snapshots.
template <class V>
class Informer {
  public:
    // old is null for an addition, now is null for a deletion.
    using Handler = std::function<void(const Shared<V>& old, const Shared<V>& now)>;
    using IndexKeys = std::function<std::vector<std::string>(const V& object)>;

    Informer(Executor& executor, Random& random, Transport& transport,
             InformerOptions options = {});
    ~Informer() = default;   // no handler runs when it returns, unless it was one that called

    // Before start().
    void add_index(std::string name, IndexKeys keys);
    void on_change(Handler handler);
    void start();
    void stop() { core_.stop(); }   // no handler runs any more; the cache stays readable
    bool synced() const;            // the first list is in
    void on_synced(std::function<void()> call);   // on the strand; also when it is already
    // The object at that resourceVersion or later is in the cache, or was and is gone again.
    bool reached(const ObjectKey& key, std::string_view resource_version) const;

    Shared<V> find(const ObjectKey& key) const;
    std::vector<Shared<V>> all() const;
    std::vector<Shared<V>> in_namespace(std::string_view name_space) const;
    std::vector<Shared<V>> owned_by(std::string_view owner_uid) const;
    std::vector<Shared<V>> by_index(std::string_view index, std::string_view key) const;
    size_t size() const;

    InformerCore& core() { return core_; }

  private:
    InformerCore core_;
};

}   // namespace skiff::client

#include "client/informer_impl.h"
