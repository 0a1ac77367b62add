// What was truly written, as seen below the store, and the promises that every write must keep.
// It survives the servers; what breaks a promise is told once, in words.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "codec/json.h"
#include "sim/volume_record.h"
#include "sim/workload_record.h"
#include "sim/world.h"
#include "store/engine.h"

namespace skiff::sim {

struct Stored {
    int64_t revision = 0;
    int64_t created = 0;
    std::string text;   // "" when deleted
};

class Record {
  public:
    explicit Record(World& world) : world_{world} {}

    // Rows of a batch that the engine has taken; `durable` as they were to be.
    void appended(const std::vector<store::LogRow>& rows, bool durable);
    // Rows of which the engine could not say whether it took them.
    void doubtful(const std::vector<store::LogRow>& rows);
    // What a new server found; `lossy`: after a power cut, which may take relaxed writes.
    void found(const std::vector<store::LogRow>& rows, bool lossy);

    // An answer told this revision.
    void told(std::string_view what, int64_t revision);
    void broken(std::string what);
    const std::vector<std::string>& broken_promises() const { return broken_; }

    const std::map<std::string, Stored>& state() const { return state_; }
    const Stored* find(const std::string& key) const;
    // Revisions of a resource's rows, in order, with the key.
    struct Change {
        int64_t revision;
        std::string key;
        bool deleted;
        bool creates;
    };
    const std::vector<Change>& changes(const std::string& prefix) { return changes_[prefix]; }
    size_t writes() const { return writes_; }
    size_t bindings() const { return volumes_.bindings(); }

  private:
    struct Node {
        std::vector<std::pair<int64_t, int64_t>> offered;   // milli-CPU and pods, of every time
        int64_t cpu = 0;
        int64_t pods = 0;
    };
    struct Pod {
        std::string key;
        std::string node;
        int64_t cpu = 0;
        bool counts = false;   // is there and not finished
    };
    void take(const store::LogRow& row);
    void check_pod(const store::LogRow& row, const codec::Json* object);
    void check_node(const store::LogRow& row, const codec::Json* object);
    void check_namespace(const store::LogRow& row);
    void check_in_namespace(const store::LogRow& row);

    World& world_;
    std::map<std::string, Stored> state_;
    std::map<std::string, std::vector<Change>> changes_;
    std::map<int64_t, bool> revisions_;   // committed: durable
    std::vector<store::LogRow> doubtful_;
    std::map<std::string, std::string> uids_;   // uid: key
    std::map<std::string, Node> nodes_;
    std::map<std::string, Pod> pods_;   // by uid
    WorkloadRecord workloads_;
    VolumeRecord volumes_;
    std::vector<std::string> broken_;
    int64_t last_id_ = 0;
    size_t writes_ = 0;
};

int64_t milli_cpu_of_pod(const codec::Json& pod);
bool is_finished(const codec::Json& pod);

}   // namespace skiff::sim
