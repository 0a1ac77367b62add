// What is below the memory image: a durable log of revisions. Engines: sqlite (default), memory
// (the simulated world), etcd later. Every engine passes store/contract_test.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "store/store.h"

namespace skiff::store {

// One row of the log: a key's new state at a revision.
struct LogRow {
    int64_t revision = 0;
    std::string key;             // full: prefix and name
    std::optional<std::string> text;   // absent: deleted
    uint32_t splice_at = 0;
    uint32_t schema_revision = 0;
    int64_t created = 0;         // the revision that created the key
    int64_t time_ms = 0;         // wall time of the commit: the window's age after a restart
};

class Engine {
  public:
    virtual ~Engine() = default;
    // Every row still in the log, in revision order (superseded ones inside the window included).
    virtual Result<> load(const std::function<void(LogRow&&)>& row) = 0;
    // Atomically appends a batch. `durable`: on disk when it returns. ServiceUnavailable: nothing
    // was written (disk full); any other error: unknown outcome, the caller must end the process.
    virtual Result<> append(const std::vector<LogRow>& rows, bool durable) = 0;
    // Deletes superseded rows and tombstones at or below the revision, at most `rows_max` of them;
    // returns how many it deleted. Called between appends.
    virtual Result<size_t> compact(int64_t through, size_t rows_max) = 0;
    // Revisions below this may have been handed out; reserved durably in blocks.
    virtual Result<> reserve(int64_t below) = 0;
    virtual Result<int64_t> reserved() = 0;
    virtual Result<> snapshot_to(const std::string& path) = 0;
};

// The engine's disk door: the simulated world passes a VFS name with seeded faults.
struct SqliteOptions {
    std::string path;
    std::string vfs;                        // empty: the operating system's
    size_t reserve_bytes = 4u << 20;        // freed when the disk is full, so deletes still work
};
Result<std::unique_ptr<Engine>> open_sqlite(const SqliteOptions& options);
std::unique_ptr<Engine> make_memory_engine();

struct StoreOptions {
    Duration window = std::chrono::minutes{5};
    size_t window_revisions_max = 100'000;
    // Attributes for an object's text, at load and when a Write brings none.
    std::function<std::shared_ptr<const Attributes>(std::string_view key, std::string_view text)> describe;
    // Called when an fsync or append fails with unknown outcome: production ends the process.
    std::function<void(const Error&)> fatal;
};
// Loads the image (progress is logged when it takes more than a second) and starts committing.
Result<std::unique_ptr<Store>> open_store(std::unique_ptr<Engine> engine, Executor& executor,
                                          StoreOptions options);

}   // namespace skiff::store
