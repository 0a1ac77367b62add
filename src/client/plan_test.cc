#include "client/plan.h"

#include <gtest/gtest.h>

#include "base/log.h"
#include "client/testing.h"

namespace skiff::client {
namespace {

using testing::FakeApi;
using testing::FakeExecutor;
using testing::FakeRandom;

constexpr ResourceName things{"", "v1", "things"};

Result<AnyObject> decode_text(std::string_view json) {
    return AnyObject{std::make_shared<std::string>(json)};
}

struct Switch final : Leadership {
    bool leads() const override { return on; }
    bool on = true;
};

Write create(std::string name, std::string owner = "o") {
    return {.verb = Write::Verb::Create,
            .resource = things,
            .key = {"x", name},
            .body = concat(R"({"metadata":{"name":")", name, R"(","ownerReferences":[{"uid":")",
                           owner, R"("}]}})")};
}
Write remove(std::string name, std::string uid = {}) {
    return {.verb = Write::Verb::Delete, .resource = things, .key = {"x", name}, .uid = uid};
}

struct PlanTest : ::testing::Test {
    PlanTest() {
        set_log_level(LogLevel::Error);
        plans.observe(things, informer);
        informer.start();
        executor.advance(0s);
    }
    ~PlanTest() override { set_log_level(LogLevel::Info); }
    PlanExecutor::Planner always(Plan plan) {
        return [this, plan]() -> Result<Plan> {
            ++planned;
            return plan;
        };
    }

    FakeExecutor executor;
    FakeRandom random;
    FakeApi api{executor};
    Client client{executor, api, "test"};
    Switch leader;
    InformerCore informer{{executor, random, api, things, decode_text}, {}};
    PlanExecutor plans{client, &leader};
    int planned = 0;
};

const ObjectKey owner{"x", "owner"};

TEST_F(PlanTest, preconditions_go_where_each_write_carries_them) {
    const auto body = [](Write::Verb verb, PatchType type, std::string text, std::string uid,
                         std::string version) {
        return with_preconditions(
            {.verb = verb, .body = text, .patch = type, .uid = uid, .resource_version = version});
    };
    using enum Write::Verb;
    const struct {
        Write::Verb verb;
        PatchType type;
        const char *text, *uid, *version, *wanted;
    } rows[] = {
        {Patch, PatchType::Merge, "{ }", "", "", "{ }"},
        {Patch, PatchType::Merge, R"({"spec":1})", "u", "5",
         R"({"spec":1,"metadata":{"uid":"u","resourceVersion":"5"}})"},
        {Patch, PatchType::StrategicMerge, R"({"metadata":{"labels":{}}})", "u", "",
         R"({"metadata":{"labels":{},"uid":"u"}})"},
        {Update, PatchType::Json, R"({"metadata":{"resourceVersion":"4"}})", "", "5",
         R"({"metadata":{"resourceVersion":"5"}})"},
        {Patch, PatchType::Json, R"([{"op":"remove","path":"/a"}])", "u", "5",
         R"([{"op":"test","path":"/metadata/uid","value":"u"},)"
         R"({"op":"test","path":"/metadata/resourceVersion","value":"5"},)"
         R"({"op":"remove","path":"/a"}])"},
        {Patch, PatchType::Json, "[]", "u", "",
         R"([{"op":"test","path":"/metadata/uid","value":"u"}])"},
    };
    for (const auto& row : rows) {
        const auto made = body(row.verb, row.type, row.text, row.uid, row.version);
        ASSERT_TRUE(made) << row.text;
        EXPECT_EQ(*made, row.wanted);
    }
    EXPECT_FALSE(body(Patch, PatchType::Json, "{}", "u", ""));
    EXPECT_FALSE(body(Patch, PatchType::Merge, "[]", "u", ""));
    EXPECT_FALSE(body(Patch, PatchType::Merge, "{", "u", ""));
}

TEST_F(PlanTest, a_planner_waits_until_the_cache_shows_its_writes) {
    api.drop_watches(fail(Reason::ServiceUnavailable, "cut"));
    executor.settle();
    ASSERT_TRUE(plans.reconcile(owner, always({.writes = {create("a"), create("b")}})));
    EXPECT_EQ(planned, 1);
    EXPECT_FALSE(plans.settled(owner));
    const auto waits = plans.reconcile(owner, always({}));
    ASSERT_TRUE(waits);
    EXPECT_EQ(waits->after, 100ms);
    EXPECT_EQ(planned, 1);
    EXPECT_TRUE(plans.settled({"x", "another"}));
    executor.advance(200ms);   // the informer is back
    EXPECT_TRUE(plans.settled(owner));
    ASSERT_TRUE(plans.reconcile(owner, always({.again = 7s})));
    EXPECT_EQ(planned, 2);
    EXPECT_EQ(plans.carry_out(owner, {.again = 7s})->after, 7s);
}

TEST_F(PlanTest, a_delete_is_awaited_until_the_object_is_no_longer_as_it_was) {
    api.put("/api/v1/namespaces/x/things/a");
    executor.settle();
    const auto uid = informer.cache().version_of({"x", "a"})->uid;
    api.drop_watches(fail(Reason::ServiceUnavailable, "cut"));
    executor.settle();
    ASSERT_TRUE(plans.carry_out(owner, {.writes = {remove("a", uid)}}));
    EXPECT_FALSE(plans.settled(owner));
    executor.advance(200ms);
    EXPECT_TRUE(plans.settled(owner));
}

TEST_F(PlanTest, what_is_so_already_is_done) {
    api.put("/api/v1/namespaces/x/things/a");
    Write again = create("a");
    const auto refused = plans.carry_out(owner, {.writes = {again}});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().reason, Reason::AlreadyExists);
    EXPECT_TRUE(refused.error().message.starts_with("create things x/a: "));
    again.if_absent = true;
    EXPECT_TRUE(plans.carry_out(owner, {.writes = {again}}));
    EXPECT_TRUE(plans.carry_out(owner, {.writes = {remove("none")}}));
    EXPECT_TRUE(plans.carry_out(owner, {.writes = {remove("a", "of-another")}}));
    Write versioned = remove("a");
    versioned.resource_version = "1";
    EXPECT_FALSE(plans.carry_out(owner, {.writes = {versioned}}));
    EXPECT_TRUE(api.has("/api/v1/namespaces/x/things/a"));
}

TEST_F(PlanTest, the_first_failure_ends_the_plan) {
    api.fail_sends = {};
    Write bad = create("b");
    bad.body = "{";
    bad.uid = "u";
    EXPECT_FALSE(plans.carry_out(owner, {.writes = {create("a"), bad, create("c")}}));
    EXPECT_TRUE(api.has("/api/v1/namespaces/x/things/a"));
    EXPECT_FALSE(api.has("/api/v1/namespaces/x/things/c"));
}

TEST_F(PlanTest, who_does_not_lead_neither_plans_nor_writes) {
    leader.on = false;
    ASSERT_TRUE(plans.reconcile(owner, always({.writes = {create("a")}})));
    EXPECT_EQ(planned, 0);
    EXPECT_TRUE(plans.carry_out(owner, {.writes = {create("a")}}));
    EXPECT_FALSE(api.has("/api/v1/namespaces/x/things/a"));
}

TEST_F(PlanTest, an_expectation_that_never_shows_ends) {
    InformerCore elsewhere{{executor, random, api, {"", "v1", "others"}, decode_text}, {}};
    elsewhere.start();
    executor.advance(0s);
    PlanExecutor blind{client};
    blind.observe(things, elsewhere);
    ASSERT_TRUE(blind.carry_out(owner, {.writes = {create("a")}}));
    executor.advance(1min);
    EXPECT_FALSE(blind.settled(owner));
    EXPECT_EQ(blind.reconcile(owner, always({}))->after, 30s);
    executor.advance(5min);
    EXPECT_TRUE(blind.settled(owner));
}

// A controller of three things under faults: never more than three, and three in the end.
TEST_F(PlanTest, no_write_is_done_twice_while_watches_break) {
    for (uint64_t seed = 1; seed <= 50; ++seed) {
        FakeExecutor world;
        FakeRandom chance{seed};
        FakeApi server{world};
        Client caller{world, server, "test"};
        InformerCore cache{{world, chance, server, things, decode_text}, {}};
        PlanExecutor shell{caller};
        shell.observe(things, cache);
        int number = 0;
        WorkQueue queue{world, [&](const ObjectKey& key) {
                            return shell.reconcile(key, [&]() -> Result<Plan> {
                                Plan plan;
                                const size_t have = cache.cache().by_index("owner", "o").size();
                                for (size_t i = have; i < 3; ++i)
                                    plan.writes.push_back(create(concat("n", ++number)));
                                return plan;
                            });
                        }};
        cache.on_change([&](const AnyObject&, const AnyObject&) { queue.add(owner); });
        cache.on_synced([&] {
            queue.start();
            queue.add(owner);
        });
        cache.start();
        size_t most = 0;
        for (int i = 0; i < 100; ++i) {
            const auto path =
                concat("/api/v1/namespaces/x/things/n",
                       number > 0 ? chance.below(static_cast<uint64_t>(number)) + 1 : 0);
            switch (chance.below(6)) {
            case 0: server.erase(path); break;
            case 1: server.drop_watches(fail(Reason::ServiceUnavailable, "cut")); break;
            case 2: server.compact(); break;
            case 3: server.fail_sends.push_back({.reason = Reason::Timeout}); break;
            default: queue.add(owner); break;   // woken by something else
            }
            if (chance.below(2) == 0) continue;   // several things at once
            world.advance(Duration{static_cast<int64_t>(chance.below(200'000'000))});
            size_t count = 0;
            for (int n = 1; n <= number; ++n)
                count += server.has(concat("/api/v1/namespaces/x/things/n", n));
            most = std::max(most, count);
        }
        server.fail_sends.clear();
        world.advance(10min);
        EXPECT_LE(most, 3u) << "seed " << seed;
        EXPECT_EQ(cache.cache().size(), 3u) << "seed " << seed;
        queue.stop();
    }
}

}   // namespace
}   // namespace skiff::client
