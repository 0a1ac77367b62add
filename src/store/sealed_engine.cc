#include "store/sealed_engine.h"

#include <algorithm>

#include "base/text.h"

namespace skiff::store {
namespace {

class SealedEngine final : public Engine {
  public:
    SealedEngine(std::unique_ptr<Engine> below, Cipher cipher, StaleKeys stale)
        : below_{std::move(below)}, cipher_{std::move(cipher)}, stale_{std::move(stale)} {}

    Result<> load(const std::function<void(LogRow&&)>& row) override {
        Result<> opened{};
        TRY_OK(below_->load([&](LogRow&& stored) {
            if (!opened) return;
            if (cipher_.covers(stored.key)) opened = open(stored);
            if (opened) row(std::move(stored));
        }));
        return opened;
    }

    Result<> append(const std::vector<LogRow>& rows, bool durable) override {
        const auto covered = [&](const LogRow& row) { return row.text && cipher_.covers(row.key); };
        if (std::ranges::none_of(rows, covered)) return below_->append(rows, durable);
        auto sealed = rows;
        for (auto& row : sealed) {
            if (!covered(row)) continue;
            TRY(row.text, cipher_.seal(row.key, *row.text));
        }
        return below_->append(sealed, durable);
    }

    Result<> compact(const std::vector<int64_t>& ids, int64_t through) override {
        return below_->compact(ids, through);
    }
    Result<int64_t> compacted() override { return below_->compacted(); }
    Result<> reserve(int64_t below) override { return below_->reserve(below); }
    Result<int64_t> reserved() override { return below_->reserved(); }
    Result<> tidy(Load load) override { return below_->tidy(load); }
    Result<> sync() override { return below_->sync(); }
    Result<> snapshot_to(const std::string& path) override { return below_->snapshot_to(path); }

  private:
    Result<> open(LogRow& row) {
        stale_->erase(row.key);
        if (!row.text) return {};
        auto opened = cipher_.open(row.key, *row.text);
        if (!opened)
            return fail(Reason::InternalError, concat(row.key, ": ", opened.error().message));
        if (!opened->current) stale_->insert(row.key);
        row.text = std::move(opened->text);
        return {};
    }

    std::unique_ptr<Engine> below_;
    Cipher cipher_;
    StaleKeys stale_;
};

}   // namespace

std::unique_ptr<Engine> seal_engine(std::unique_ptr<Engine> below, Cipher cipher, StaleKeys stale) {
    return std::make_unique<SealedEngine>(std::move(below), std::move(cipher), std::move(stale));
}

}   // namespace skiff::store
