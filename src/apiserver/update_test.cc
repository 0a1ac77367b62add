#include "apiserver/testing.h"

namespace skiff::apiserver::testing {
namespace {

constexpr std::string_view a = "/api/v1/namespaces/default/configmaps/a";
constexpr std::string_view pod_a = "/api/v1/namespaces/default/pods/a";

TEST(Update, a_stale_resource_version_is_a_conflict_in_kubernetes_words) {
    TestServer server;
    const auto old = server.config_map("a").version();
    const auto changed =
        server.put(a, R"({"metadata":{"name":"a"},"data":{"k":"w"}})");   // unconditional
    ASSERT_EQ(changed.status, 200) << changed.body;
    const auto body = [](const std::string& version) {
        return concat(R"({"metadata":{"name":"a","resourceVersion":")", version,
                      R"("},"data":{"k":"x"}})");
    };
    const auto stale = server.put(a, body(old));
    EXPECT_EQ(stale.status, 409);
    EXPECT_EQ(stale.reason(), "Conflict");
    EXPECT_EQ(
        stale.message(),
        R"(Operation cannot be fulfilled on configmaps "a": the object has been modified; please apply your changes to the latest version and try again)");
    EXPECT_EQ(server.put(a, body(changed.version())).text({"data", "k"}), "x");
}

TEST(Update, a_body_about_something_else_is_refused) {
    TestServer server;
    server.config_map("a");
    struct Case {
        std::string_view target, body;
        int status;
        std::string_view message;
    };
    const Case cases[] = {
        {a, R"({"metadata":{"name":"b"}})", 400, "does not match the name on the URL"},
        {a, R"({"metadata":{"name":"a","namespace":"other"}})", 400, "namespace"},
        {a, R"({"metadata":{"name":"a","uid":"12"}})", 409,
         "Precondition failed: UID in precondition: 12"},
        {"/api/v1/namespaces/default/configmaps/none", R"({"metadata":{"name":"none"}})", 404,
         R"(configmaps "none" not found)"},
        {"/api/v1/namespaces/default/configmaps", R"({"metadata":{"name":"a"}})", 405, ""},
        {"/api/v1/configmaps/a", R"({"metadata":{"name":"a"}})", 404,
         "could not find the requested resource"},
    };
    for (const auto& c : cases) {
        const auto answer = server.put(c.target, std::string{c.body});
        EXPECT_EQ(answer.status, c.status) << c.target << c.body << answer.body;
        EXPECT_NE(answer.message().find(c.message), std::string::npos) << answer.message();
    }
}

TEST(Update, what_changes_nothing_keeps_the_resource_version) {
    TestServer server;
    const auto made = server.config_map("a");
    const auto same = server.put(a, made.body);
    EXPECT_EQ(same.status, 200);
    EXPECT_EQ(same.version(), made.version());
    EXPECT_EQ(server.put(a, R"({"metadata":{"name":"a"},"data":{"k":"v"}})").version(),
              made.version());
}

TEST(Update, what_the_server_set_cannot_be_changed) {
    TestServer server;
    const auto made = server.config_map("a");
    const auto answer = server.put(
        a,
        R"({"metadata":{"name":"a","creationTimestamp":"2001-01-01T00:00:00Z","deletionTimestamp":"2001-01-01T00:00:00Z","labels":{"l":"m"}}})");
    ASSERT_EQ(answer.status, 200) << answer.body;
    EXPECT_EQ(answer.text({"metadata", "creationTimestamp"}),
              made.text({"metadata", "creationTimestamp"}));
    EXPECT_EQ(answer.text({"metadata", "uid"}), made.text({"metadata", "uid"}));
    EXPECT_EQ(answer.at({"metadata", "deletionTimestamp"}), nullptr);
    EXPECT_EQ(answer.text({"metadata", "labels", "l"}), "m");
    EXPECT_EQ(answer.at({"data"}), nullptr);
}

TEST(Update, status_and_the_rest_are_written_apart) {
    TestServer server;
    ASSERT_EQ(server.pod("a").status, 201);
    const std::string both =
        R"({"metadata":{"name":"a","labels":{"l":"m"}},"spec":{"containers":[{"name":"c","image":"other"}]},"status":{"phase":"Running"}})";
    const auto spec = server.put(pod_a, server.get(pod_a).body);
    EXPECT_EQ(spec.text({"status", "phase"}), "Pending");
    const auto status = server.put(concat(pod_a, "/status"), both);
    ASSERT_EQ(status.status, 200) << status.body;
    EXPECT_EQ(status.text({"status", "phase"}), "Running");
    EXPECT_EQ(status.at({"spec", "containers"})->items()[0].text_at({"image"}), "i");
    const auto patched =
        server.merge(pod_a, R"({"status":{"phase":"Failed"},"metadata":{"labels":{"x":"y"}}})");
    ASSERT_EQ(patched.status, 200) << patched.body;
    EXPECT_EQ(patched.text({"status", "phase"}), "Running");
    EXPECT_EQ(patched.text({"metadata", "labels", "x"}), "y");
    const auto by_status = server.merge(concat(pod_a, "/status"),
                                        R"({"status":{"message":"m"},"spec":{"nodeName":"n"}})");
    ASSERT_EQ(by_status.status, 200) << by_status.body;
    EXPECT_EQ(by_status.text({"status", "message"}), "m");
    EXPECT_EQ(by_status.text({"spec", "nodeName"}), "");
}

TEST(Update, the_generation_counts_what_is_wanted_only) {
    TestServer server;
    const std::string_view leases = "/api/v1/nodes";
    const auto made = server.post(leases, R"({"metadata":{"name":"n1"}})");
    ASSERT_EQ(made.status, 201) << made.body;
    if (made.at({"metadata", "generation"})) {
        EXPECT_EQ(made.number({"metadata", "generation"}), 1);
    }
    const auto pod = server.pod("a", R"(,"activeDeadlineSeconds":100)");
    const auto before = pod.number({"metadata", "generation"});
    EXPECT_EQ(server.merge(pod_a, R"({"metadata":{"labels":{"x":"y"}}})")
                  .number({"metadata", "generation"}),
              before);
    EXPECT_EQ(server.merge(concat(pod_a, "/status"), R"({"status":{"message":"m"}})")
                  .number({"metadata", "generation"}),
              before);
    const auto changed = server.merge(pod_a, R"({"spec":{"activeDeadlineSeconds":50}})");
    ASSERT_EQ(changed.status, 200) << changed.body;
    if (before > 0) {
        EXPECT_EQ(changed.number({"metadata", "generation"}), before + 1);
    }
}

TEST(Update, the_last_finalizer_gone_is_the_deletion) {
    TestServer server;
    ASSERT_EQ(server
                  .post("/api/v1/namespaces/default/configmaps",
                        R"({"metadata":{"name":"a","finalizers":["x.io/one","x.io/two"]}})")
                  .status,
              201);
    auto watching = server.watch(
        concat("/api/v1/configmaps?watch=1&resourceVersion=", server.get(a).version()));
    const auto marked = server.remove(a);
    EXPECT_EQ(marked.status, 200);
    EXPECT_FALSE(marked.text({"metadata", "deletionTimestamp"}).empty());
    EXPECT_EQ(server.put(a, R"({"metadata":{"name":"a","finalizers":["x.io/two"]}})").status, 200);
    EXPECT_EQ(
        server.put(a, R"({"metadata":{"name":"a","finalizers":["x.io/two","x.io/three"]}})").status,
        422);   // no new ones
    EXPECT_EQ(server.get(a).status, 200);
    EXPECT_EQ(server.put(a, R"({"metadata":{"name":"a"}})").status, 200);
    EXPECT_EQ(server.get(a).status, 404);
    EXPECT_EQ(watching.words(), "MODIFIED a, MODIFIED a, DELETED a");
}

TEST(Update, a_dry_run_changes_nothing) {
    TestServer server;
    const auto made = server.config_map("a");
    const auto answer =
        server.put(concat(a, "?dryRun=All"), R"({"metadata":{"name":"a"},"data":{"k":"w"}})");
    EXPECT_EQ(answer.text({"data", "k"}), "w");
    EXPECT_EQ(server.get(a).body, made.body);
}

}   // namespace
}   // namespace skiff::apiserver::testing
