// Which pods are garbage, by tables.
#include "controllers/pod_gc.h"

#include <gtest/gtest.h>

#include "base/text.h"

namespace skiff::controllers {
namespace {

using namespace std::chrono_literals;

PodPtr pod(std::string_view name, std::string_view node, std::string_view phase,
           std::string_view since = "2024-06-01T12:00:00Z") {
    auto view = api::decode<view::Pod>(concat(R"({"metadata":{"namespace":"d","name":")", name,
                                              R"(","uid":"u-)", name, R"(","creationTimestamp":")",
                                              since, R"("},"spec":{"nodeName":")", node,
                                              R"("},"status":{"phase":")", phase, "\"}}"));
    EXPECT_TRUE(view);
    return std::make_shared<view::Pod>(view ? *view : view::Pod{});
}

std::string shown(const client::Plan& plan) {
    std::string out;
    for (const auto& write : plan.writes) {
        const bool patch = write.verb == client::Write::Verb::Patch;
        EXPECT_FALSE(write.uid.empty());
        EXPECT_EQ(write.deletion.grace_period_seconds.has_value(), !patch);
        append(out, out.empty() ? "" : " ", patch ? "fail:" : "delete:", write.key.name);
    }
    return out;
}

TEST(PodGc, a_node_is_gone_after_its_quarantine) {
    MissingNodes missing;
    const Pods pods{pod("a", "n1", "Running"), pod("b", "n2", "Running"), pod("c", "", "Pending")};
    const MonoTime start{1h};
    EXPECT_TRUE(missing.due(pods, {"n1"}, start, 40s).empty());
    EXPECT_TRUE(missing.due(pods, {"n1"}, start + 39s, 40s).empty());
    EXPECT_EQ(missing.due(pods, {"n1"}, start + 40s, 40s), std::set<std::string>{"n2"});
    EXPECT_TRUE(missing.due(pods, {"n1", "n2"}, start + 41s, 40s).empty());
    EXPECT_TRUE(missing.due(pods, {"n1"}, start + 42s, 40s).empty()) << "it was there in between";
}

TEST(PodGc, pods_of_gone_nodes_and_the_oldest_finished_go) {
    const WallTime now{};
    const Pods pods{
        pod("runs", "n1", "Running"), pod("lost", "n2", "Running"), pod("over", "n2", "Succeeded"),
        pod("old", "n1", "Failed", "2024-06-01T11:00:00Z"), pod("new", "n1", "Succeeded")};
    EXPECT_EQ(shown(plan_pod_gc(pods, {}, 10, now)), "");
    EXPECT_EQ(shown(plan_pod_gc(pods, {"n2"}, 10, now)), "fail:lost delete:lost delete:over");
    EXPECT_EQ(shown(plan_pod_gc(pods, {}, 2, now)), "delete:old");
    EXPECT_EQ(shown(plan_pod_gc(pods, {"n2"}, 1, now)),
              "fail:lost delete:lost delete:over delete:old");
}

}   // namespace
}   // namespace skiff::controllers
