// The scale subresource of workloads.
#include "apiserver/testing.h"

namespace skiff::apiserver::testing {
namespace {

constexpr std::string_view sets = "/apis/apps/v1/namespaces/default/replicasets";
constexpr std::string_view set_web = "/apis/apps/v1/namespaces/default/replicasets/web";
constexpr std::string_view scale_web = "/apis/apps/v1/namespaces/default/replicasets/web/scale";

Answer make_web(TestServer& server) {
    return server.post(
        sets,
        R"({"metadata":{"name":"web"},"spec":{"replicas":2,"selector":{"matchLabels":{"app":"web"}},"template":{"metadata":{"labels":{"app":"web"}},"spec":{"containers":[{"name":"a","image":"b"}]}}}})");
}

TEST(Scale, it_says_how_many_there_are_and_which) {
    TestServer server;
    const auto made = make_web(server);
    ASSERT_EQ(made.status, 201) << made.body;
    EXPECT_EQ(made.number({"status", "replicas"}), 0);
    const auto scale = server.get(scale_web);
    ASSERT_EQ(scale.status, 200) << scale.body;
    EXPECT_EQ(scale.text({"apiVersion"}), "autoscaling/v1");
    EXPECT_EQ(scale.text({"kind"}), "Scale");
    EXPECT_EQ(scale.number({"spec", "replicas"}), 2);
    EXPECT_EQ(scale.text({"status", "selector"}), "app=web");
    EXPECT_EQ(scale.version(), made.version());
    EXPECT_EQ(server.get(concat(sets, "/none/scale")).status, 404);
}

TEST(Scale, a_write_changes_the_replicas_and_nothing_else) {
    TestServer server;
    const auto made = make_web(server);
    const auto body = [&](std::string_view version, std::string_view replicas) {
        return concat(
            R"({"apiVersion":"autoscaling/v1","kind":"Scale","metadata":{"name":"web","namespace":"default")",
            version, R"(},"spec":{"replicas":)", replicas, "}}");
    };
    const auto scaled = server.put(scale_web, body("", "5"));
    ASSERT_EQ(scaled.status, 200) << scaled.body;
    EXPECT_EQ(scaled.text({"kind"}), "Scale");
    EXPECT_EQ(scaled.number({"spec", "replicas"}), 5);
    const auto now = server.get(set_web);
    EXPECT_EQ(now.number({"spec", "replicas"}), 5);
    EXPECT_EQ(now.number({"metadata", "generation"}), 2);
    EXPECT_EQ(now.version(), scaled.version());
    const auto stale = concat(R"(,"resourceVersion":")", made.version(), '"');
    EXPECT_EQ(server.put(scale_web, body(stale, "1")).status, 409);
    const auto negative = server.put(scale_web, body("", "-1"));
    EXPECT_EQ(negative.status, 422);
    EXPECT_NE(negative.message().find("spec.replicas: Invalid value: -1"), std::string::npos)
        << negative.message();
    EXPECT_EQ(server.get(set_web).number({"spec", "replicas"}), 5);
}

TEST(Scale, it_can_be_patched) {
    TestServer server;
    make_web(server);
    const auto patched =
        server.patch(scale_web, R"({"spec":{"replicas":0}})", "application/merge-patch+json");
    ASSERT_EQ(patched.status, 200) << patched.body;
    EXPECT_EQ(server.get(set_web).number({"spec", "replicas"}), 0);
    const auto listed =
        server.patch(scale_web, R"([{"op":"add","path":"/spec/replicas","value":7}])",
                     "application/json-patch+json");
    ASSERT_EQ(listed.status, 200) << listed.body;
    EXPECT_EQ(server.get(set_web).number({"spec", "replicas"}), 7);
}

TEST(OldWorkloads, they_are_the_stored_ones_under_another_name) {
    TestServer server;
    const auto made = server.post(
        "/apis/extensions/v1beta1/namespaces/default/deployments",
        R"({"metadata":{"name":"old"},"spec":{"template":{"metadata":{"labels":{"app":"old"}},"spec":{"containers":[{"name":"a","image":"b"}]}}}})");
    ASSERT_EQ(made.status, 201) << made.body;
    EXPECT_EQ(made.text({"apiVersion"}), "extensions/v1beta1");
    EXPECT_NE(made.header("warning").find("use apps/v1 Deployment"), std::string::npos);
    EXPECT_EQ(made.text({"spec", "selector", "matchLabels", "app"}), "old");
    EXPECT_EQ(made.number({"spec", "strategy", "rollingUpdate", "maxSurge"}), 1);
    EXPECT_EQ(made.number({"spec", "revisionHistoryLimit"}), 2147483647);

    const auto now = server.get("/apis/apps/v1/namespaces/default/deployments/old");
    EXPECT_EQ(now.text({"apiVersion"}), "apps/v1");
    EXPECT_EQ(now.text({"metadata", "labels", "app"}), "old");
    EXPECT_EQ(now.version(), made.version());

    const std::string scale = "/apis/extensions/v1beta1/namespaces/default/deployments/old/scale";
    const auto shown = server.get(scale);
    ASSERT_EQ(shown.status, 200) << shown.body;
    EXPECT_EQ(shown.text({"apiVersion"}), "extensions/v1beta1");
    EXPECT_EQ(shown.text({"status", "targetSelector"}), "app=old");
    EXPECT_EQ(shown.text({"status", "selector", "app"}), "old");
    const auto scaled = server.put(scale, R"({"metadata":{"name":"old"},"spec":{"replicas":4}})");
    ASSERT_EQ(scaled.status, 200) << scaled.body;
    EXPECT_EQ(server.get("/apis/apps/v1beta2/namespaces/default/deployments/old")
                  .number({"spec", "replicas"}),
              4);
}

TEST(OldWorkloads, a_rollback_is_noted_for_the_controller) {
    TestServer server;
    const std::string path = "/apis/extensions/v1beta1/namespaces/default/deployments";
    server.post(
        path,
        R"({"metadata":{"name":"old"},"spec":{"template":{"metadata":{"labels":{"app":"old"}},"spec":{"containers":[{"name":"a","image":"b"}]}}}})");
    const auto asked = server.post(
        path + "/old/rollback",
        R"({"apiVersion":"extensions/v1beta1","kind":"DeploymentRollback","name":"old","updatedAnnotations":{"why":"x"},"rollbackTo":{"revision":3}})");
    ASSERT_EQ(asked.status, 200) << asked.body;
    EXPECT_EQ(asked.message(), "rollback request for deployment \"old\" succeeded");
    const auto now = server.get("/apis/apps/v1/namespaces/default/deployments/old");
    EXPECT_EQ(now.text({"metadata", "annotations", "deprecated.deployment.rollback.rollbackTo"}),
              "3");
    EXPECT_EQ(now.text({"metadata", "annotations", "why"}), "x");
    EXPECT_EQ(server.get(path + "/old").number({"spec", "rollbackTo", "revision"}), 3);
    EXPECT_EQ(server.post(path + "/none/rollback", R"({"name":"none"})").status, 404);
}

}   // namespace
}   // namespace skiff::apiserver::testing
