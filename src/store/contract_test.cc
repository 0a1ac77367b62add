// What every engine under the store must make true, one check for each watch guarantee by its name.
#include <gtest/gtest.h>

#include "store/test_support.h"

namespace skiff::store {
namespace {

// An engine's disk: can be opened again and again.
class Disk {
  public:
    virtual ~Disk() = default;
    virtual std::unique_ptr<Engine> open() = 0;
};

class MemoryDisk final : public Disk {
  public:
    std::unique_ptr<Engine> open() override { return make_memory_engine(log_); }

  private:
    std::shared_ptr<MemoryLog> log_ = make_memory_log();
};

class SqliteDisk final : public Disk {
  public:
    std::unique_ptr<Engine> open() override {
        auto engine = open_sqlite({.path = directory_ / "store.db", .reserve_bytes = 64u << 10});
        EXPECT_TRUE(engine.has_value()) << engine.error().message;
        return *std::move(engine);
    }

  private:
    TempDirectory directory_;
};

struct Kind {
    const char* name;
    std::unique_ptr<Disk> (*make)();
};

class StoreContract : public ::testing::TestWithParam<Kind> {
  protected:
    void SetUp() override {
        disk_ = GetParam().make();
        open();
    }
    void open() {
        auto opened = open_store(disk_->open(), executor_, options_);
        ASSERT_TRUE(opened.has_value()) << opened.error().message;
        store_ = *std::move(opened);
        executor_.run();
        pods_ = store_->resource("/registry/pods/");
        nodes_ = store_->resource("/registry/minions/");
    }
    void reopen() {
        store_.reset();
        open();
    }
    Key pod(std::string name) const { return {pods_, std::move(name)}; }
    Key node(std::string name) const { return {nodes_, std::move(name)}; }
    Result<Committed> commit(Transaction transaction) {
        return commit_and_wait(executor_, *store_, std::move(transaction));
    }
    Revision must(Transaction transaction) {
        auto done = commit(std::move(transaction));
        EXPECT_TRUE(done.has_value()) << done.error().message;
        return done ? done->revision : Revision{};
    }
    std::unique_ptr<Watch> watch(Revision after, std::string prefix = "") {
        auto made = store_->watch(pods_, std::move(prefix), after, [this] { ++notified_; });
        EXPECT_TRUE(made.has_value()) << made.error().message;
        return made ? *std::move(made) : nullptr;
    }
    static std::vector<std::shared_ptr<const Event>> drain(Watch& watch) {
        std::vector<std::shared_ptr<const Event>> all;
        for (;;) {
            auto events = watch.drain(3);
            EXPECT_TRUE(events.has_value()) << events.error().message;
            if (!events || events->empty()) return all;
            all.insert(all.end(), events->begin(), events->end());
        }
    }
    // "name=data" of puts, "-name=data" of deletions.
    static std::string story(const std::vector<std::shared_ptr<const Event>>& events) {
        std::string text;
        for (const auto& event : events) {
            append(text, text.empty() ? "" : " ", event->kind == Event::Kind::Delete ? "-" : "",
                   event->key.name, "=", data_of(event->object));
        }
        return text;
    }
    std::string list(const View& view) const {
        std::string text;
        view.scan("", std::nullopt, [&](std::string_view name, const ObjectPtr& object) {
            append(text, text.empty() ? "" : " ", name, "=", data_of(object));
            return true;
        });
        return text;
    }

    StepExecutor executor_;
    StoreOptions options_;
    std::unique_ptr<Disk> disk_;
    std::unique_ptr<Store> store_;
    ResourceId pods_{};
    ResourceId nodes_{};
    int notified_ = 0;
};

TEST_P(StoreContract, an_object_is_stored_and_read_with_its_revision) {
    const auto made = commit(create(pod("default/web"), "one"));
    ASSERT_TRUE(made.has_value());
    const auto object = store_->view(pods_).get("default/web");
    ASSERT_TRUE(object);
    EXPECT_EQ(object, made->objects[0]);
    EXPECT_EQ(object->text.view(),
              concat(R"({"metadata":{"resourceVersion":")", made->revision.value,
                     R"(","name":"default/web"},"data":"one"})"));
    EXPECT_EQ(object->created, made->revision);
    const auto second = must(update(pod("default/web"), made->revision, "two"));
    EXPECT_GT(second, made->revision);
    EXPECT_EQ(store_->revision(), second);
    const auto updated = store_->view(pods_).get("default/web");
    EXPECT_EQ(updated->created, made->revision);
    EXPECT_EQ(updated->modified, second);
    EXPECT_EQ(data_of(object), "one");   // what was read stays as it was
}

TEST_P(StoreContract, preconditions_refuse_with_their_reasons) {
    const auto first = must(create(pod("a")));
    const auto second = must(update(pod("a"), first));
    const auto exists = [&](const char* name) {
        Transaction transaction = put(pod(name));
        transaction.preconditions.push_back({Precondition::Must::Exist, pod(name), {}});
        return transaction;
    };
    struct Row {
        const char* why;
        Transaction transaction;
        Reason reason;
    };
    Row rows[] = {
        {"created twice", create(pod("a")), Reason::AlreadyExists},
        {"an old revision", update(pod("a"), first), Reason::Conflict},
        {"a revision of nothing", update(pod("b"), second), Reason::NotFound},
        {"must exist", exists("b"), Reason::NotFound},
        {"deleted before it was", removal(pod("b")), Reason::NotFound},
        {"an empty name", put(pod("")), Reason::BadRequest},
    };
    const auto before = store_->revision();
    for (auto& row : rows) {
        const auto done = commit(std::move(row.transaction));
        ASSERT_FALSE(done.has_value()) << row.why;
        EXPECT_EQ(done.error().reason, row.reason) << row.why;
        EXPECT_NE(done.error().message.find("/registry/pods/"), std::string::npos);
    }
    EXPECT_EQ(store_->revision(), before);
}

TEST_P(StoreContract, a_transaction_happens_whole_or_not_at_all) {
    Transaction both = create(pod("a"), "1");
    both.writes.push_back(put_write(node("n"), "2"));
    both.preconditions.push_back({Precondition::Must::BeAbsent, node("n"), {}});
    const auto done = commit(std::move(both));
    ASSERT_TRUE(done.has_value());
    EXPECT_EQ(done->objects[0]->modified, done->revision);
    EXPECT_EQ(done->objects[1]->modified, done->revision);
    Transaction half = create(pod("b"));
    half.preconditions.push_back({Precondition::Must::BeAbsent, node("n"), {}});
    EXPECT_FALSE(commit(std::move(half)).has_value());
    EXPECT_EQ(store_->view(pods_).size(), 1u);
    reopen();
    EXPECT_EQ(data_of(store_->view(pods_).get("a")), "1");
    EXPECT_EQ(data_of(store_->view(nodes_).get("n")), "2");
    EXPECT_EQ(store_->view(nodes_).get("n")->modified, done->revision);
}

TEST_P(StoreContract, transactions_without_effect_take_no_revision) {
    const auto revision = must(create(pod("a")));
    Transaction check;
    check.preconditions.push_back({Precondition::Must::BeAt, pod("a"), revision});
    EXPECT_EQ(must(std::move(check)), revision);
    Transaction nothing;
    nothing.writes.push_back({.key = pod("none")});
    EXPECT_EQ(must(std::move(nothing)), revision);
    EXPECT_EQ(store_->revision(), revision);
}

TEST_P(StoreContract, commits_that_wait_share_a_batch_and_see_each_other) {
    std::vector<std::string> answers;
    const auto commit_as = [&](const char* what, Transaction transaction) {
        store_->commit(std::move(transaction), [&answers, what](Result<Committed> done) {
            answers.push_back(concat(what, " ", done ? "ok" : reason_text(done.error().reason)));
        });
    };
    const auto before = store_->statistics();
    commit_as("create", create(pod("a"), "1"));
    commit_as("create again", create(pod("a"), "2"));   // saw what is not yet durable: waits
    commit_as("update", update(pod("a"), {before.revision.value + 1}, "3"));
    commit_as("delete", removal(pod("a")));
    commit_as("delete again", removal(pod("a")));
    commit_as("create anew", create(pod("a"), "4"));
    commit_as("other", removal(pod("b")));   // saw only what is durable: answered at once
    EXPECT_EQ(answers, std::vector<std::string>{"other NotFound"});
    EXPECT_EQ(store_->view(pods_).size(), 0u);
    executor_.run();
    EXPECT_EQ(answers, (std::vector<std::string>{
                           "other NotFound", "create ok", "create again AlreadyExists", "update ok",
                           "delete ok", "delete again NotFound", "create anew ok"}));
    EXPECT_EQ(store_->statistics().engine_batches, before.engine_batches + 1);
    EXPECT_EQ(data_of(store_->view(pods_).get("a")), "4");
    EXPECT_EQ(store_->view(pods_).get("a")->created, store_->revision());
    reopen();
    EXPECT_EQ(data_of(store_->view(pods_).get("a")), "4");
}

TEST_P(StoreContract, Ordered_events_come_in_the_order_of_revisions) {
    const auto from = store_->revision();
    const auto seen = watch(from);
    for (int i = 0; i < 20; ++i) must(put(pod(concat("p", i % 3)), concat(i)));
    const auto events = drain(*seen);
    ASSERT_EQ(events.size(), 20u);
    for (size_t i = 1; i < events.size(); ++i)
        EXPECT_LT(events[i - 1]->revision, events[i]->revision);
}

TEST_P(StoreContract, Unique_no_event_comes_twice) {
    const auto seen = watch(store_->revision());
    must(create(pod("a"), "1"));
    EXPECT_EQ(story(drain(*seen)), "a=1");
    EXPECT_EQ(story(drain(*seen)), "");
    must(put(pod("a"), "2"));
    EXPECT_EQ(story(drain(*seen)), "a=2");
    EXPECT_EQ(story(drain(*seen)), "");
}

TEST_P(StoreContract, Atomic_a_revision_is_never_split) {
    const auto seen = watch(store_->revision());
    must(put(pod("before")));
    Transaction many;
    for (int i = 0; i < 10; ++i) many.writes.push_back(put_write(pod(concat("p", i)), "x"));
    many.writes.push_back(put_write(node("n"), "x"));
    must(std::move(many));
    must(put(pod("after")));
    auto first = seen->drain(3);
    ASSERT_TRUE(first.has_value());
    EXPECT_EQ(first->size(), 11u);
    EXPECT_EQ(first->front()->key.name, "before");
    EXPECT_EQ(first->back()->revision, (*first)[1]->revision);
    auto second = seen->drain(3);
    ASSERT_TRUE(second.has_value());
    EXPECT_EQ(story(*second), "after=x");
}

TEST_P(StoreContract, Reliable_a_watch_misses_nothing_of_its_prefix) {
    std::map<std::string, std::unique_ptr<Watch>> watches;
    const char* prefixes[] = {"", "a/", "b/", "a/p1", "zz"};
    for (const auto* prefix : prefixes) watches[prefix] = watch(store_->revision(), prefix);
    std::map<std::string, std::string> expected;
    for (int i = 0; i < 50; ++i) {
        const auto name = concat(i % 2 == 0 ? "a/p" : "b/p", i % 6);
        const bool gone = store_->view(pods_).get(name) && i % 4 == 3;
        must(gone ? removal(pod(name)) : put(pod(name), concat(i)));
        for (const auto* prefix : prefixes) {
            if (!name.starts_with(prefix)) continue;
            append(expected[prefix], expected[prefix].empty() ? "" : " ", gone ? "-" : "", name);
        }
        if (i == 25) watches["b/"].reset();   // another one's end disturbs nobody
    }
    for (const auto* prefix : prefixes) {
        if (!watches[prefix]) continue;
        std::string names;
        for (const auto& event : drain(*watches[prefix])) {
            append(names, names.empty() ? "" : " ", event->kind == Event::Kind::Delete ? "-" : "",
                   event->key.name);
        }
        EXPECT_EQ(names, expected[prefix]) << prefix;
    }
    EXPECT_EQ(store_->statistics().watches, 4u);
}

TEST_P(StoreContract, Resumable_a_watch_goes_on_from_any_revision_also_after_a_restart) {
    std::vector<Revision> revisions{store_->revision()};
    std::vector<std::string> told;
    const auto note = [&](Revision revision, std::string what) {
        revisions.push_back(revision);
        told.push_back(std::move(what));
    };
    note(must(create(pod("a"), "1")), "a=1");
    note(must(create(pod("b"), "2")), "b=2");
    note(must(put(pod("a"), "3")), "a=3");
    note(must(removal(pod("b"))), "-b=2");
    note(must(create(pod("b"), "4")), "b=4");
    note(must(removal(pod("a"))), "-a=3");
    for (const bool restarted : {false, true}) {
        for (size_t i = 0; i < revisions.size(); ++i) {
            std::string expected;
            for (size_t j = i; j < told.size(); ++j) append(expected, j == i ? "" : " ", told[j]);
            EXPECT_EQ(story(drain(*watch(revisions[i]))), expected) << i << restarted;
        }
        const auto events = drain(*watch(revisions[0]));
        ASSERT_EQ(events.size(), 6u);
        EXPECT_EQ(events[0]->previous, nullptr);
        EXPECT_EQ(data_of(events[2]->previous), "1");
        EXPECT_EQ(events[3]->object->modified, events[3]->revision);
        EXPECT_NE(events[3]->object->text.view().find(
                      concat("\"resourceVersion\":\"", events[3]->revision.value, "\"")),
                  std::string::npos);
        EXPECT_EQ(events[4]->previous, nullptr);
        if (!restarted) reopen();
    }
    const auto last = store_->revision();
    EXPECT_EQ(last, revisions.back());   // a clean end leaves no gap
    must(put(pod("c"), "5"));
    EXPECT_EQ(story(drain(*watch(last))), "c=5");
}

TEST_P(StoreContract, Bookmarkable_progress_covers_what_was_delivered_and_nothing_more) {
    const auto seen = watch(store_->revision(), "a/");
    EXPECT_EQ(seen->progress(), store_->revision());
    const auto elsewhere = must(put(pod("b/x")));
    const auto other = must(put(node("n")));
    EXPECT_LT(elsewhere, other);
    EXPECT_EQ(seen->progress(), other);   // others' writes move it too
    const auto mine = must(put(pod("a/x"), "1"));
    must(put(pod("a/x"), "2"));
    EXPECT_LT(seen->progress(), mine);
    const auto bookmark = seen->progress();
    ASSERT_EQ(seen->drain(1)->size(), 1u);
    EXPECT_EQ(seen->progress(), mine);
    EXPECT_EQ(story(drain(*watch(bookmark, "a/"))), "a/x=1 a/x=2");
    EXPECT_EQ(story(drain(*watch(seen->progress(), "a/"))), "a/x=2");
}

TEST_P(StoreContract, notify_comes_once_until_the_next_drain) {
    const auto seen = watch(store_->revision(), "a/");
    must(put(pod("b/x")));
    EXPECT_EQ(notified_, 0);
    must(put(pod("a/x")));
    must(put(pod("a/y")));
    EXPECT_EQ(notified_, 1);
    drain(*seen);
    must(put(pod("a/z")));
    EXPECT_EQ(notified_, 2);
}

TEST_P(StoreContract, the_window_passes_slow_watches_but_not_idle_ones) {
    const auto start = store_->revision();
    const auto slow = watch(start, "a/");
    const auto idle = watch(start, "z/");
    must(put(pod("a/x"), "1"));
    executor_.advance(options_.window + options_.window / 5);
    must(put(pod("a/x"), "2"));
    const auto late = slow->drain(10);
    ASSERT_FALSE(late.has_value());
    EXPECT_EQ(late.error().reason, Reason::Expired);
    const auto events = idle->drain(10);
    ASSERT_TRUE(events.has_value());
    EXPECT_TRUE(events->empty());
    const auto old = store_->watch(pods_, "", start, [] {});
    ASSERT_FALSE(old.has_value());
    EXPECT_EQ(old.error().reason, Reason::Expired);
    const auto past = store_->view_at(pods_, start);
    ASSERT_FALSE(past.has_value());
    EXPECT_EQ(past.error().reason, Reason::Expired);
}

TEST_P(StoreContract, the_window_holds_so_many_revisions_and_no_more) {
    store_.reset();
    options_.window_revisions_max = 10;
    open();
    std::vector<Revision> revisions{store_->revision()};
    for (int i = 0; i < 25; ++i) revisions.push_back(must(put(pod("a"), concat(i))));
    for (const bool restarted : {false, true}) {
        executor_.run();
        EXPECT_EQ(store_->statistics().oldest_watchable, revisions[15]);
        EXPECT_TRUE(store_->watch(pods_, "", revisions[15], [] {}).has_value());
        EXPECT_FALSE(store_->watch(pods_, "", revisions[14], [] {}).has_value());
        EXPECT_EQ(data_of(store_->view_at(pods_, revisions[16])->get("a")), "15");
        if (!restarted) reopen();
    }
}

TEST_P(StoreContract, after_a_restart_the_rows_times_decide_the_window) {
    const auto start = store_->revision();
    const auto first = must(put(pod("a"), "1"));
    executor_.advance(options_.window * 3 / 5);
    must(put(pod("a"), "2"));
    store_.reset();
    executor_.clock().advance(options_.window * 3 / 5);   // while nothing runs
    open();
    EXPECT_FALSE(store_->watch(pods_, "", start, [] {}).has_value());
    EXPECT_EQ(story(drain(*watch(first))), "a=2");
    EXPECT_EQ(data_of(store_->view_at(pods_, first)->get("a")), "1");
    executor_.advance(options_.window);
    EXPECT_FALSE(store_->watch(pods_, "", first, [] {}).has_value());
}

TEST_P(StoreContract, a_clock_that_was_set_back_loses_nothing) {
    const auto start = store_->revision();
    must(put(pod("a"), "1"));
    executor_.clock().set_back(48h);
    must(put(pod("a"), "2"));
    reopen();
    EXPECT_EQ(story(drain(*watch(start))), "a=1 a=2");
    executor_.clock().set_back(-96h);
    reopen();   // all is too old now, or so it seems: clients list again, no data is lost
    EXPECT_FALSE(store_->watch(pods_, "", start, [] {}).has_value());
    EXPECT_EQ(list(store_->view(pods_)), "a=2");
}

TEST_P(StoreContract, superseded_rows_go_when_the_window_has_passed_them) {
    for (int i = 0; i < 300; ++i) must(put(pod(concat("p", i % 10)), concat(i)));
    for (int i = 0; i < 5; ++i) must(removal(pod(concat("p", i))));
    const auto last = store_->revision();
    const auto rows = [&] {
        size_t count = 0;
        store_.reset();
        auto engine = disk_->open();
        EXPECT_TRUE(engine->load([&](LogRow&&) { ++count; }).has_value());
        engine.reset();
        open();
        return count;
    };
    EXPECT_EQ(rows(), 305u);
    executor_.advance(options_.window * 2);
    EXPECT_EQ(executor_.timers(), 0u);   // at rest nothing is left to wake up for
    EXPECT_EQ(rows(), 5u);
    EXPECT_EQ(list(store_->view(pods_)), "p5=295 p6=296 p7=297 p8=298 p9=299");
    // The tombstones are gone, but not what is known to have been: no client may be newer.
    EXPECT_EQ(store_->revision(), last);
    EXPECT_FALSE(store_->watch(pods_, "", {last.value - 1}, [] {}).has_value());
    EXPECT_TRUE(store_->watch(pods_, "", last, [] {}).has_value());
}

TEST_P(StoreContract, revisions_are_not_used_again_after_a_crash) {
    const auto last = must(put(pod("a")));
    // What a power cut takes: the rows of relaxed commits, not the reservation.
    store_.reset();
    auto engine = disk_->open();
    ASSERT_TRUE(engine->reserve(last.value + 500).has_value());
    engine.reset();
    open();
    EXPECT_EQ(store_->revision().value, last.value + 499);
    EXPECT_GT(must(put(pod("a"))).value, last.value + 499);
}

TEST_P(StoreContract, relaxed_commits_are_kept_like_others) {
    must(relaxed(put(pod("lease"), "1")));
    must(put(pod("a"), "2"));
    must(relaxed(put(pod("lease"), "3")));
    reopen();
    EXPECT_EQ(list(store_->view(pods_)), "a=2 lease=3");
}

TEST_P(StoreContract, resources_found_in_the_log_need_not_be_named_first) {
    must(put({store_->resource("/registry/example.com/boats/"), "default/skiff"}, "1"));
    reopen();
    EXPECT_EQ(store_->statistics().objects, 1u);
    EXPECT_EQ(store_->view(store_->resource("/registry/example.com/boats/")).size(), 1u);
    EXPECT_EQ(store_->view(store_->resource("/registry/new/")).size(), 0u);
}

TEST_P(StoreContract, attributes_are_described_at_write_and_at_load) {
    store_.reset();
    options_.describe = [](std::string_view key, std::string_view text) {
        auto made = std::make_shared<Attributes>();
        made->uid = concat(key, "|", text);
        return made;
    };
    open();
    must(put(pod("a"), "1"));
    auto brought = put(pod("b"), "1");
    brought.writes[0].attributes = std::make_shared<Attributes>(Attributes{.uid = "mine"});
    must(std::move(brought));
    const auto described = store_->view(pods_).get("a")->attributes->uid;
    EXPECT_EQ(described, R"(/registry/pods/a|{"metadata":{"name":"a"},"data":"1"})");
    EXPECT_EQ(store_->view(pods_).get("b")->attributes->uid, "mine");
    reopen();
    EXPECT_EQ(store_->view(pods_).get("a")->attributes->uid, described);
}

TEST_P(StoreContract, a_view_of_the_past_is_what_it_was) {
    std::vector<std::pair<Revision, std::string>> past;
    for (int i = 0; i < 60; ++i) {
        const auto name = concat("p", i % 7);
        const bool there = store_->view(pods_).get(name) != nullptr;
        const auto revision =
            i % 5 == 4 && there ? must(removal(pod(name))) : must(put(pod(name), concat(i)));
        past.emplace_back(revision, list(store_->view(pods_)));
    }
    for (const bool again : {false, true}) {
        for (const auto& [revision, expected] : past) {
            const auto view = store_->view_at(pods_, revision);
            ASSERT_TRUE(view.has_value()) << view.error().message;
            EXPECT_EQ(list(*view), expected);
            EXPECT_EQ(view->revision(), revision);
        }
        if (!again) reopen();
    }
    const auto future = store_->view_at(pods_, {store_->revision().value + 1});
    ASSERT_FALSE(future.has_value());
    EXPECT_EQ(future.error().reason, Reason::Timeout);
}

template <class T>
std::unique_ptr<Disk> make_disk() {
    return std::make_unique<T>();
}

INSTANTIATE_TEST_SUITE_P(Engines, StoreContract,
                         ::testing::Values(Kind{"memory", make_disk<MemoryDisk>},
                                           Kind{"sqlite", make_disk<SqliteDisk>}),
                         [](const auto& kind) { return std::string{kind.param.name}; });

}   // namespace
}   // namespace skiff::store
