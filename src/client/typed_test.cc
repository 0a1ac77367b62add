#include <gtest/gtest.h>

#include "client/informer.h"
#include "client/plan.h"
#include "client/testing.h"
#include "client/typed_test.h"

namespace skiff::client {
namespace {

using testing::FakeApi;
using testing::FakeExecutor;
using testing::FakeRandom;
using Pod = view::Pod;

struct TypedTest : ::testing::Test {
    FakeExecutor executor;
    FakeRandom random;
    FakeApi api{executor};
    Client client{executor, api, "test"};
};

TEST_F(TypedTest, an_informer_holds_views) {
    Informer<Pod> pods{executor, random, api};
    pods.add_index("node", [](const Pod& pod) -> std::vector<std::string> {
        if (pod.spec.nodeName.empty()) return {};
        return {std::string{pod.spec.nodeName}};
    });
    std::vector<std::string> phases;
    pods.on_change([&](const Shared<Pod>& old, const Shared<Pod>& now) {
        phases.push_back(concat(old ? std::string_view{old->status.phase} : "none", ">",
                                now ? std::string_view{now->status.phase} : "none"));
    });
    const std::string path = "/api/v1/namespaces/x/pods/a";
    api.put(path, R"(,"spec":{"nodeName":"n1"},"status":{"phase":"Pending"})", "owner");
    pods.start();
    executor.advance(0s);
    ASSERT_TRUE(pods.find({"x", "a"}));
    EXPECT_EQ(pods.find({"x", "a"})->metadata.name, "a");
    EXPECT_EQ(pods.by_index("node", "n1").size(), 1u);
    EXPECT_EQ(pods.owned_by("owner").size(), 1u);
    EXPECT_EQ(pods.in_namespace("x").size(), 1u);
    EXPECT_EQ(pods.all().size(), 1u);
    api.put(path, R"(,"status":{"phase":"Running"})");
    api.erase(path);
    executor.settle();
    EXPECT_EQ(phases,
              (std::vector<std::string>{"none>Pending", "Pending>Running", "Running>none"}));
    EXPECT_EQ(pods.size(), 0u);
}

TEST_F(TypedTest, a_client_speaks_views) {
    Pod pod;
    pod.metadata.name = "a";
    pod.spec.nodeName = "n1";
    const auto created = client.create(pod, "x");
    ASSERT_TRUE(created) << created.error().message;
    EXPECT_EQ(created->spec.nodeName, "n1");
    auto changed = *created;
    changed.status.phase = "Running";
    ASSERT_TRUE(client.update_status(changed, {"x", "a"}).error().reason == Reason::NotFound);
    ASSERT_TRUE(client.update(changed, {"x", "a"}));
    EXPECT_EQ(client.get<Pod>({"x", "a"})->status.phase, "Running");
    EXPECT_EQ(client.update(changed, {"x", "a"}).error().reason, Reason::Conflict);
    EXPECT_EQ(client.list<Pod>("x")->size(), 1u);
    ASSERT_TRUE(client.remove<Pod>({"x", "a"}));
    EXPECT_TRUE(client.list<Pod>("")->empty());
}

TEST_F(TypedTest, a_plan_is_made_of_views) {
    Pod pod;
    pod.metadata.name = "a";
    Plan plan;
    plan.create(pod, {"x", "a"}).if_absent = true;
    plan.patch<Pod>({"x", "a"}, R"({"status":{"phase":"Failed"}})").uid = "uid-101";
    plan.remove<Pod>({"x", "a"}, "uid-101");
    PlanExecutor plans{client};
    ASSERT_TRUE(plans.carry_out({"x", "owner"}, plan));
    EXPECT_EQ(api.patches.at(0), R"({"status":{"phase":"Failed"},"metadata":{"uid":"uid-101"}})");
    EXPECT_FALSE(api.has("/api/v1/namespaces/x/pods/a"));
}

}   // namespace
}   // namespace skiff::client
