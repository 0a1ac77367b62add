// Deletes what has lost its owners, and sees deletions through that wait for dependents: foreground
// and orphan. It watches every resource, but keeps of each object little more than whose it is.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/guarded.h"
#include "client/event_recorder.h"
#include "client/informer_core.h"
#include "client/work_queue.h"
#include "controllers/component.h"
#include "controllers/discovery.h"
#include "controllers/garbage.h"

namespace skiff::controllers {

class GarbageCollector {
  public:
    GarbageCollector(Executor& executor, Random& random, const ControllersOptions& options);
    ~GarbageCollector();
    void start();

  private:
    struct Resource {
        ServedKind kind;
        std::unique_ptr<client::InformerCore> informer;
    };
    using OwnedPtr = std::shared_ptr<const view::Owned>;
    struct Item {   // an object by its resource
        const Resource* resource = nullptr;
        client::ObjectKey key;
    };
    struct Dependent {
        const Resource* resource = nullptr;
        OwnedPtr object;
    };

    Result<client::Requeue> set_up();
    void watch(size_t index, Random& random);
    void changed(size_t index, const OwnedPtr& old, const OwnedPtr& now);
    void wake_owners(const view::Owned& dependent);

    Result<client::Requeue> look_at(const client::ObjectKey& queue_key);
    Result<client::Requeue> orphan(const client::ObjectKey& queue_key);
    Result<> finish_foreground(const Item& item, const view::Owned& object);
    Result<OwnerState> state_of(const Item& item, const view::Owned& object,
                                const view::Owned::OwnerReference& reference);
    void tell_other_namespace(const Item& item, const view::Owned& object,
                              const view::Owned::OwnerReference& reference);
    Result<> carry_out(const Item& item, const view::Owned& object, const GarbageStep& step);

    Item item_of(const client::ObjectKey& queue_key) const;
    client::ObjectKey queue_key(size_t index, const view::Owned& object) const;
    size_t index_of(const Resource& resource) const;
    std::vector<Dependent> dependents_of(std::string_view uid) const;
    OwnedPtr cached_owner(const view::Owned& object,
                          const view::Owned::OwnerReference& reference) const;
    const Resource* resource_of_kind(std::string_view api_version, std::string_view kind) const;
    bool all_synced() const;
    Result<view::Owned> get(const Resource& resource, const client::ObjectKey& key);
    Result<> patch(const Item& item, const view::Owned& object, client::PatchType type,
                   std::string body, bool of_this_version);

    Executor& executor_;
    Random& random_;
    Component component_;
    client::EventRecorder events_;
    // Filled by set_up() before anything is watched, then unchanged.
    std::vector<std::unique_ptr<Resource>> resources_;
    std::map<std::pair<std::string, std::string>, size_t, std::less<>> by_kind_;
    struct Absent {   // owners that were looked for and not found, the latest of them
        struct Entry {
            uint64_t order = 0;
            bool elsewhere = false;   // in another namespace
        };
        std::map<std::string, Entry> references;
        uint64_t last = 0;
    };
    Guarded<Absent> absent_;
    client::WorkQueue set_up_;
    client::WorkQueue items_;
    client::WorkQueue orphaning_;
};

}   // namespace skiff::controllers
