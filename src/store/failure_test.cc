// What the store does when its engine fails, with an engine that does as the test says; and what
// both do when a disk is really full.
#include <gtest/gtest.h>

#include <sys/mount.h>
#include <unistd.h>

#include "store/fault_vfs.h"
#include "store/test_support.h"

namespace skiff::store {
namespace {

// Hands on to a memory engine, unless told to fail.
class FailingEngine final : public Engine {
  public:
    explicit FailingEngine(std::optional<Error>& next) : next_{next} {}

    Result<> load(const std::function<void(LogRow&&)>& row) override { return below_->load(row); }
    Result<> append(const std::vector<LogRow>& rows, bool durable) override {
        if (next_ && !(next_->reason == Reason::ServiceUnavailable && only_deletes(rows)))
            return std::unexpected{*next_};
        return below_->append(rows, durable);
    }
    Result<> compact(const std::vector<int64_t>& ids, int64_t through) override {
        return below_->compact(ids, through);
    }
    Result<int64_t> compacted() override { return below_->compacted(); }
    Result<> reserve(int64_t below) override { return below_->reserve(below); }
    Result<int64_t> reserved() override { return below_->reserved(); }
    Result<> snapshot_to(const std::string& path) override { return below_->snapshot_to(path); }

  private:
    static bool only_deletes(const std::vector<LogRow>& rows) {
        for (const auto& row : rows)
            if (row.text) return false;
        return true;
    }
    std::optional<Error>& next_;
    std::unique_ptr<Engine> below_ = make_memory_engine();
};

class StoreFailure : public ::testing::Test {
  protected:
    void SetUp() override {
        options_.fatal = [this](const Error& error) { fatal_ = error.message; };
        auto opened = open_store(std::make_unique<FailingEngine>(failure_), executor_, options_);
        ASSERT_TRUE(opened.has_value());
        store_ = *std::move(opened);
        executor_.run();
        pods_ = store_->resource("/registry/pods/");
    }
    Key pod(std::string name) const { return {pods_, std::move(name)}; }
    void commit(const char* what, Transaction transaction) {
        store_->commit(std::move(transaction), [this, what](Result<Committed> done) {
            append(answers_, answers_.empty() ? "" : ", ", what, " ",
                   done                                     ? "ok"
                   : done.error().reason == Reason::Unknown ? "maybe"
                                                            : reason_text(done.error().reason));
        });
    }
    std::string answers() {
        executor_.run();
        return std::exchange(answers_, "");
    }

    StepExecutor executor_;
    StoreOptions options_;
    std::optional<Error> failure_;
    std::string fatal_;
    std::string answers_;
    std::unique_ptr<Store> store_;
    ResourceId pods_{};
};

TEST_F(StoreFailure, an_unknown_outcome_is_answered_maybe_and_published_to_nobody) {
    commit("a", put(pod("a"), "1"));
    ASSERT_EQ(answers(), "a ok");
    auto watch = store_->watch(pods_, "", store_->revision(), [] { ADD_FAILURE() << "notified"; });
    failure_ = Error{.message = "fdatasync: Input/output error"};
    const auto revision = store_->revision();
    commit("b", put(pod("b")));
    commit("a again", create(pod("a")));   // known not to be: answered at once
    commit("b again", create(pod("b")));   // saw b: as unknown as b
    EXPECT_EQ(answers(), "a again AlreadyExists, b maybe, b again maybe");
    EXPECT_EQ(fatal_, "fdatasync: Input/output error");
    EXPECT_EQ(store_->revision(), revision);
    EXPECT_EQ(store_->view(pods_).get("b"), nullptr);
    EXPECT_TRUE((*watch)->drain(10)->empty());
    // Nothing more is written: what is on disk is not known.
    failure_.reset();
    commit("c", put(pod("c")));
    commit("gone", removal(pod("a")));
    EXPECT_EQ(answers(), "c ServiceUnavailable, gone ServiceUnavailable");
}

TEST_F(StoreFailure, a_full_disk_allows_deletes_and_is_over_when_there_is_space) {
    commit("a", put(pod("a")));
    commit("b", put(pod("b")));
    ASSERT_EQ(answers(), "a ok, b ok");
    failure_ = Error{.reason = Reason::ServiceUnavailable, .message = "the disk is full"};
    // One batch: the put fails, the deletes are done without it, what leaned on the put fails.
    commit("c", create(pod("c")));
    commit("delete c", removal(pod("c")));
    commit("delete a", removal(pod("a")));
    EXPECT_EQ(answers(), "c ServiceUnavailable, delete c NotFound, delete a ok");
    EXPECT_TRUE(store_->statistics().read_only);
    EXPECT_EQ(store_->view(pods_).size(), 1u);
    commit("d", put(pod("d")));
    EXPECT_EQ(answers_, "d ServiceUnavailable");   // at once, without asking the disk
    answers_.clear();
    failure_.reset();
    commit("e", put(pod("e")));
    EXPECT_EQ(answers(), "e ServiceUnavailable");   // not asked again before a second has passed
    executor_.advance(1s);
    commit("f", put(pod("f")));
    commit("g", put(pod("g")));   // one finds out for all
    EXPECT_EQ(answers(), "g ServiceUnavailable, f ok");
    EXPECT_FALSE(store_->statistics().read_only);
    commit("h", put(pod("h")));
    EXPECT_EQ(answers(), "h ok");
    EXPECT_EQ(fatal_, "");
}

// Fills the disk below an SQLite store with puts, then empties the store.
void fill_and_empty(const SqliteOptions& sqlite, const std::function<void()>& make_room) {
    StepExecutor executor;
    StoreOptions options{.window = 1min,
                         .fatal = [](const Error& error) { ADD_FAILURE() << error.message; }};
    auto engine = open_sqlite(sqlite);
    ASSERT_TRUE(engine.has_value()) << engine.error().message;
    auto opened = open_store(*std::move(engine), executor, options);
    ASSERT_TRUE(opened.has_value());
    auto store = *std::move(opened);
    const auto pods = store->resource("/registry/pods/");
    const auto commit = [&](Transaction transaction) {
        return commit_and_wait(executor, *store, std::move(transaction));
    };
    const std::string data(50'000, 'x');
    int stored = 0;
    Reason reason = Reason::Unknown;
    for (; stored < 1000; ++stored) {
        const auto done = commit(put({pods, concat("p", stored)}, data));
        if (done) continue;
        reason = done.error().reason;
        EXPECT_NE(done.error().message.find("the disk is full"), std::string::npos);
        break;
    }
    ASSERT_GT(stored, 5);
    ASSERT_EQ(reason, Reason::ServiceUnavailable);
    EXPECT_EQ(store->view(pods).size(), static_cast<size_t>(stored));
    for (int i = 0; i < stored; ++i) {
        const auto done = commit(removal({pods, concat("p", i)}));
        ASSERT_TRUE(done.has_value()) << i << " of " << stored << ": " << done.error().message;
    }
    EXPECT_TRUE(store->statistics().read_only);
    make_room();
    executor.advance(2s);
    const auto again = commit(put({pods, "again"}, data));
    ASSERT_TRUE(again.has_value()) << again.error().message;
    EXPECT_FALSE(store->statistics().read_only);
    executor.run();
    store.reset();
    auto reopened = open_sqlite(sqlite);
    ASSERT_TRUE(reopened.has_value());
    store = *open_store(*std::move(reopened), executor, options);
    EXPECT_EQ(store->view(store->resource("/registry/pods/")).size(), 1u);
}

TEST(StoreFullDisk, deletes_go_on_with_the_reserve) {
    FaultDisk disk{1};
    disk.limit(2u << 20);
    fill_and_empty({.path = "/store.db",
                    .vfs = disk.name(),
                    .reserve_bytes = 512u << 10,
                    .checkpoint_pages = 8},
                   [&] { disk.limit(4u << 20); });
}

TEST(StoreFullDisk, deletes_go_on_on_a_real_full_file_system) {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root to mount a tmpfs";
    TempDirectory directory;
    if (::mount("skiff-test", directory.path().c_str(), "tmpfs", 0, "size=4m") != 0)
        GTEST_SKIP() << "cannot mount a tmpfs here";
    const auto path = directory / "store.db";
    fill_and_empty({.path = path, .reserve_bytes = 512u << 10, .checkpoint_pages = 8}, [&] {
        EXPECT_FALSE(file_exists(path + ".reserve"));
        EXPECT_EQ(::mount("", directory.path().c_str(), nullptr, MS_REMOUNT, "size=16m"), 0);
    });
    EXPECT_TRUE(file_exists(path + ".reserve"));   // for the next time
    EXPECT_EQ(::umount2(directory.path().c_str(), MNT_DETACH), 0);
}

}   // namespace
}   // namespace skiff::store
