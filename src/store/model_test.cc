// Random histories against a model that keeps everything: views of the past, watches that drain
// when they like, restarts, clean ones and crashes, and a window that passes.
#include <map>
#include <random>

#include <gtest/gtest.h>

#include "store/fault_vfs.h"
#include "store/test_support.h"

namespace skiff::store {
namespace {

using State = std::map<std::string, std::string>;   // name to data

struct Happened {
    Revision revision;
    std::string what;   // as Follower tells it
    std::string name;
};

struct Follower {
    std::unique_ptr<Watch> watch;
    std::string prefix;
    Revision after;     // all up to here was seen
    bool told = true;   // notify was called since the last drain
};

class World {
  public:
    explicit World(uint64_t seed) : random_{seed}, disk_{seed} { open(); }
    void run(int steps) {
        for (int i = 0; i < steps && !::testing::Test::HasFailure(); ++i) step();
        for (auto& follower : followers_)
            if (follower->watch) check_drain(*follower, SIZE_MAX);
    }

  private:
    unsigned below(unsigned bound) { return static_cast<unsigned>(random_() % bound); }

    void open() {
        auto engine = open_sqlite(
            {.path = "/s.db", .vfs = disk_.name(), .reserve_bytes = 4096, .checkpoint_pages = 4});
        ASSERT_TRUE(engine.has_value()) << engine.error().message;
        auto opened = open_store(*std::move(engine), executor_,
                                 {.window = 1min, .window_revisions_max = 150});
        ASSERT_TRUE(opened.has_value()) << opened.error().message;
        store_ = *std::move(opened);
        executor_.run();
        things_ = store_->resource("/registry/things/");
        others_ = store_->resource("/registry/others/");
        EXPECT_GE(store_->revision(), last_);
        last_ = store_->revision();
        past_[last_] = state_;
    }

    void step() {
        std::erase_if(followers_, [](const auto& follower) { return !follower->watch; });
        const unsigned choice = below(100);
        if (choice < 60) return commit();
        if (choice < 75 && !followers_.empty()) {
            auto& follower = *followers_[below(static_cast<unsigned>(followers_.size()))];
            return check_drain(follower, 1 + below(5));
        }
        if (choice < 80) return follow();
        if (choice < 90) return check_past();
        if (choice < 94) return executor_.advance(std::chrono::seconds{below(30)});
        if (choice < 97) return check_now();
        restart(choice == 97);
    }

    void commit() {
        Transaction transaction;
        if (below(3) == 0) transaction = relaxed(std::move(transaction));
        State next = state_;
        std::vector<Happened> happens;
        const unsigned writes = 1 + below(3);
        for (unsigned i = 0; i < writes; ++i) {
            const auto name = concat(i, "/", below(6));   // each key once
            if (below(3) != 0) {
                const auto data = concat(++data_);
                transaction.writes.push_back(put_write({things_, name}, data));
                next[name] = data;
                happens.push_back({{}, concat(name, "=", data), name});
            } else {
                transaction.writes.push_back({.key = {things_, name}});
                if (next.erase(name) > 0)
                    happens.push_back({{}, concat("-", name, "=", state_[name]), name});
            }
        }
        if (below(5) == 0) transaction.writes.push_back(put_write({others_, "x"}, "x"));
        const bool effect = !happens.empty() || transaction.writes.size() > writes;
        const auto done = commit_and_wait(executor_, *store_, std::move(transaction));
        ASSERT_TRUE(done.has_value()) << done.error().message;
        EXPECT_EQ(done->revision > last_, effect);
        last_ = done->revision;
        state_ = std::move(next);
        past_[last_] = state_;
        for (auto& event : happens) {
            event.revision = last_;
            events_.push_back(std::move(event));
        }
    }

    void follow() {
        // From now, or from some revision that was.
        auto known = std::next(past_.begin(), below(static_cast<unsigned>(past_.size())));
        const Revision after = below(2) == 0 ? last_ : known->first;
        auto follower = std::make_unique<Follower>();
        const char* prefixes[] = {"", "0/", "1/", "2/3", "none"};
        follower->prefix = prefixes[below(5)];
        follower->after = after;
        auto* told = &follower->told;
        auto watch = store_->watch(things_, follower->prefix, after, [told] { *told = true; });
        if (!watch) {
            EXPECT_EQ(watch.error().reason, Reason::Expired);
            EXPECT_LT(after, store_->statistics().oldest_watchable);
            return;
        }
        follower->watch = *std::move(watch);
        followers_.push_back(std::move(follower));
        if (followers_.size() > 12) followers_.erase(followers_.begin() + below(12));
    }

    // What was delivered is exactly what happened to the prefix after what was seen before.
    void check_drain(Follower& follower, size_t events_max) {
        auto drained = follower.watch->drain(events_max);
        std::vector<Happened> expected;
        for (const auto& event : events_)
            if (follower.after < event.revision && event.name.starts_with(follower.prefix))
                expected.push_back(event);
        if (!drained) {
            EXPECT_EQ(drained.error().reason, Reason::Expired);
            ASSERT_FALSE(expected.empty());   // idle ones never expire
            EXPECT_LE(expected.front().revision, store_->statistics().oldest_watchable);
            follower.watch.reset();   // gone at the next step
            return;
        }
        EXPECT_TRUE(follower.told || drained->empty());
        follower.told = drained->size() >= events_max;   // there may be more
        ASSERT_LE(drained->size(), expected.size());
        EXPECT_TRUE(follower.told || drained->size() == expected.size());
        for (size_t i = 0; i < drained->size(); ++i) {
            const auto& event = *(*drained)[i];
            EXPECT_EQ(event.revision, expected[i].revision);
            EXPECT_EQ(concat(event.kind == Event::Kind::Delete ? "-" : "", event.key.name, "=",
                             data_of(event.object)),
                      expected[i].what);
            follower.after = event.revision;
        }
        const auto progress = follower.watch->progress();
        EXPECT_GE(progress, follower.after);
        if (drained->size() == expected.size()) return;
        EXPECT_LT(progress, expected[drained->size()].revision);
    }

    void check_past() {
        const auto& [at, state] =
            *std::next(past_.begin(), below(static_cast<unsigned>(past_.size())));
        const auto view = store_->view_at(things_, at);
        if (!view) {
            EXPECT_EQ(view.error().reason, Reason::Expired);
            EXPECT_LT(at, store_->statistics().oldest_watchable);
            return;
        }
        EXPECT_EQ(read(*view), state) << at.value;
    }

    void check_now() {
        EXPECT_EQ(read(store_->view(things_)), state_);
        EXPECT_EQ(store_->revision(), last_);
    }

    static State read(const View& view) {
        State found;
        view.scan("", std::nullopt, [&](std::string_view name, const ObjectPtr& object) {
            found[std::string{name}] = data_of(object);
            return true;
        });
        EXPECT_EQ(found.size(), view.size());
        return found;
    }

    void restart(bool crash) {
        for (auto& follower : followers_) follower->watch.reset();
        if (crash) disk_.kill_process();
        store_.reset();
        executor_.run();
        disk_.start_process();
        open();
        check_now();
        // The clients come back with the last revision that they saw.
        for (auto& follower : followers_) {
            auto* told = &follower->told;
            auto watch =
                store_->watch(things_, follower->prefix, follower->after, [told] { *told = true; });
            follower->told = true;
            EXPECT_TRUE(watch || follower->after < store_->statistics().oldest_watchable);
            if (watch) follower->watch = *std::move(watch);
        }
    }

    std::mt19937_64 random_;
    FaultDisk disk_;
    StepExecutor executor_;
    std::unique_ptr<Store> store_;
    ResourceId things_{};
    ResourceId others_{};
    int data_ = 0;
    Revision last_;
    State state_;
    std::map<Revision, State> past_;
    std::vector<Happened> events_;
    std::vector<std::unique_ptr<Follower>> followers_;
};

TEST(StoreModel, random_histories_are_what_the_model_says) {
    const char* asked = std::getenv("SKIFF_STORE_SEEDS");
    const uint64_t seeds = asked ? parse_number<uint64_t>(asked).value_or(1) * 10 : 10;
    for (uint64_t seed = 1; seed <= seeds; ++seed) {
        SCOPED_TRACE(concat("seed ", seed));
        World{seed}.run(1000);
        if (HasFailure()) return;
    }
}

}   // namespace
}   // namespace skiff::store
