// A disk for SQLite that is all in memory and fails when told to: single calls, a full disk, the
// death of the process, and power cuts that lose, tear and reorder what was not synced. The same
// seed and the same calls give the same disk, byte for byte. For tests and the simulated world.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace skiff::store {

class FaultDisk {
  public:
    enum class Operation : uint8_t { Open, Read, Write, Truncate, Sync, Size, Delete };
    struct Call {
        uint64_t number = 0;   // from 1, of the calls that can fail
        Operation operation = Operation::Open;
        const std::string& file;
    };
    enum class Fault : uint8_t {
        None,
        Error,   // the call fails without effect; a failed sync loses what it should have synced
        TornError,   // a write reaches the disk in part, then fails
        Full,        // no space
        Kill,        // the process dies before the call: what was written stays
        TornKill,    // ... in the middle of the call
        PowerCut,    // the machine dies before the call: see cut_power
    };
    // Asked before every call, on the calling thread. Must not call the disk.
    using Decide = std::function<Fault(const Call&)>;

    explicit FaultDisk(uint64_t seed);   // registers itself with SQLite under name()
    ~FaultDisk();                        // after every engine on it
    FaultDisk(const FaultDisk&) = delete;
    FaultDisk& operator=(const FaultDisk&) = delete;

    const std::string& name() const;
    void decide(Decide decide);
    void fail_call(uint64_t number, Fault fault);   // that call and no other
    void limit(uint64_t bytes);                     // of all files together; more: no space

    // Both leave the disk dead: each further call fails, on open files for ever, on others until
    // a new process starts.
    void kill_process();
    // Each 512-byte sector written since its file's last sync is kept or lost by the seed, one of
    // them may be cut in two; new files and deletions that were not synced come and go likewise.
    void cut_power();
    void start_process();

    uint64_t calls() const;
    uint64_t syncs() const;
    uint64_t bytes() const;
    bool dead() const;   // killed or cut, and no new process yet

  private:
    struct State;
    struct Handle;
    struct Methods;
    std::unique_ptr<State> state_;
};

}   // namespace skiff::store
