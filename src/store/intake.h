// The front of the store: decides whether a transaction may go ahead, numbers it and queues it.
// Preconditions are checked against what is queued before it, not only against what is published,
// so that dependent commits share a batch; an answer that saw an unpublished write waits for it.
#pragma once

#include <deque>
#include <functional>
#include <optional>
#include <unordered_map>
#include <vector>

#include "base/time.h"
#include "store/store.h"

namespace skiff::store {

// A commit on its way. `created[i]` belongs to writes[i]: 0 when the write has no effect.
struct Commit {
    Transaction transaction;
    Completion completion;
    Revision revision;
    std::vector<Revision> created;
    std::optional<Error> refused;   // its answer once what it saw is published

    size_t rows() const;
    bool only_deletes() const;
};

// A commit and its answer, to be given when no lock is held.
struct Answer {
    Completion completion;
    Result<Committed> result;
    void give() { completion(std::move(result)); }
};

// Not thread-safe: the store guards it.
class Intake {
  public:
    // `published`: the key's object as published.
    using Published = std::function<ObjectPtr(const Key&)>;
    Intake(Revision last, Published published, std::function<std::string(const Key&)> spell);

    // Queues it, or gives the answer at once.
    std::optional<Answer> admit(Commit commit, MonoTime now);
    std::vector<Commit> take_batch();
    bool empty() const { return queue_.empty(); }
    Revision last() const { return last_; }

    // The batch is published: its writes are no longer pending.
    void settle(const std::vector<Commit>& batch);
    // The batch was not written because the disk is full: its deletes are tried again by
    // themselves, everything that was queued is judged anew.
    std::vector<Answer> refuse_for_space(std::vector<Commit> batch, const Error& error,
                                         MonoTime now);
    void space_is_back() { read_only_ = false; }
    bool read_only() const { return read_only_; }
    // Nothing is admitted any more; what is queued fails.
    std::vector<Answer> stop(const Error& error);

  private:
    struct Pending {
        Revision revision;   // of the write
        Revision created;    // 0: deleted
    };
    struct KeyHash {
        size_t operator()(const Key& key) const;
    };
    struct Seen {
        Revision created;   // 0: absent
        Revision modified;
        bool pending = false;
    };
    Seen see(const Key& key) const;
    std::optional<Error> violated(const Precondition& precondition, const Seen& seen) const;
    std::optional<Error> refusal(const Commit& commit, MonoTime now);
    void number(Commit& commit);

    Published published_;
    std::function<std::string(const Key&)> spell_;
    std::deque<Commit> queue_;
    std::unordered_map<Key, Pending, KeyHash> pending_;
    Revision last_;           // the newest number given
    Revision last_settled_;   // the newest number published or given up
    bool read_only_ = false;
    MonoTime try_again_;
    Error full_;
    std::optional<Error> stopped_;
};

}   // namespace skiff::store
