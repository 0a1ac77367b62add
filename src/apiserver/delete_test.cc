#include "apiserver/testing.h"

namespace skiff::apiserver::testing {
namespace {

constexpr std::string_view a = "/api/v1/namespaces/default/configmaps/a";
constexpr std::string_view pod_a = "/api/v1/namespaces/default/pods/a";
constexpr std::string_view on_node = R"(,"nodeName":"n1")";

TEST(Delete, an_object_is_gone_and_the_answer_is_a_status) {
    TestServer server;
    const auto made = server.config_map("a");
    const auto answer = server.remove(a);
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.text({"status"}), "Success");
    EXPECT_EQ(answer.text({"details", "name"}), "a");
    EXPECT_EQ(answer.text({"details", "uid"}), made.text({"metadata", "uid"}));
    EXPECT_EQ(server.get(a).status, 404);
    EXPECT_EQ(server.remove(a).status, 404);
}

TEST(Delete, a_pod_on_a_node_gets_its_grace_and_only_a_shorter_one_changes_it) {
    TestServer server;
    server.pod("a", on_node);
    const auto first = server.remove(pod_a);
    EXPECT_EQ(first.number({"metadata", "deletionGracePeriodSeconds"}), 30);
    EXPECT_EQ(first.text({"metadata", "deletionTimestamp"}), "2023-11-14T22:13:50Z");
    server.executor.advance(std::chrono::seconds{2});
    const auto again = server.remove(pod_a);
    EXPECT_EQ(again.status, 200);
    EXPECT_EQ(again.version(), first.version());
    EXPECT_EQ(server.remove(concat(pod_a, "?gracePeriodSeconds=60")).version(), first.version());
    const auto shorter = server.remove(pod_a, R"({"gracePeriodSeconds":10})");
    EXPECT_EQ(shorter.number({"metadata", "deletionGracePeriodSeconds"}), 10);
    EXPECT_EQ(shorter.text({"metadata", "deletionTimestamp"}),
              "2023-11-14T22:13:30Z");   // from the beginning
    server.executor.advance(std::chrono::seconds{20});
    const auto over =
        server.remove(pod_a, R"({"gracePeriodSeconds":5})");   // that was over long ago
    EXPECT_EQ(over.number({"metadata", "deletionGracePeriodSeconds"}), 1);
    EXPECT_EQ(over.text({"metadata", "deletionTimestamp"}), "2023-11-14T22:13:42Z");
    EXPECT_EQ(server.remove(concat(pod_a, "?gracePeriodSeconds=0")).status, 200);
    EXPECT_EQ(server.get(pod_a).status, 404);
}

TEST(Delete, a_deletion_without_a_grace_of_its_own_does_not_shorten) {
    TestServer server;
    server.pod("a", on_node);
    const auto first = server.remove(concat(pod_a, "?gracePeriodSeconds=300"));
    EXPECT_EQ(first.number({"metadata", "deletionGracePeriodSeconds"}), 300);
    EXPECT_EQ(server.remove(pod_a).version(), first.version());
}

TEST(Delete, a_pod_that_never_ran_or_has_ended_goes_at_once) {
    TestServer server;
    server.pod("a");
    EXPECT_EQ(server.remove(pod_a).text({"kind"}), "Pod");
    EXPECT_EQ(server.get(pod_a).status, 404);
    server.pod("a", on_node);
    ASSERT_EQ(server.merge(concat(pod_a, "/status"), R"({"status":{"phase":"Succeeded"}})").status,
              200);
    EXPECT_EQ(server.remove(pod_a).status, 200);
    EXPECT_EQ(server.get(pod_a).status, 404);
    server.pod("a", R"(,"nodeName":"n1","terminationGracePeriodSeconds":7)");
    EXPECT_EQ(server.remove(concat(pod_a, "?gracePeriodSeconds=-1"))
                  .number({"metadata", "deletionGracePeriodSeconds"}),
              1);
}

TEST(Delete, preconditions_hold_or_nothing_happens) {
    TestServer server;
    const auto made = server.config_map("a");
    const auto uid = server.remove(a, R"({"preconditions":{"uid":"other"}})");
    EXPECT_EQ(uid.status, 409);
    EXPECT_NE(uid.message().find("Precondition failed: UID in precondition: other"),
              std::string::npos)
        << uid.message();
    EXPECT_EQ(server.remove(a, R"({"preconditions":{"resourceVersion":"1"}})").status, 409);
    EXPECT_EQ(server.remove(a, R"({"propagationPolicy":"Frob"})").status, 422);
    EXPECT_EQ(server.remove(a, R"({"propagationPolicy":"Orphan","orphanDependents":true})").status,
              422);
    EXPECT_EQ(server.remove(a, "{").status, 400);
    EXPECT_EQ(server.get(a).body, made.body);
    EXPECT_EQ(
        server
            .remove(a,
                    concat(R"({"kind":"DeleteOptions","apiVersion":"v1","preconditions":{"uid":")",
                           made.text({"metadata", "uid"}), R"(","resourceVersion":")",
                           made.version(), R"("}})"))
            .status,
        200);
}

TEST(Delete, finalizers_keep_an_object_marked) {
    TestServer server;
    server.post("/api/v1/namespaces/default/configmaps",
                R"({"metadata":{"name":"a","finalizers":["x.io/f"]}})");
    const auto marked = server.remove(a);
    EXPECT_EQ(marked.text({"kind"}), "ConfigMap");
    EXPECT_EQ(marked.number({"metadata", "deletionGracePeriodSeconds"}), 0);
    const auto again = server.remove(a);
    EXPECT_EQ(again.status, 200);
    EXPECT_EQ(again.version(), marked.version());
    EXPECT_EQ(server.merge(a, R"({"metadata":{"finalizers":null}})").status, 200);
    EXPECT_EQ(server.get(a).status, 404);
}

TEST(Delete, a_namespace_terminates_until_it_is_finalized) {
    TestServer server;
    const std::string_view gone = "/api/v1/namespaces/gone";
    ASSERT_EQ(server.post("/api/v1/namespaces", R"({"metadata":{"name":"gone"}})").status, 201);
    const auto marked = server.remove(gone);
    EXPECT_EQ(marked.text({"status", "phase"}), "Terminating") << marked.body;
    const auto kept = server.merge(gone, R"({"metadata":{"labels":{"a":"b"}}})");
    EXPECT_EQ(kept.status, 200) << kept.body;
    EXPECT_EQ(server.get(gone).status, 200);
    const auto done = server.put(concat(gone, "/finalize"),
                                 R"({"metadata":{"name":"gone"},"spec":{"finalizers":[]}})");
    EXPECT_EQ(done.status, 200) << done.body;
    EXPECT_EQ(server.get(gone).status, 404);
    const auto refused = server.remove("/api/v1/namespaces/default");
    EXPECT_EQ(refused.status, 403);
    EXPECT_EQ(refused.message(),
              R"(namespaces "default" is forbidden: this namespace may not be deleted)");
}

TEST(Delete, a_dry_run_deletes_nothing) {
    TestServer server;
    server.config_map("a");
    EXPECT_EQ(server.remove(concat(a, "?dryRun=All")).status, 200);
    EXPECT_EQ(server.remove(a, R"({"dryRun":["All"]})").status, 200);
    EXPECT_EQ(server.get(a).status, 200);
    server.pod("a", on_node);
    EXPECT_EQ(server.remove(concat(pod_a, "?dryRun=All")).status, 200);
    EXPECT_EQ(server.get(pod_a).at({"metadata", "deletionTimestamp"}), nullptr);
}

TEST(DeleteCollection, what_is_chosen_goes_and_the_rest_stays) {
    TestServer server;
    const std::string_view maps = "/api/v1/namespaces/default/configmaps";
    server.config_map("a", R"({"x":"y"})");
    server.config_map("b", R"({"x":"y"})");
    server.config_map("c");
    server.config_map("a", R"({"x":"y"})", "other");
    EXPECT_EQ(server.remove(concat(maps, "?labelSelector=x%3Dy&dryRun=All")).status, 200);
    EXPECT_EQ(server.get(maps).names().size(), 3u);
    EXPECT_EQ(server.remove(concat(maps, "?labelSelector=x%3Dy")).status, 200);
    EXPECT_EQ(server.get(maps).names(), std::vector<std::string>{"c"});
    EXPECT_EQ(server.remove(maps).status, 200);
    EXPECT_EQ(server.remove(maps).status, 200);   // of nothing
    EXPECT_EQ(server.get("/api/v1/configmaps").names(), std::vector<std::string>{"a"});
    EXPECT_EQ(server.remove("/api/v1/configmaps").status, 405);
    EXPECT_EQ(server.remove("/api/v1/namespaces").status, 405);
}

TEST(DeleteCollection, pods_get_their_grace) {
    TestServer server;
    server.pod("a", on_node);
    server.pod("b");
    EXPECT_EQ(server.remove("/api/v1/namespaces/default/pods").status, 200);
    EXPECT_EQ(server.get("/api/v1/pods").names(), std::vector<std::string>{"a"});
    EXPECT_EQ(server.get(pod_a).number({"metadata", "deletionGracePeriodSeconds"}), 30);
}

}   // namespace
}   // namespace skiff::apiserver::testing
