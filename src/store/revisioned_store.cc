// The store: intake, engine and image put together. Commits run in one task at a time on the
// executor (group commit: a batch is all that was queued while the one before was written), in
// the order engine, image, watchers, completions.
#include <algorithm>
#include <atomic>

#include "base/guarded.h"
#include "base/log.h"
#include "base/text.h"
#include "store/engine.h"
#include "store/image.h"
#include "store/intake.h"
#include "store/object.h"

namespace skiff::store {
namespace {

constexpr int64_t revisions_reserved_at_once = 4096;
constexpr size_t garbage_rows_at_once = 128;      // bounds how long compaction holds up a commit
constexpr size_t garbage_rows_tolerated = 1024;   // above it compaction does not wait for a pause
constexpr auto relaxed_lost_max = std::chrono::seconds{1};   // by a power cut
constexpr auto slow_load = std::chrono::seconds{1};

int64_t wall_ms(const Clock& clock) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(clock.now().time_since_epoch())
        .count();
}

class Core : public std::enable_shared_from_this<Core> {
  public:
    Core(std::unique_ptr<Engine> engine, Executor& executor, StoreOptions options)
        : engine_{std::move(engine)},
          executor_{executor},
          options_{std::move(options)},
          image_{options_.window, options_.window_revisions_max} {}

    Result<> load();
    void commit(Transaction transaction, Completion completion);
    void close();
    Statistics statistics();

    Image& image() { return image_; }
    Result<> snapshot_to(const std::string& path) { return engine_->snapshot_to(path); }

  private:
    // Who runs the committer: nobody, a posted task that has not started, or a running one.
    enum class Committer : uint8_t { Idle, Posted, Running };
    struct Front {
        std::optional<Intake> intake;
        Committer committer = Committer::Idle;
        bool upkeep = false;   // the window may have something to drop
        bool closed = false;
        TimerId timer = TimerId::None;
        TimerId sync_timer = TimerId::None;
        std::shared_ptr<Waiter> closing;
        uint64_t commits = 0;
        uint64_t batches = 0;
    };

    void load_row(LogRow&& row, int64_t now_ms, MonoTime now);
    Result<> check(Transaction& transaction) const;
    void start_committer();
    void run_committer();
    void work();
    void write(std::vector<Commit> batch);
    Result<> append(const std::vector<LogRow>& rows, bool durable);
    void publish(std::vector<Commit> batch, std::vector<Change> changes);
    void fail_batch(std::vector<Commit> batch, Error error);
    void stop(const Error& error);
    void plan_sync();
    void sync();
    bool upkeep(bool pressing);
    void plan_upkeep();

    std::unique_ptr<Engine> engine_;   // until closed
    Executor& executor_;
    const StoreOptions options_;
    Image image_;
    Guarded<Front> front_;

    std::atomic<bool> dead_ = false;       // an outcome was unknown: nothing is written any more
    std::atomic<bool> unsynced_ = false;   // relaxed commits came after the last durable one
    Guarded<int> syncing_;                 // held by a sync, so that the engine outlives it

    // The committer's own.
    int64_t reserved_ = 0;
    int64_t last_time_ms_ = 0;
    // Loading.
    Revision load_last_;
    Revision load_floor_;
    bool load_in_window_ = false;
};

Result<> Core::load() {
    const MonoTime started = executor_.clock().monotonic();
    // What the last process wrote and did not live to sync is about to be shown: a power cut must
    // not take it back.
    TRY_OK(engine_->sync());
    TRY(reserved_, engine_->reserved());
    TRY(const int64_t compacted, engine_->compacted());
    load_floor_ = {compacted};
    const int64_t now_ms = wall_ms(executor_.clock());
    size_t rows = 0;
    MonoTime told = started;
    TRY_OK(engine_->load([&](LogRow&& row) {
        load_row(std::move(row), now_ms, started);
        if (++rows % 1024 != 0) return;
        image_.publish(load_last_);
        image_.trim(started);
        const MonoTime now = executor_.clock().monotonic();
        if (now - told < slow_load) return;
        told = now;
        log_info("loading the store", {{"rows", rows}});
    }));
    // A revision that may have been given out must never be given again, and no client may know a
    // newer one than ours. 1 is the least, as in etcd: "0" has a meaning of its own in the API.
    const Revision last{std::max({int64_t{1}, reserved_ - 1, load_last_.value, compacted})};
    image_.start(last, load_floor_);
    image_.trim(started);
    front_.use([&](Front& front) {
        front.intake.emplace(
            last, [this](const Key& key) { return image_.published(key); },
            [this](const Key& key) { return image_.spell(key); });
        front.upkeep = true;
    });
    if (executor_.clock().monotonic() - started > slow_load)
        log_info("the store is loaded", {{"rows", rows}, {"objects", image_.objects()}});
    start_committer();
    return {};
}

void Core::load_row(LogRow&& row, int64_t now_ms, MonoTime now) {
    const std::string_view key = row.key;
    const auto resource = image_.resource(key.substr(0, row.prefix_size));
    Change change{.key = {resource, std::string{key.substr(row.prefix_size)}},
                  .revision = {row.revision},
                  .rows_after = row.rows_after};
    if (row.text) {
        auto attributes = options_.describe ? options_.describe(key, *row.text) : nullptr;
        change.object = make_object({.text = *row.text,
                                     .splice_at = row.splice_at,
                                     .created = {row.created},
                                     .modified = {row.revision},
                                     .rows_after = row.rows_after,
                                     .schema_revision = row.schema_revision,
                                     .attributes = std::move(attributes)});
    }
    const auto age = std::chrono::milliseconds{std::max<int64_t>(0, now_ms - row.time_ms)};
    // Times never fall along the log, so from the first young row on all are in the window.
    load_in_window_ |= row.revision > load_floor_.value && age < options_.window;
    load_last_ = {row.revision};
    last_time_ms_ = row.time_ms;
    if (load_in_window_) {
        image_.load_event(std::move(change), now - age);
    } else {
        load_floor_ = std::max(load_floor_, Revision{row.revision});
        image_.load_old(std::move(change));
    }
}

Result<> Core::check(Transaction& transaction) const {
    for (auto& write : transaction.writes) {
        const auto where = [&] { return concat("the write of '", image_.spell(write.key), "'"); };
        if (write.key.name.empty() || write.key.name.size() > name_bytes_max)
            return fail(Reason::BadRequest, where() + ": the name must have 1 to 1024 bytes");
        for (const auto& other : transaction.writes) {
            if (&other == &write) break;
            if (other.key == write.key)
                return fail(Reason::BadRequest, where() + ": a key must be written once at most");
        }
        if (!write.text) continue;
        if (write.splice_at > 0 &&
            (write.splice_at >= write.text->size() || (*write.text)[write.splice_at - 1] != '{'))
            return fail(Reason::BadRequest, where() + ": splice_at must follow a '{'");
        if (!write.attributes && options_.describe)
            write.attributes = options_.describe(image_.spell(write.key), *write.text);
    }
    return {};
}

void Core::commit(Transaction transaction, Completion completion) {
    if (auto problem = check(transaction); !problem)
        return completion(std::unexpected{std::move(problem).error()});
    Commit commit{.transaction = std::move(transaction), .completion = std::move(completion)};
    const MonoTime now = executor_.clock().monotonic();
    auto answer =
        front_.use([&](Front& front) { return front.intake->admit(std::move(commit), now); });
    if (answer) return answer->give();
    start_committer();
}

void Core::start_committer() {
    const bool post = front_.use([](Front& front) {
        if (front.committer != Committer::Idle || front.closed) return false;
        front.committer = Committer::Posted;
        return true;
    });
    if (post) executor_.post([core = shared_from_this()] { core->run_committer(); });
}

void Core::run_committer() {
    const bool mine = front_.use([](Front& front) {
        if (front.committer != Committer::Posted) return false;   // close() did the work
        front.committer = Committer::Running;
        return true;
    });
    if (mine) work();
}

void Core::work() {
    for (;;) {
        auto batch = front_.use([](Front& front) { return front.intake->take_batch(); });
        if (!batch.empty()) {
            write(std::move(batch));
            upkeep(true);
            continue;
        }
        if (upkeep(false)) continue;
        plan_upkeep();
        std::shared_ptr<Waiter> closing;
        const bool done = front_.use([&](Front& front) {
            if (!front.intake->empty() || (front.upkeep && !front.closed)) return false;
            front.committer = Committer::Idle;
            closing = front.closing;
            return true;
        });
        if (!done) continue;
        if (closing) closing->notify();
        return;
    }
}

void Core::write(std::vector<Commit> batch) {
    std::vector<LogRow> rows;
    std::vector<Change> changes;
    bool durable = false;
    last_time_ms_ = std::max(last_time_ms_, wall_ms(executor_.clock()));
    for (auto& commit : batch) {
        auto left = static_cast<uint32_t>(commit.rows());
        if (left > 0) durable |= commit.transaction.durability == Durability::Durable;
        for (size_t i = 0; i < commit.created.size(); ++i) {
            if (commit.created[i].value == 0) continue;
            auto& write = commit.transaction.writes[i];
            --left;
            Change change{.key = write.key, .revision = commit.revision, .rows_after = left};
            if (write.text) {
                change.object = make_object({.text = *write.text,
                                             .splice_at = write.splice_at,
                                             .created = commit.created[i],
                                             .modified = commit.revision,
                                             .rows_after = left,
                                             .schema_revision = write.schema_revision,
                                             .attributes = std::move(write.attributes)});
            }
            auto prefix = image_.prefix(write.key.resource);
            rows.push_back({.revision = commit.revision.value,
                            .rows_after = left,
                            .key = prefix + write.key.name,
                            .prefix_size = static_cast<uint32_t>(prefix.size()),
                            .splice_at = write.splice_at,
                            .schema_revision = write.schema_revision,
                            .created = commit.created[i].value,
                            .time_ms = last_time_ms_});
            if (write.text) rows.back().text = std::move(*write.text);
            changes.push_back(std::move(change));
        }
    }
    if (auto done = append(rows, durable); !done)
        return fail_batch(std::move(batch), std::move(done).error());
    if (!rows.empty()) unsynced_ = !durable;
    if (unsynced_) plan_sync();
    publish(std::move(batch), std::move(changes));
}

Result<> Core::append(const std::vector<LogRow>& rows, bool durable) {
    if (rows.empty()) return {};
    const int64_t last = rows.back().revision;
    if (last >= reserved_) {
        TRY_OK(engine_->reserve(last + revisions_reserved_at_once));
        reserved_ = last + revisions_reserved_at_once;
    }
    return engine_->append(rows, durable);
}

void Core::publish(std::vector<Commit> batch, std::vector<Change> changes) {
    const MonoTime now = executor_.clock().monotonic();
    const bool put =
        std::ranges::any_of(changes, [](const Change& change) { return !!change.object; });
    std::vector<ObjectPtr> stored;
    stored.reserve(changes.size());
    for (const auto& change : changes) stored.push_back(change.object);
    Revision last;
    if (!changes.empty()) {
        last = changes.back().revision;
        image_.apply(std::move(changes), now);
        image_.publish(last);
    }
    front_.use([&](Front& front) {
        front.intake->settle(batch);
        front.commits += batch.size();
        if (!stored.empty()) ++front.batches;
        if (put) front.intake->space_is_back();
    });
    size_t next = 0;
    for (auto& commit : batch) {
        if (commit.refused) {
            commit.completion(std::unexpected{*std::move(commit.refused)});
            continue;
        }
        Committed committed{.revision = commit.revision};
        for (const auto created : commit.created)
            committed.objects.push_back(created.value == 0 ? nullptr : std::move(stored[next++]));
        commit.completion(std::move(committed));
    }
}

void Core::fail_batch(std::vector<Commit> batch, Error error) {
    if (error.reason == Reason::ServiceUnavailable) {
        const MonoTime now = executor_.clock().monotonic();
        bool first = false;
        auto answers = front_.use([&](Front& front) {
            first = !front.intake->read_only();
            return front.intake->refuse_for_space(std::move(batch), error, now);
        });
        if (first) log_error("the store is read-only", {{"error", error.message}});
        for (auto& answer : answers) answer.give();
        return;
    }
    const Error maybe{.reason = Reason::Unknown,
                      .message = concat("the outcome is not known: ", error.message)};
    dead_ = true;
    for (auto& commit : batch) commit.completion(std::unexpected{maybe});
    stop(error);
}

void Core::stop(const Error& error) {
    const Error stopped{.reason = Reason::ServiceUnavailable,
                        .message = concat("the store has stopped: ", error.message)};
    dead_ = true;
    auto answers = front_.use([&](Front& front) { return front.intake->stop(stopped); });
    for (auto& answer : answers) answer.give();
    if (options_.fatal) options_.fatal(error);
}

// Relaxed commits reach the disk with the next durable one, or by themselves a moment later. In a
// task of its own, beside the committer: no durable commit waits for it.
void Core::plan_sync() {
    front_.use([&](Front& front) {
        if (front.sync_timer != TimerId::None || front.closed) return;
        front.sync_timer = executor_.after(relaxed_lost_max, [weak = weak_from_this()] {
            if (const auto core = weak.lock()) core->sync();
        });
    });
}

void Core::sync() {
    front_.use([](Front& front) { front.sync_timer = TimerId::None; });
    Result<> done;
    syncing_.use([&](int&) {
        if (engine_ && !dead_ && unsynced_.exchange(false)) done = engine_->sync();
    });
    if (!done) stop(done.error());
}

// One bounded piece of what need not be done now; `pressing`: only what must not pile up. False:
// nothing is left.
bool Core::upkeep(bool pressing) {
    if (dead_) {
        front_.use([](Front& front) { front.upkeep = false; });
        return false;
    }
    front_.use([](Front& front) { front.upkeep = false; });
    image_.trim(executor_.clock().monotonic());
    if (image_.garbage() > (pressing ? garbage_rows_tolerated : 0)) {
        const auto ids = image_.oldest_garbage(garbage_rows_at_once);
        auto done = engine_->compact(ids, image_.floor().value);
        if (!done && done.error().reason == Reason::ServiceUnavailable) return false;   // later
        if (!done) stop(done.error());
        if (done) image_.drop_garbage(ids.size());
        return done.has_value();
    }
    auto done = engine_->tidy(pressing ? Engine::Load::CommitsWaiting : Engine::Load::Idle);
    if (!done) stop(done.error());
    return false;
}

// While nothing is committed the window must still give back what has become too old.
void Core::plan_upkeep() {
    const auto due = image_.next_trim();
    if (!due || dead_) return;
    const MonoTime now = executor_.clock().monotonic();
    // Not at every event's own time: a tenth of a window late is soon enough.
    const Duration delay = std::max<Duration>(*due - now, Duration::zero()) + options_.window / 10;
    front_.use([&](Front& front) {
        if (front.timer != TimerId::None || front.closed) return;
        front.timer = executor_.after(delay, [weak = weak_from_this()] {
            const auto core = weak.lock();
            if (!core) return;
            core->front_.use([](Front& woken) {
                woken.timer = TimerId::None;
                woken.upkeep = true;
            });
            core->start_committer();
        });
    });
}

void Core::close() {
    auto waiter = executor_.make_waiter();
    TimerId timers[2];
    const auto state = front_.use([&](Front& front) {
        front.closed = true;
        timers[0] = std::exchange(front.timer, TimerId::None);
        timers[1] = std::exchange(front.sync_timer, TimerId::None);
        const auto before = front.committer;
        if (before == Committer::Running) {
            front.closing = waiter;
        } else {
            front.committer = Committer::Running;   // what a posted task would have done is ours
        }
        return before;
    });
    for (const auto timer : timers)
        if (timer != TimerId::None) executor_.cancel(timer);
    if (state == Committer::Running) {
        waiter->wait();
    } else if (!front_.use([](Front& front) { return front.intake->empty(); })) {
        work();
    }
    // Gives back the numbers that were not used, so that a clean restart goes on where it was.
    const auto last = front_.use([](Front& front) { return front.intake->last(); });
    if (!dead_ && last.value + 1 < reserved_) {
        if (auto done = engine_->reserve(last.value + 1); !done)
            log_warn("the store's end could not be noted", {{"error", done.error().message}});
    }
    // Here and not with the last reference to us, which a task that is just ending may hold: who
    // has seen the store go may open its file again.
    syncing_.use([&](int&) { engine_.reset(); });
}

Statistics Core::statistics() {
    Statistics found{.revision = image_.revision(),
                     .oldest_watchable = image_.floor(),
                     .objects = image_.objects(),
                     .watches = image_.watches()};
    front_.use([&](const Front& front) {
        found.commits = front.commits;
        found.engine_batches = front.batches;
        found.read_only = front.intake->read_only();
    });
    return found;
}

class RevisionedStore final : public Store {
  public:
    explicit RevisionedStore(std::shared_ptr<Core> core) : core_{std::move(core)} {}
    ~RevisionedStore() override { core_->close(); }
    RevisionedStore(const RevisionedStore&) = delete;
    RevisionedStore& operator=(const RevisionedStore&) = delete;

    void commit(Transaction transaction, Completion completion) override {
        core_->commit(std::move(transaction), std::move(completion));
    }
    Revision revision() const override { return core_->image().revision(); }
    View view(ResourceId resource) const override { return core_->image().view(resource); }
    Result<View> view_at(ResourceId resource, Revision at) const override {
        return core_->image().view_at(resource, at);
    }
    Result<std::unique_ptr<Watch>> watch(ResourceId resource, std::string prefix, Revision after,
                                         std::function<void()> notify) override {
        return core_->image().history(resource)->watch(std::move(prefix), after, std::move(notify));
    }
    ResourceId resource(std::string_view prefix) override {
        return core_->image().resource(prefix);
    }
    Statistics statistics() const override { return core_->statistics(); }
    Result<> snapshot_to(const std::string& path) override { return core_->snapshot_to(path); }

  private:
    std::shared_ptr<Core> core_;
};

}   // namespace

Result<std::unique_ptr<Store>> open_store(std::unique_ptr<Engine> engine, Executor& executor,
                                          StoreOptions options) {
    auto core = std::make_shared<Core>(std::move(engine), executor, std::move(options));
    TRY_OK(core->load());
    return std::make_unique<RevisionedStore>(std::move(core));
}

Result<Committed> commit_and_wait(Executor& executor, Store& store, Transaction transaction) {
    struct Outcome {
        std::shared_ptr<Waiter> waiter;
        std::optional<Result<Committed>> result;
    };
    auto outcome = std::make_shared<Outcome>(Outcome{.waiter = executor.make_waiter()});
    store.commit(std::move(transaction), [outcome](Result<Committed> result) {
        outcome->result = std::move(result);
        outcome->waiter->notify();
    });
    outcome->waiter->wait();
    return *std::move(outcome->result);
}

}   // namespace skiff::store
