// What is below the memory image: a durable log of revisions. Engines: sqlite (default), memory
// (tests), etcd later. Every engine passes store/contract_test.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/limits.h"
#include "base/result.h"
#include "store/store.h"

namespace skiff::store {

// One row of the log: a key's new state at a revision. A commit of n writes takes n numbers and n
// rows, all with the last number as their revision; a row's id is its own number.
struct LogRow {
    int64_t revision = 0;
    uint32_t rows_after = 0;           // rows of the same commit that follow
    std::string key;                   // full: prefix and name
    uint32_t prefix_size = 0;          // of the resource's prefix in key
    std::optional<std::string> text;   // absent: deleted
    uint32_t splice_at = 0;
    uint32_t schema_revision = 0;
    int64_t created = 0;   // the revision that created the key
    int64_t time_ms = 0;   // wall time of the commit, never falling along the log: the
                           // window's age after a restart
    int64_t id() const { return revision - rows_after; }
};

// Called by one task at a time, but for sync and snapshot_to: those by any, beside the others.
class Engine {
  public:
    virtual ~Engine() = default;
    // Every row still in the log, in the order of ids.
    virtual Result<> load(const std::function<void(LogRow&&)>& row) = 0;
    // Atomically appends a batch. `durable`: on disk when it returns, with all that was appended
    // before; else it has left the process (kill -9 cannot take it). ServiceUnavailable: nothing
    // was written (disk full); any other error: unknown outcome, the caller must end the process.
    // A batch of deletes alone may use what the engine holds in reserve for a full disk.
    virtual Result<> append(const std::vector<LogRow>& rows, bool durable) = 0;
    // Atomically removes rows that no longer matter and notes that history at or below `through`
    // has holes. Need not be durable. Errors as append's.
    virtual Result<> compact(const std::vector<int64_t>& ids, int64_t through) = 0;
    virtual Result<int64_t> compacted() = 0;
    // Revisions below this may have been handed out; durable when it returns.
    virtual Result<> reserve(int64_t below) = 0;
    virtual Result<int64_t> reserved() = 0;   // 0: a new log
    // Upkeep, in bounded pieces, between batches. Commits waiting: only what must not pile up.
    enum class Load : uint8_t { Idle, CommitsWaiting };
    virtual Result<> tidy(Load) { return {}; }
    // Everything appended before is on disk when it returns. Must not hold up an append. An error
    // is as bad as append's unknown outcome.
    virtual Result<> sync() { return {}; }
    virtual Result<> snapshot_to(const std::string& path) = 0;
};

// The engine's disk door: the simulated world passes the name of a VFS with seeded faults.
struct SqliteOptions {
    std::string path;
    std::string vfs;   // empty: the operating system's
    // Freed when the disk is full, so that deletes still work. It must hold what may be in the
    // WAL (checkpoint_pages four times, and one batch: 8 MiB) and some MiB of deletions.
    size_t reserve_bytes = 12u << 20;
    // Pages (of 8 KiB) of WAL that are copied into the file when nothing waits; four times as
    // many: also when commits wait.
    int checkpoint_pages = 128;
};
Result<std::unique_ptr<Engine>> open_sqlite(const SqliteOptions& options);

// The memory engine's disk: outlives the engine, so a store can be opened on it again.
struct MemoryLog;
std::shared_ptr<MemoryLog> make_memory_log();
std::unique_ptr<Engine> make_memory_engine(std::shared_ptr<MemoryLog> log = make_memory_log());

struct StoreOptions {
    Duration window = limits::watch_window_max;
    size_t window_revisions_max = limits::watch_window_revisions_max;
    // Attributes for an object's text (without resourceVersion), at load and when a Write brings
    // none. Called on the thread that loads or commits.
    std::function<std::shared_ptr<const Attributes>(std::string_view key, std::string_view text)>
        describe;
    // Called when an fsync or append fails with unknown outcome: production ends the process.
    std::function<void(const Error&)> fatal;
};
// Loads the image (progress is logged when it takes more than a second) and starts committing.
// The store must die before the executor; its destructor finishes what was committed.
Result<std::unique_ptr<Store>> open_store(std::unique_ptr<Engine> engine, Executor& executor,
                                          StoreOptions options);

}   // namespace skiff::store
