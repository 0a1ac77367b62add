// The engine without a disk: for tests, and as the plainest statement of what an engine does.
#include <map>

#include "base/guarded.h"
#include "base/text.h"
#include "store/engine.h"

namespace skiff::store {

struct MemoryLog {
    struct State {
        std::map<int64_t, LogRow> rows;
        int64_t compacted = 0;
        int64_t reserved = 0;
    };
    Guarded<State> state;
};

namespace {

class MemoryEngine final : public Engine {
  public:
    explicit MemoryEngine(std::shared_ptr<MemoryLog> log) : log_{std::move(log)} {}

    Result<> load(const std::function<void(LogRow&&)>& row) override {
        const auto rows = log_->state.use([](auto& state) { return state.rows; });
        for (const auto& [id, stored] : rows) row(LogRow{stored});
        return {};
    }

    Result<> append(const std::vector<LogRow>& rows, bool) override {
        return log_->state.use([&](auto& state) -> Result<> {
            for (const auto& row : rows) {
                ASSERT(state.rows.empty() || row.id() > state.rows.rbegin()->first);
                state.rows.emplace(row.id(), row);
            }
            return {};
        });
    }

    Result<> compact(const std::vector<int64_t>& ids, int64_t through) override {
        log_->state.use([&](auto& state) {
            for (const auto id : ids) state.rows.erase(id);
            state.compacted = std::max(state.compacted, through);
        });
        return {};
    }

    Result<int64_t> compacted() override {
        return log_->state.use([](auto& state) { return state.compacted; });
    }

    Result<> reserve(int64_t below) override {
        log_->state.use([&](auto& state) { state.reserved = below; });
        return {};
    }

    Result<int64_t> reserved() override {
        return log_->state.use([](auto& state) { return state.reserved; });
    }

    Result<> snapshot_to(const std::string& path) override {
        return fail(Reason::MethodNotAllowed,
                    concat("a store in memory cannot be saved to '", path, "'"));
    }

  private:
    std::shared_ptr<MemoryLog> log_;
};

}   // namespace

std::shared_ptr<MemoryLog> make_memory_log() { return std::make_shared<MemoryLog>(); }

std::unique_ptr<Engine> make_memory_engine(std::shared_ptr<MemoryLog> log) {
    return std::make_unique<MemoryEngine>(std::move(log));
}

}   // namespace skiff::store
