// The store's engines under the world: what passes is recorded, and the process may die at any
// write, before or after it.
#pragma once

#include <functional>
#include <memory>

#include "sim/record.h"
#include "store/engine.h"
#include "store/fault_vfs.h"

namespace skiff::sim {

// What is left when a server dies: the disk.
class Disk {
  public:
    enum class Kind : uint8_t { Memory, Sqlite };
    Disk(World& world, Record& record, Kind kind);

    // A new process opens it. `died` is called, once, when the disk's fault ends that process.
    Result<std::unique_ptr<store::Engine>> open(std::function<void()> died);
    void die_at_write(uint64_t writes_from_now);   // 0: never
    void kill();                                   // the process: nothing more reaches the disk
    bool dead() const { return dead_; }
    void calm() { faults_ = false; }

  private:
    friend class RecordingEngine;
    bool reaches_fault();

    World& world_;
    Record& record_;
    const Kind kind_;
    std::shared_ptr<store::MemoryLog> log_ = store::make_memory_log();
    std::unique_ptr<store::FaultDisk> files_;
    std::function<void()> died_;
    uint64_t writes_left_ = 0;
    bool faults_ = true;
    bool dead_ = false;
    bool lossy_ = false;
};

}   // namespace skiff::sim
