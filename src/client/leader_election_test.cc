#include "client/leader_election.h"

#include <gtest/gtest.h>

#include "base/log.h"
#include "client/testing.h"

namespace skiff::client {
namespace {

using testing::FakeApi;
using testing::FakeExecutor;
using testing::FakeRandom;

// One candidate's way to the API, which can be cut.
struct Line final : Transport {
    explicit Line(FakeApi& to) : api{to} {}
    void send(ApiRequest request,
              std::move_only_function<void(Result<ApiResponse>)> done) override {
        if (cut) return done(fail(Reason::ServiceUnavailable, "cut"));
        api.send(std::move(request), std::move(done));
    }
    std::unique_ptr<Stream> watch(ApiRequest, std::shared_ptr<WatchSink>) override {
        return nullptr;
    }
    FakeApi& api;
    bool cut = false;
};

struct Candidate {
    Candidate(FakeExecutor& executor, Random& random, FakeApi& api, std::string name)
        : line{api},
          election{executor,
                   random,
                   line,
                   {.lease = {"kube-system", "boss"}, .identity = name},
                   {.started = [this] { ++starts; }, .stopped = [this] { ++stops; }}} {
        election.start();
    }
    Line line;
    int starts = 0, stops = 0;
    LeaderElection election;
};

struct ElectionTest : ::testing::Test {
    ElectionTest() { set_log_level(LogLevel::Error); }
    ~ElectionTest() override { set_log_level(LogLevel::Info); }
    std::unique_ptr<Candidate> candidate(const char* name) {
        return std::make_unique<Candidate>(executor, random, api, name);
    }
    std::string field(std::string_view name) const {
        const auto text =
            api.text("/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/boss");
        const auto value = json_member(json_member(text, "spec"), name);
        return value.starts_with('"') ? json_text(value) : std::string{value};
    }
    FakeExecutor executor;
    FakeRandom random;
    FakeApi api{executor};
};

TEST_F(ElectionTest, the_first_leads_and_renews) {
    auto a = candidate("a");
    executor.advance(0s);
    EXPECT_TRUE(a->election.leads());
    EXPECT_EQ(a->starts, 1);
    EXPECT_EQ(field("holderIdentity"), "a");
    EXPECT_EQ(field("leaseDurationSeconds"), "15");
    EXPECT_EQ(field("leaseTransitions"), "0");
    const auto acquired = field("acquireTime");
    executor.advance(1h);
    EXPECT_TRUE(a->election.leads());
    EXPECT_EQ(field("acquireTime"), acquired);
    EXPECT_GT(field("renewTime"), acquired);
    EXPECT_EQ(a->starts, 1);
}

TEST_F(ElectionTest, a_lease_that_is_given_back_is_taken_soon) {
    auto a = candidate("a");
    executor.advance(1s);
    auto b = candidate("b");
    executor.advance(1min);
    EXPECT_FALSE(b->election.leads());
    a->election.stop();
    EXPECT_FALSE(a->election.leads());
    EXPECT_EQ(a->stops, 1);
    executor.advance(5s);
    EXPECT_TRUE(b->election.leads());
    EXPECT_EQ(field("leaseTransitions"), "1");
}

TEST_F(ElectionTest, a_leader_that_is_cut_off_stops_before_another_starts) {
    auto a = candidate("a");
    auto b = candidate("b");
    executor.advance(1min);
    Candidate& leader = a->election.leads() ? *a : *b;
    Candidate& other = a->election.leads() ? *b : *a;
    leader.line.cut = true;
    for (int i = 0; i < 300; ++i) {
        executor.advance(100ms);
        EXPECT_FALSE(leader.election.leads() && other.election.leads());
        EXPECT_LE(leader.starts - leader.stops + other.starts - other.stops, 1);
    }
    EXPECT_FALSE(leader.election.leads());
    EXPECT_TRUE(other.election.leads());
    leader.line.cut = false;
    executor.advance(1min);
    EXPECT_TRUE(other.election.leads());
    EXPECT_EQ(leader.stops, 1);
}

TEST_F(ElectionTest, one_leads_at_the_most_whatever_breaks_and_one_in_the_end) {
    for (uint64_t seed = 1; seed <= 10; ++seed) {
        FakeExecutor world;
        FakeRandom chance{seed};
        FakeApi server{world};
        std::vector<std::unique_ptr<Candidate>> all;
        for (const char* name : {"a", "b", "c"})
            all.push_back(std::make_unique<Candidate>(world, chance, server, name));
        const auto leaders = [&] {
            return std::ranges::count_if(all, [](const auto& c) { return c->election.leads(); });
        };
        for (int i = 0; i < 300; ++i) {
            auto& one = *all[chance.below(3)];
            switch (chance.below(5)) {
            case 0: one.line.cut = true; break;
            case 1: one.line.cut = false; break;
            case 2: server.lose_answers = !server.lose_answers; break;
            case 3: server.latency = Duration{static_cast<int64_t>(chance.below(4)) * 1s}; break;
            default: server.fail_sends.push_back({.reason = Reason::Timeout}); break;
            }
            for (int step = 0; step < 10; ++step) {
                world.advance(Duration{static_cast<int64_t>(chance.below(1'000'000'000))});
                ASSERT_LE(leaders(), 1) << "seed " << seed;
            }
        }
        server.fail_sends.clear();
        server.lose_answers = false;
        server.latency = {};
        for (auto& one : all) one->line.cut = false;
        world.advance(2min);
        EXPECT_EQ(leaders(), 1) << "seed " << seed;
    }
}

}   // namespace
}   // namespace skiff::client
