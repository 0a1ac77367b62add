// The revisioned store: a log of revisions below, a memory image above. It knows keys, bytes and
// revisions, never kinds. Only apiserver/ may include this folder.
//
// An object's bytes are one JSON text without resourceVersion; the commit splices the revision in
// at `splice_at`, so readers and watchers share one text.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/executor.h"
#include "base/result.h"
#include "base/time.h"

namespace skiff::store {

// The store's commit number; grows by at least one a commit and is never used twice.
struct Revision {
    int64_t value = 0;
    auto operator<=>(const Revision&) const = default;
};

// A key is a resource's prefix and the rest: {"/registry/pods/", "default/web"}. Prefixes are
// registered once (etcd's layout: /registry/minions/, /registry/services/specs/).
enum class ResourceId : uint16_t {};
struct Key {
    ResourceId resource{};
    std::string name;   // "namespace/name", or "name" where there are no namespaces
    auto operator<=>(const Key&) const = default;
};

// What selectors need without parsing; made by the describer from the bytes, at write and at load.
struct Attributes {
    std::string uid;
    std::vector<std::pair<std::string, std::string>> labels;   // sorted by key
    std::vector<std::pair<std::string, std::string>> fields;   // selectable fields, sorted
    std::vector<std::string> owner_uids;
    bool operator==(const Attributes&) const = default;
};

// An immutable stored object as of one revision.
struct Object {
    Bytes text;               // complete JSON, resourceVersion spliced in
    uint32_t splice_at = 0;   // where `"resourceVersion":"N",` begins in text
    uint32_t splice_size = 0;
    Revision created;
    Revision modified;
    uint32_t schema_revision = 0;   // the schema the text was normalised under
    uint32_t rows_after = 0;        // log rows of the same commit after this one's: the store's own
    std::shared_ptr<const Attributes> attributes;

    // The same object with another resourceVersion (deletions, objects that leave a selector).
    Bytes with_revision(Revision revision) const;
    std::string without_revision() const;
};
using ObjectPtr = std::shared_ptr<const Object>;

struct Event {
    enum class Kind : uint8_t { Put, Delete };
    Kind kind = Kind::Put;
    Key key;
    ObjectPtr object;     // after the change; for Delete the last state, text carries the
                          // deletion's revision
    ObjectPtr previous;   // before it; null when the key did not exist
    Revision revision;
    uint32_t rows_after = 0;   // the store's own, as in Object
};

// What a key must be for a transaction to go ahead.
struct Precondition {
    enum class Must : uint8_t { BeAbsent, Exist, BeAt } must = Must::Exist;
    Key key;
    Revision at;   // BeAt: its modified revision
};

struct Write {
    Key key;
    std::optional<std::string> text;   // absent: delete. JSON without resourceVersion
    uint32_t splice_at = 0;            // the offset in text where the revision goes: right after
                                       // `"metadata":{`; a comma is added unless '}' follows.
                                       // 0: the text is opaque and carries no revision
    std::shared_ptr<const Attributes> attributes;
    uint32_t schema_revision = 0;
};

// Relaxed writes (node leases, events) may be answered before their fdatasync: they survive the
// death of any process, and a power cut may lose their last second.
enum class Durability : uint8_t { Durable, Relaxed };

// Deleting a key that is not there is no write; a transaction without writes takes no revision:
// it answers with the newest one when its preconditions hold.
struct Transaction {
    std::vector<Precondition> preconditions;   // all must hold
    std::vector<Write> writes;                 // each key at most once
    Durability durability = Durability::Durable;
};

// What a commit did: its revision and the objects as stored (null for deletions), as in `writes`.
struct Committed {
    Revision revision;
    std::vector<ObjectPtr> objects;
};
// Errors: Conflict or AlreadyExists or NotFound with the key in the message when a precondition
// failed; ServiceUnavailable when nothing was written (full disk: the store is read-only but for
// deletes; or it has stopped); Unknown ("maybe": the outcome is not known) when the engine failed
// under the commit.
using Completion = std::move_only_function<void(Result<Committed>)>;

// A resource as of one revision: holds a root, costs nothing, never changes.
class Tree;
class View {
  public:
    View() = default;
    View(std::shared_ptr<const Tree> tree, Revision revision);
    Revision revision() const { return revision_; }   // the store's revision it was taken at
    ObjectPtr get(std::string_view name) const;
    size_t size() const;
    // Calls visit for names in order that start with `prefix` and are > `after` (absent: from the
    // prefix's first). Stops when visit returns false.
    void scan(
        std::string_view prefix, const std::optional<std::string>& after,
        const std::function<bool(std::string_view name, const ObjectPtr& object)>& visit) const;
    size_t count(std::string_view prefix) const;   // O(log n)
    // How many scan(prefix, after) would visit: a chunked LIST's remainingItemCount. O(log n).
    size_t remaining(std::string_view prefix, const std::optional<std::string>& after) const;

  private:
    std::shared_ptr<const Tree> tree_;
    Revision revision_;
};

// Delivers each event of its range once (Unique), in revision order (Ordered), without gaps
// (Reliable), never splitting a revision between batches (Atomic), from any revision in the
// window (Resumable). Destroying it cancels it: no notify runs once the destructor has returned.
// One thread at a time.
class Watch {
  public:
    virtual ~Watch() = default;
    // Takes up to `events_max` events, more only to finish a revision. Empty: caught up, notify
    // will tell of more. Expired: too slow, the window has passed on; the watch is dead then.
    virtual Result<std::vector<std::shared_ptr<const Event>>> drain(size_t events_max) = 0;
    virtual Revision progress() const = 0;   // all up to here was delivered (Bookmarkable)
};

struct Statistics {
    Revision revision;
    Revision oldest_watchable;
    size_t objects = 0;
    size_t watches = 0;
    uint64_t commits = 0;
    uint64_t engine_batches = 0;   // commits / batches: what group commit gathers
    bool read_only = false;
};

class Store {
  public:
    virtual ~Store() = default;

    // Any thread; `completion` is called once, on the committing thread or at once on a failed
    // precondition; it must be quick or post on. It may be called before commit returns. By then
    // views and watches show the commit.
    virtual void commit(Transaction transaction, Completion completion) = 0;

    virtual Revision revision() const = 0;              // the newest published
    virtual View view(ResourceId resource) const = 0;   // now
    // As it was at a revision of the watch window; Expired when that has been compacted, Timeout
    // when it is yet to come.
    virtual Result<View> view_at(ResourceId resource, Revision at) const = 0;

    // Events of the resource whose name starts with `prefix`, after the revision. `notify` is
    // called (any thread, quickly) when something new may be drained, once until the next drain;
    // it may drain but not destroy the watch. Drain once after watch() for what is there already.
    // Expired: compacted.
    virtual Result<std::unique_ptr<Watch>> watch(ResourceId resource, std::string prefix,
                                                 Revision after, std::function<void()> notify) = 0;

    // Names a resource by its prefix; the same prefix gives the same id. Before load or later
    // (CRDs).
    virtual ResourceId resource(std::string_view prefix) = 0;
    virtual Statistics statistics() const = 0;
    virtual Result<> snapshot_to(const std::string& path) = 0;   // a consistent copy of the data
};

// Commits in the same transaction order for the caller: blocks the task.
Result<Committed> commit_and_wait(Executor& executor, Store& store, Transaction transaction);

}   // namespace skiff::store
