// Many threads at once on the real executor: what one thread at a time cannot show. Run it under
// the thread sanitizer.
#include <map>
#include <random>
#include <thread>

#include <gtest/gtest.h>

#include "base/guarded.h"
#include "store/test_support.h"

namespace skiff::store {
namespace {

constexpr int writers = 3;
constexpr int commits_each = 300;

// Follows a watch as a client does, and keeps what it has seen.
class Follower {
  public:
    Follower(Executor& executor, Store& store, ResourceId resource, std::string prefix)
        : executor_{executor} {
        waiter_.use([&](auto& waiter) { waiter = executor_.make_waiter(); });
        watch_ = *store.watch(resource, std::move(prefix), store.revision(),
                              [this] { waiter_.use([](auto& waiter) { waiter->notify(); }); });
    }
    void follow_until(const std::function<bool()>& done) {
        while (!done()) {
            const auto waiter =
                waiter_.use([&](auto& next) { return next = executor_.make_waiter(); });
            auto events = watch_->drain(7);
            ASSERT_TRUE(events.has_value());
            for (const auto& event : *events) {
                EXPECT_GT(event->revision, last_);
                last_ = event->revision;
                objects_[event->key.name] =
                    event->kind == Event::Kind::Put ? event->object : nullptr;
            }
            EXPECT_GE(watch_->progress(), last_);
            if (events->empty() && !done())
                waiter->wait_until(executor_.clock().monotonic() + 20ms);
        }
    }
    Revision last() const { return last_; }
    const std::map<std::string, ObjectPtr>& objects() const { return objects_; }

  private:
    Executor& executor_;
    Guarded<std::shared_ptr<Waiter>> waiter_;
    std::unique_ptr<Watch> watch_;
    Revision last_;
    std::map<std::string, ObjectPtr> objects_;
};

// Increments a counter in one of a few shared objects, retrying on conflicts, as controllers do.
void increment(Executor& executor, Store& store, ResourceId pods, int writer) {
    std::mt19937_64 random{static_cast<uint64_t>(writer)};
    for (int i = 0; i < commits_each;) {
        const Key key{pods, concat("a/", random() % 4)};
        const auto object = store.view(pods).get(key.name);
        const int count = object ? *parse_number<int>(data_of(object)) : 0;
        auto transaction =
            object ? update(key, object->modified, concat(count + 1)) : create(key, "1");
        if (random() % 2 == 0) transaction = relaxed(std::move(transaction));
        const auto done = commit_and_wait(executor, store, std::move(transaction));
        if (done) {
            ++i;
            EXPECT_GE(store.revision(), done->revision);
            // What was answered can be seen, and stays as it was.
            EXPECT_TRUE(store.view_at(pods, done->revision)->get(key.name) == done->objects[0]);
        } else {
            EXPECT_TRUE(done.error().reason == Reason::Conflict ||
                        done.error().reason == Reason::AlreadyExists)
                << done.error().message;
        }
    }
}

TEST(StoreThreads, writers_readers_and_watches_agree) {
    TempDirectory directory;
    auto pool = make_thread_pool(os_clock());
    auto store =
        *open_store(*open_sqlite({.path = directory / "s.db", .checkpoint_pages = 8}), *pool, {});
    const auto pods = store->resource("/registry/pods/");
    Follower all{*pool, *store, pods, ""};
    Follower some{*pool, *store, pods, "a/1"};
    std::atomic<int> writing = writers;
    std::vector<std::jthread> threads;
    for (int writer = 0; writer < writers; ++writer) {
        threads.emplace_back([&, writer] {
            increment(*pool, *store, pods, writer);
            --writing;
        });
    }
    threads.emplace_back(
        [&] { all.follow_until([&] { return writing == 0 && all.last() == store->revision(); }); });
    threads.emplace_back([&] { some.follow_until([&] { return writing == 0; }); });
    threads.emplace_back([&] {
        for (int i = 0; writing > 0; ++i) {
            auto watch = store->watch(pods, concat("a/", i % 5), store->revision(), [] {});
            ASSERT_TRUE((*watch)->drain(1).has_value());
            EXPECT_TRUE(store->snapshot_to(directory / "copy.db").has_value());
            EXPECT_GE(store->statistics().objects, 0u);
            store->resource(concat("/registry/new-", i % 50, "/"));
        }
    });
    threads.clear();
    int sum = 0;
    for (const auto& [name, object] : all.objects()) {
        EXPECT_EQ(object, store->view(pods).get(name));
        sum += *parse_number<int>(data_of(object));
    }
    EXPECT_EQ(sum, writers * commits_each);   // no increment was lost
}

TEST(StoreThreads, a_sync_and_a_snapshot_go_beside_appends) {
    TempDirectory directory;
    auto engine = *open_sqlite({.path = directory / "s.db", .checkpoint_pages = 8});
    std::atomic<bool> appending = true;
    std::vector<std::jthread> threads;
    threads.emplace_back([&] {
        while (appending) EXPECT_TRUE(engine->sync().has_value());
    });
    threads.emplace_back([&] {
        while (appending) EXPECT_TRUE(engine->snapshot_to(directory / "copy.db").has_value());
    });
    for (int i = 1; i <= 200; ++i) {
        const LogRow row{
            .revision = i, .key = "/p/a", .prefix_size = 3, .text = std::string(900, 'x')};
        EXPECT_TRUE(engine->append({row}, i % 8 == 0).has_value());
        EXPECT_TRUE(engine->tidy(Engine::Load::Idle).has_value());
    }
    appending = false;
    threads.clear();
    int64_t rows = 0;
    EXPECT_TRUE(engine->load([&](LogRow&&) { ++rows; }).has_value());
    EXPECT_EQ(rows, 200);
}

TEST(StoreThreads, closing_finishes_what_was_committed) {
    for (int round = 0; round < 50; ++round) {
        auto pool = make_thread_pool(os_clock());
        auto log = make_memory_log();
        std::atomic<int> answered = 0;
        {
            auto store = *open_store(make_memory_engine(log), *pool, {});
            const auto pods = store->resource("/registry/pods/");
            for (int i = 0; i < 20; ++i) {
                store->commit(put({pods, concat("p", i)}), [&](Result<Committed> done) {
                    EXPECT_TRUE(done.has_value());
                    ++answered;
                });
            }
        }
        EXPECT_EQ(answered, 20);
    }
}

}   // namespace
}   // namespace skiff::store
