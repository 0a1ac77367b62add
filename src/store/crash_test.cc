// kill -9 of a real process on a real file: a child commits and says so over a pipe, the parent
// kills it at seeded points and looks at what the next process finds.
#include <cstdlib>
#include <map>
#include <random>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>
#include <csignal>

#include "store/test_support.h"

namespace skiff::store {
namespace {

constexpr const char* child_variable = "SKIFF_STORE_CRASH_CHILD";   // "pipe:path:seed:first"
constexpr int commits_in_flight = 8;

// What the child says about a commit: written in one write(2), so never torn.
struct Acknowledgement {
    int64_t number = 0;
    int64_t revision = 0;
};

Transaction numbered(ResourceId resource, int64_t number) {
    Transaction transaction = put({resource, concat("default/", number)}, concat(number));
    transaction.writes.push_back(put_write({resource, "default/last"}, concat(number)));
    // Every third is durable, so that most kills come between relaxed ones.
    return number % 3 == 0 ? transaction : relaxed(std::move(transaction));
}

class Child {
  public:
    Child(int pipe, Store& store, int64_t first)
        : pipe_{pipe},
          store_{store},
          resource_{store.resource("/registry/things/")},
          next_{first} {}

    void commit_next() {
        const int64_t number = next_++;
        store_.commit(numbered(resource_, number), [this, number](Result<Committed> done) {
            if (!done) std::abort();
            const Acknowledgement said{number, done->revision.value};
            if (::write(pipe_, &said, sizeof said) != sizeof said) std::abort();
            commit_next();
        });
    }

  private:
    int pipe_;
    Store& store_;
    ResourceId resource_;
    std::atomic<int64_t> next_;
};

// The child's life, when the parent below runs this program again. Not a test by itself.
TEST(StoreCrash, DISABLED_child) {
    const char* told = std::getenv(child_variable);
    if (!told) GTEST_SKIP() << "is started by the other one";
    const auto parts = split(told, ':');
    auto pool = make_thread_pool(os_clock());
    auto store = *open_store(*open_sqlite({.path = std::string{parts[1]}, .checkpoint_pages = 32}),
                             *pool, {});
    Child child{*parse_number<int>(parts[0]), *store, *parse_number<int64_t>(parts[2])};
    for (int i = 0; i < commits_in_flight; ++i) child.commit_next();
    pool->make_waiter()->wait();   // for SIGKILL
}

class StoreCrashRounds : public ::testing::Test {
  protected:
    // Runs a child until it has acknowledged so many, kills it, and returns all it acknowledged.
    std::vector<Acknowledgement> run_child(int64_t first, size_t kill_after) {
        int ends[2];
        EXPECT_EQ(::pipe(ends), 0);
        const std::string told = concat(ends[1], ":", path_, ":", first);
        const pid_t pid = ::fork();
        if (pid == 0) {
            ::setenv(child_variable, told.c_str(), 1);
            ::execl("/proc/self/exe", "store_test", "--gtest_filter=StoreCrash.DISABLED_child",
                    "--gtest_also_run_disabled_tests", "--gtest_brief=1", nullptr);
            ::_exit(127);
        }
        ::close(ends[1]);
        const Fd from_child{ends[0]};
        std::vector<Acknowledgement> said;
        Acknowledgement next;
        while (::read(from_child.get(), &next, sizeof next) == sizeof next) {
            said.push_back(next);
            if (said.size() == kill_after)
                ::kill(pid, SIGKILL);   // what is in the pipe still counts
        }
        int status = 0;
        EXPECT_EQ(::waitpid(pid, &status, 0), pid);
        EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << status;
        return said;
    }

    void expect_all_there(Store& store) {
        const auto view = store.view(store.resource("/registry/things/"));
        const auto last = view.get("default/last");
        for (const auto& [number, revision] : acknowledged_) {
            const auto object = view.get(concat("default/", number));
            ASSERT_TRUE(object) << "acknowledged and lost: " << number;
            EXPECT_EQ(object->modified.value, revision);
            EXPECT_GE(last->modified.value, revision);
        }
        EXPECT_GE(store.revision().value, revision_max_);
    }

    // A client that has seen the first acknowledged revision goes on from there, over all crashes.
    void expect_watch_resumes(Store& store) {
        const Revision from{acknowledged_.begin()->second};
        auto watch = store.watch(store.resource("/registry/things/"), "", from, [] {});
        ASSERT_TRUE(watch.has_value()) << watch.error().message;
        const auto events = (*watch)->drain(SIZE_MAX);
        ASSERT_TRUE(events.has_value());
        std::map<std::string, int64_t> seen;
        Revision last = from;
        for (const auto& event : *events) {
            EXPECT_GE(event->revision, last);
            last = event->revision;
            if (event->key.name != "default/last") {
                EXPECT_TRUE(seen.emplace(event->key.name, event->revision.value).second);
            }
        }
        for (const auto& [number, revision] : acknowledged_) {
            if (number == acknowledged_.begin()->first) continue;
            EXPECT_EQ(seen[concat("default/", number)], revision);
        }
    }

    TempDirectory directory_;
    std::string path_ = directory_ / "store.db";
    std::map<int64_t, int64_t> acknowledged_;   // number to revision
    int64_t revision_max_ = 0;
};

TEST_F(StoreCrashRounds, kill_9_takes_nothing_that_was_acknowledged) {
    const uint64_t seed = 20260101;
    std::mt19937_64 random{seed};
    auto pool = make_thread_pool(os_clock());
    for (int round = 0; round < 12; ++round) {
        SCOPED_TRACE(concat("seed ", seed, " round ", round));
        const auto said = run_child(round * 1'000'000, 1 + random() % 400);
        ASSERT_FALSE(said.empty());
        for (const auto& [number, revision] : said) {
            EXPECT_GT(revision, revision_max_) << "a revision was used twice";
            acknowledged_[number] = revision;
        }
        for (const auto& [number, revision] : said)
            revision_max_ = std::max(revision_max_, revision);
        auto engine = open_sqlite({.path = path_});
        ASSERT_TRUE(engine.has_value()) << engine.error().message;
        auto store = *open_store(*std::move(engine), *pool, {});
        expect_all_there(*store);
        expect_watch_resumes(*store);
        if (HasFailure()) return;
    }
}

}   // namespace
}   // namespace skiff::store
