#include "sim/engines.h"

#include "base/text.h"

namespace skiff::sim {

class RecordingEngine final : public store::Engine {
  public:
    RecordingEngine(Disk& disk, std::unique_ptr<store::Engine> engine)
        : disk_{disk}, engine_{std::move(engine)} {}

    Result<> load(const std::function<void(store::LogRow&&)>& row) override {
        std::vector<store::LogRow> rows;
        TRY_OK(engine_->load([&](store::LogRow&& one) { rows.push_back(std::move(one)); }));
        disk_.record_.found(rows, disk_.lossy_);
        disk_.lossy_ = false;
        for (auto& one : rows) row(std::move(one));
        return {};
    }
    Result<> append(const std::vector<store::LogRow>& rows, bool durable) override {
        if (disk_.dead_) return gone();
        const bool dies = disk_.reaches_fault();
        const bool before = dies && disk_.kind_ == Disk::Kind::Memory && disk_.world_.chance(0.5);
        if (before) return end();
        disk_.world_.pass();
        auto done = engine_->append(rows, durable);
        if (done)
            disk_.record_.appended(rows, durable);
        else if (done.error().reason != Reason::ServiceUnavailable)
            disk_.record_.doubtful(rows);
        if (!done) disk_.kill();
        if (dies) return end();
        return done;
    }
    Result<> compact(const std::vector<int64_t>& ids, int64_t through) override {
        return guarded([&] { return engine_->compact(ids, through); });
    }
    Result<int64_t> compacted() override { return engine_->compacted(); }
    Result<> reserve(int64_t below) override {
        return guarded([&] { return engine_->reserve(below); });
    }
    Result<int64_t> reserved() override { return engine_->reserved(); }
    Result<> tidy(Load load) override {
        return guarded([&] { return engine_->tidy(load); });
    }
    Result<> sync() override {
        return guarded([&] { return engine_->sync(); });
    }
    Result<> snapshot_to(const std::string& path) override { return engine_->snapshot_to(path); }

  private:
    static std::unexpected<Error> gone() {
        return fail(Reason::InternalError, "the process is dead");
    }
    std::unexpected<Error> end() {
        disk_.kill();
        return gone();
    }
    template <class F>
    Result<> guarded(F call) {
        if (disk_.dead_) return gone();
        auto done = call();
        if (!done) disk_.kill();
        return done;
    }

    Disk& disk_;
    std::unique_ptr<store::Engine> engine_;
};

Disk::Disk(World& world, Record& record, Kind kind) : world_{world}, record_{record}, kind_{kind} {
    if (kind == Kind::Sqlite) files_ = std::make_unique<store::FaultDisk>(world.seed());
}

Result<std::unique_ptr<store::Engine>> Disk::open(std::function<void()> died) {
    died_ = std::move(died);
    dead_ = false;
    std::unique_ptr<store::Engine> engine;
    if (kind_ == Kind::Memory) {
        engine = store::make_memory_engine(log_);
    } else {
        files_->start_process();
        TRY(engine, store::open_sqlite({.path = "/store.db",
                                        .vfs = files_->name(),
                                        .reserve_bytes = 64u << 10,
                                        .checkpoint_pages = 8}));
    }
    return std::make_unique<RecordingEngine>(*this, std::move(engine));
}

void Disk::die_at_write(uint64_t writes_from_now) {
    writes_left_ = writes_from_now;
    if (!files_) return;
    // In the middle of SQLite's own calls, of which a commit has several.
    using Fault = store::FaultDisk::Fault;
    const uint64_t at =
        writes_from_now == 0 ? 0 : files_->calls() + writes_from_now * 3 + world_.below(3);
    const Fault fault = world_.chance(0.4)   ? Fault::PowerCut
                        : world_.chance(0.5) ? Fault::Kill
                                             : Fault::TornKill;
    lossy_ = lossy_ || (at > 0 && fault == Fault::PowerCut);
    files_->fail_call(at, fault);
    writes_left_ = 0;
}

bool Disk::reaches_fault() { return faults_ && writes_left_ > 0 && --writes_left_ == 0; }

void Disk::kill() {
    if (std::exchange(dead_, true)) return;
    if (files_ && !files_->dead()) files_->kill_process();
    if (died_) std::exchange(died_, nullptr)();
}

}   // namespace skiff::sim
