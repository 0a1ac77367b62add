// The memory image: every resource's tree as published, its history, and the watch window over all
// of them. One committing thread changes it; any thread reads it.
//
// The window keeps events, not roots: a root a revision would hold a copied path each (about 1 KiB
// a write at 100,000 objects), while an event already knows the state before it. A view of the
// past is the nearest later tree with the events between undone; the last few such views are kept,
// because a chunked LIST asks for the same one again and again.
#pragma once

#include <atomic>
#include <deque>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/guarded.h"
#include "base/time.h"
#include "store/history.h"
#include "store/store.h"
#include "store/tree.h"

namespace skiff::store {

// A commit's effect on one key; no object: deleted.
struct Change {
    Key key;
    ObjectPtr object;
    Revision revision;
    uint32_t rows_after = 0;
};

class Image {
  public:
    Image(Duration window, size_t window_revisions_max);

    ResourceId resource(std::string_view prefix);
    std::string spell(const Key& key) const;   // prefix and name
    std::string prefix(ResourceId resource) const;

    // Loading, before anything else: rows in order, publish() between them, then start().
    void load_old(Change change);   // from before the window
    void load_event(Change change, MonoTime at);
    void start(Revision revision, Revision floor);   // `floor`: history has holes up to it

    // Committing: one thread.
    void apply(std::vector<Change> changes, MonoTime at);   // of one revision
    void publish(Revision revision);   // all applied: trees, then histories; returns after the
                                       // watchers were told
    // Drops what is too old or too much; the row ids that no longer matter are added to garbage.
    void trim(MonoTime now);
    std::vector<int64_t> oldest_garbage(size_t rows_max) const;
    void drop_garbage(size_t rows);
    size_t garbage() const { return garbage_.size(); }
    Revision floor() const { return {floor_.load(std::memory_order_relaxed)}; }
    std::optional<MonoTime> next_trim() const;   // when the oldest event leaves the window

    // Reading: any thread.
    Revision revision() const;
    ObjectPtr published(const Key& key) const;
    View view(ResourceId resource) const;
    Result<View> view_at(ResourceId resource, Revision at) const;
    std::shared_ptr<History> history(ResourceId resource) const;
    size_t objects() const;
    size_t tree_bytes(ResourceId resource) const;   // for tests
    size_t watches() const;

  private:
    // What the committing thread works on.
    struct Working {
        Tree tree;
        std::vector<EventPtr> events;   // applied, not yet published
        bool changed = false;
    };
    struct Resources {
        std::unordered_map<std::string, ResourceId> ids;
        std::vector<std::string> prefixes;
        std::vector<std::shared_ptr<History>> histories;
        Revision floor;   // of a history that begins now
    };
    struct Published {
        Revision revision;
        std::vector<std::shared_ptr<const Tree>> trees;   // by resource; may be shorter or null
    };
    struct Entry {   // one event of the window
        Revision revision;
        MonoTime at;
        ResourceId resource;
    };
    struct Visited {
        ResourceId resource;
        Revision revision;
        std::shared_ptr<const Tree> tree;
        uint64_t used = 0;
    };
    struct Visits {
        std::vector<Visited> views;
        uint64_t clock = 0;
    };
    Working& working(ResourceId resource);
    void drop_oldest();
    std::shared_ptr<const Tree> visited(ResourceId resource, Revision at) const;
    Result<std::shared_ptr<const Tree>> rebuild(ResourceId resource, Revision at) const;

    const Duration window_;
    const size_t window_revisions_max_;
    std::shared_ptr<std::atomic<int64_t>> complete_ = std::make_shared<std::atomic<int64_t>>(0);
    std::atomic<int64_t> floor_ = 0;
    Guarded<Resources> resources_;
    Guarded<Published> published_;
    mutable Guarded<int> publishing_;   // held while trees and histories differ
    mutable Guarded<Visits> visits_;

    // The committing thread's own.
    std::deque<Working> working_;
    std::vector<ResourceId> changed_;
    std::deque<Entry> entries_;
    std::deque<int64_t> garbage_;
};

}   // namespace skiff::store
