// Binding and eviction.
#include "apiserver/testing.h"

namespace skiff::apiserver::testing {
namespace {

constexpr std::string_view pod_a = "/api/v1/namespaces/default/pods/a";

TEST(Binding, a_pod_is_bound_once_and_the_second_try_is_a_409) {
    TestServer server;
    server.pod("a");
    const auto answer = server.post(
        concat(pod_a, "/binding"),
        R"({"apiVersion":"v1","kind":"Binding","metadata":{"name":"a","annotations":{"why":"x"}},"target":{"kind":"Node","name":"n1"}})");
    ASSERT_EQ(answer.status, 201) << answer.body;
    EXPECT_EQ(answer.text({"status"}), "Success");
    const auto bound = server.get(pod_a);
    EXPECT_EQ(bound.text({"spec", "nodeName"}), "n1");
    EXPECT_EQ(bound.text({"metadata", "annotations", "why"}), "x");
    EXPECT_EQ(bound.at({"status", "conditions"})->items()[0].text_at({"type"}), "PodScheduled");
    const auto again = server.post(concat(pod_a, "/binding"), R"({"target":{"name":"n2"}})");
    EXPECT_EQ(again.status, 409);
    EXPECT_EQ(
        again.message(),
        R"(Operation cannot be fulfilled on pods/binding "a": pod a is already assigned to node "n1")");
    EXPECT_EQ(server.get(pod_a).version(), bound.version());
}

TEST(Binding, the_old_path_names_the_pod_in_the_body) {
    TestServer server;
    server.pod("a");
    const std::string_view bindings = "/api/v1/namespaces/default/bindings";
    const auto answer =
        server.post(bindings, R"({"metadata":{"name":"a"},"target":{"kind":"Node","name":"n1"}})");
    ASSERT_EQ(answer.status, 201) << answer.body;
    EXPECT_EQ(server.get(pod_a).text({"spec", "nodeName"}), "n1");
    EXPECT_EQ(server.post(bindings, R"({"target":{"name":"n1"}})").status, 400);
    EXPECT_EQ(server.get(bindings).status, 405);
}

TEST(Binding, what_cannot_be_bound_is_told) {
    TestServer server;
    const auto made = server.pod("a");
    struct Case {
        std::string_view path, body;
        int status;
    };
    const Case cases[] = {
        {"/api/v1/namespaces/default/pods/none/binding", R"({"target":{"name":"n1"}})", 404},
        {"/api/v1/namespaces/default/pods/a/binding", R"({"target":{}})", 422},
        {"/api/v1/namespaces/default/pods/a/binding", R"({"target":{"kind":"Rack","name":"n1"}})",
         422},
        {"/api/v1/namespaces/default/pods/a/binding",
         R"({"metadata":{"name":"b"},"target":{"name":"n1"}})", 400},
        {"/api/v1/namespaces/default/pods/a/binding",
         R"({"metadata":{"namespace":"other"},"target":{"name":"n1"}})", 400},
        {"/api/v1/namespaces/default/pods/a/binding",
         R"({"metadata":{"uid":"other"},"target":{"name":"n1"}})", 409},
    };
    for (const auto& c : cases)
        EXPECT_EQ(server.post(c.path, std::string{c.body}).status, c.status) << c.body;
    EXPECT_EQ(server.get(concat(pod_a, "/binding")).status, 405);
    EXPECT_EQ(server.get(pod_a).version(), made.version());
}

TEST(Binding, a_pod_that_is_being_deleted_is_not_bound) {
    TestServer server;
    server.pod("a", "", R"(,"finalizers":["x.io/f"])");
    server.remove(pod_a);
    const auto answer = server.post(concat(pod_a, "/binding"), R"({"target":{"name":"n1"}})");
    EXPECT_EQ(answer.status, 409);
    EXPECT_NE(answer.message().find("pod a is being deleted, cannot be assigned to a host"),
              std::string::npos)
        << answer.message();
}

TEST(Eviction, it_is_a_delete_with_its_own_options) {
    TestServer server;
    server.pod("a", R"(,"nodeName":"n1")");
    const auto evict = [&](std::string_view more) {
        return server.post(
            concat(pod_a, "/eviction"),
            concat(R"({"apiVersion":"policy/v1","kind":"Eviction","metadata":{"name":"a"})", more,
                   "}"));
    };
    EXPECT_EQ(evict(R"(,"deleteOptions":{"preconditions":{"uid":"other"}})").status, 409);
    EXPECT_EQ(evict(R"(,"deleteOptions":{"dryRun":["All"]})").status, 201);
    EXPECT_EQ(server.get(pod_a).at({"metadata", "deletionTimestamp"}), nullptr);
    const auto answer = evict(R"(,"deleteOptions":{"gracePeriodSeconds":3})");
    EXPECT_EQ(answer.status, 201) << answer.body;
    EXPECT_EQ(answer.text({"status"}), "Success");
    EXPECT_EQ(server.get(pod_a).number({"metadata", "deletionGracePeriodSeconds"}), 3);
    EXPECT_EQ(server.post(concat(pod_a, "/eviction"), R"({"metadata":{"name":"b"}})").status, 400);
    EXPECT_EQ(server.post("/api/v1/namespaces/default/pods/none/eviction", "{}").status, 404);
}

TEST(Subresources, those_that_are_not_there_and_verbs_they_do_not_take) {
    TestServer server;
    server.pod("a");
    server.config_map("a");
    EXPECT_EQ(server.get(concat(pod_a, "/frob")).status, 404);
    EXPECT_EQ(server.get("/api/v1/namespaces/default/configmaps/a/status").status, 404);
    EXPECT_EQ(server.post(concat(pod_a, "/status"), "{}").status, 405);
    EXPECT_EQ(server.remove(concat(pod_a, "/status")).status, 405);
    EXPECT_EQ(server.get(concat(pod_a, "/status")).text({"kind"}), "Pod");
}

}   // namespace
}   // namespace skiff::apiserver::testing
