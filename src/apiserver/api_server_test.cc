// What belongs to no resource: discovery, health, errors of routing; and who may what.
#include "apiserver/api_server.h"

#include "apiserver/testing.h"

namespace skiff::apiserver::testing {
namespace {

TEST(Health, readiness_follows_the_server_and_liveness_does_not) {
    TestServer server;
    for (const auto* path : {"/readyz", "/livez", "/healthz", "/readyz/", "/livez/ping"})
        EXPECT_EQ(server.get(path).body, "ok") << path;
    EXPECT_NE(server.get("/readyz?verbose").body.find("readyz check passed"), std::string::npos);
    server.api.set_ready(false);
    EXPECT_EQ(server.get("/readyz").status, 500);
    EXPECT_EQ(server.get("/livez").status, 200);
    EXPECT_EQ(server.get("/healthz", {{"authorization", ""}}).status,
              200);   // the anonymous may ask
    EXPECT_EQ(server.request("HEAD", "/livez").status, 200);
    EXPECT_EQ(server.post("/livez", "").status, 404);
}

TEST(Plain, version_and_metrics_and_nothing_else) {
    TestServer server;
    EXPECT_EQ(server.get("/version").text({"major"}), "1");
    EXPECT_EQ(server.get("/version/").text({"minor"}), "33");
    server.request("FROB", "/api/v1/pods");
    server.get("/api/v1/frobs");
    const auto text = server.get("/metrics").body;
    EXPECT_NE(
        text.find(R"(apiserver_request_total{verb="create",resource="namespaces",code="201"} 3)"),
        std::string::npos)
        << text;
    EXPECT_NE(text.find(R"(apiserver_request_total{verb="other",resource="pods",code="405"} 1)"),
              std::string::npos)
        << text;
    EXPECT_NE(text.find(R"(verb="list",resource="",code="404")"), std::string::npos) << text;
    EXPECT_EQ(server.get("/frob").status, 404);
    EXPECT_EQ(server.get("/frob").body, "404 page not found\n");
    EXPECT_EQ(server.get("/healthz/../api/v1/secrets").status, 404);
}

TEST(Discovery, the_plain_form_lists_groups_versions_and_resources) {
    TestServer server;
    EXPECT_EQ(codec::to_json(*server.get("/api").at({"versions"})), R"(["v1"])");
    const auto core = server.get("/api/v1");
    EXPECT_EQ(core.text({"kind"}), "APIResourceList");
    std::string pods, status;
    for (const auto& resource : core.at({"resources"})->items()) {
        if (resource.text_at({"name"}) == "pods") pods = codec::to_json(resource);
        if (resource.text_at({"name"}) == "pods/status") status = codec::to_json(resource);
    }
    EXPECT_NE(pods.find(R"("shortNames":["po"])"), std::string::npos) << pods;
    EXPECT_NE(pods.find(R"("namespaced":true,"kind":"Pod")"), std::string::npos) << pods;
    EXPECT_NE(status.find(R"("verbs":["get","patch","update"])"), std::string::npos) << status;
    EXPECT_EQ(server.get("/apis").text({"kind"}), "APIGroupList");
    EXPECT_EQ(server.get("/apis/coordination.k8s.io").text({"preferredVersion", "version"}), "v1");
    EXPECT_EQ(server.get("/apis/coordination.k8s.io/v1").text({"groupVersion"}),
              "coordination.k8s.io/v1");
    for (const auto* path : {"/api/v2", "/apis/frob", "/apis/coordination.k8s.io/v9"})
        EXPECT_EQ(server.get(path).status, 404) << path;
    EXPECT_EQ(server.get("/api/v1/").status, 200);
}

TEST(Discovery, the_aggregated_form_is_given_to_those_who_accept_it) {
    TestServer server;
    for (const std::string_view version : {"v2", "v2beta1"}) {
        for (const auto* path : {"/api", "/apis"}) {
            const auto answer = server.get(
                path, {{"accept", concat("application/json;g=apidiscovery.k8s.io;v=", version,
                                         ";as=APIGroupDiscoveryList,application/json")}});
            EXPECT_EQ(answer.text({"kind"}), "APIGroupDiscoveryList");
            EXPECT_EQ(answer.text({"apiVersion"}), concat("apidiscovery.k8s.io/", version));
            EXPECT_EQ(answer.header("content-type"),
                      concat("application/json;g=apidiscovery.k8s.io;v=", version,
                             ";as=APIGroupDiscoveryList"));
            EXPECT_GT(answer.at({"items"})->size(), 0u);
        }
    }
    EXPECT_EQ(server.get("/apis", {{"accept", "application/json"}}).text({"kind"}), "APIGroupList");
}

TEST(OpenApi, a_document_that_is_known_is_not_sent_again) {
    TestServer server;
    const auto index = server.get("/openapi/v3");
    ASSERT_EQ(index.status, 200);
    const auto target = index.text({"paths", "api/v1", "serverRelativeURL"});
    const auto document = server.get(target);
    ASSERT_EQ(document.status, 200) << target;
    const auto tag = document.header("etag");
    EXPECT_EQ(tag.size(), 66u);
    const auto again = server.get(target, {{"if-none-match", tag}});
    EXPECT_EQ(again.status, 304);
    EXPECT_EQ(again.body, "");
    EXPECT_EQ(server.get("/openapi/v3", {{"if-none-match", tag}}).status, 200);
    EXPECT_EQ(server.get("/openapi/v3/apis/frob/v1").status, 404);
    const auto wire = server.get(
        "/openapi/v2", {{"accept", "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"}});
    EXPECT_EQ(wire.header("content-type"),
              "application/com.github.proto-openapi.spec.v2.v1.0+protobuf");
}

TEST(Routing, errors_are_status_bodies_with_the_right_code) {
    TestServer server;
    struct Case {
        std::string_view method, target;
        int status;
        std::string_view reason;
    };
    const Case cases[] = {
        {"GET", "/api/v1/frobs", 404, "NotFound"},
        {"GET", "/apis/apps/v99/deployments", 404, "NotFound"},
        {"OPTIONS", "/api/v1/pods", 405, "MethodNotAllowed"},
        {"FROB", "/api/v1/namespaces/default/pods/a", 405, "MethodNotAllowed"},
        {"GET", "/api/v1/pods/a", 404, "NotFound"},
        {"GET", "/api/v1/namespaces/default/nodes", 404, "NotFound"},
        {"GET", "/api/v1/namespaces/default/namespaces/other", 404, "NotFound"},
        {"GET", "/api/v1/namespaces/default/pods/a%2fb", 400, "BadRequest"},
        {"GET", "/api/v1/pods?limit=x", 400, "BadRequest"},
        {"GET", "/apis/authentication.k8s.io/v1/tokenreviews", 405, "MethodNotAllowed"},
        {"DELETE", "/api/v1/nodes/none", 404, "NotFound"},
    };
    for (const auto& c : cases) {
        const auto answer = server.request(std::string{c.method}, c.target);
        EXPECT_EQ(answer.status, c.status) << c.method << ' ' << c.target << answer.body;
        EXPECT_EQ(answer.reason(), c.reason) << c.target;
        EXPECT_EQ(answer.text({"kind"}), "Status");
        EXPECT_EQ(answer.number({"code"}), c.status);
    }
}

TEST(Services, one_is_made_without_an_address_and_nothing_is_wrong) {
    TestServer server;
    const auto answer = server.post(
        "/api/v1/namespaces/default/services",
        R"({"metadata":{"name":"web"},"spec":{"selector":{"a":"b"},"ports":[{"port":80}]}})");
    ASSERT_EQ(answer.status, 201) << answer.body;
    EXPECT_TRUE(answer.headers.all("warning").empty());
    EXPECT_EQ(answer.text({"spec", "type"}), "ClusterIP");
    EXPECT_EQ(
        server
            .merge("/api/v1/namespaces/default/services/web", R"({"spec":{"selector":{"a":"c"}}})")
            .status,
        200);
}

TEST(Reviews, one_may_ask_what_one_may) {
    TestServer server;
    const auto ask = [&](std::string_view token, std::string_view attributes) {
        const auto answer =
            server.post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
                        concat(R"({"spec":{"resourceAttributes":)", attributes, "}}"),
                        {{"authorization", concat("Bearer ", token)}});
        EXPECT_EQ(answer.status, 201) << answer.body;
        return answer.at({"status", "allowed"})->as_bool();
    };
    EXPECT_TRUE(ask("admin", R"({"verb":"delete","resource":"nodes"})"));
    EXPECT_FALSE(ask("alice", R"({"verb":"delete","resource":"nodes"})"));
    EXPECT_TRUE(
        ask("node", R"({"verb":"patch","resource":"nodes","subresource":"status","name":"n1"})"));
    EXPECT_FALSE(
        ask("node", R"({"verb":"patch","resource":"nodes","subresource":"status","name":"n2"})"));
    const std::string_view others = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
    const auto other = server.post(
        others,
        R"({"spec":{"user":"system:node:n1","groups":["system:nodes"],"resourceAttributes":{"verb":"list","resource":"pods"}}})");
    EXPECT_TRUE(other.at({"status", "allowed"})->as_bool()) << other.body;
    EXPECT_EQ(server.post(others, R"({"spec":{"user":"a"}})").status, 422);
    EXPECT_EQ(
        server.post(others, R"({"spec":{"user":"a"}})", {{"authorization", "Bearer alice"}}).status,
        403);
    const auto rules =
        server.post("/apis/authorization.k8s.io/v1/selfsubjectrulesreviews",
                    R"({"spec":{"namespace":"default"}})", {{"authorization", "Bearer alice"}});
    EXPECT_EQ(rules.status, 201);
    EXPECT_GT(rules.at({"status", "resourceRules"})->size(), 0u);
    const auto local = server.post(
        "/apis/authorization.k8s.io/v1/namespaces/default/localsubjectaccessreviews",
        R"({"spec":{"user":"a","resourceAttributes":{"verb":"list","resource":"pods","namespace":"other"}}})");
    EXPECT_EQ(local.status, 422) << local.body;
    const auto fitting = server.post(
        "/apis/authorization.k8s.io/v1/namespaces/default/localsubjectaccessreviews",
        R"({"spec":{"user":"a","resourceAttributes":{"verb":"list","resource":"pods","namespace":"default"}}})");
    EXPECT_EQ(fitting.status, 201) << fitting.body;
}

TEST(Authorization, what_is_forbidden_is_said_in_kubernetes_words) {
    TestServer server;
    const auto words = [&](std::string_view method, std::string_view target) {
        const auto answer =
            server.request(std::string{method}, target, "{}", {{"authorization", "Bearer alice"}});
        EXPECT_EQ(answer.status, 403) << target;
        EXPECT_EQ(answer.reason(), "Forbidden");
        return answer.message();
    };
    EXPECT_EQ(
        words("GET", "/api/v1/namespaces/default/pods/a"),
        R"(pods "a" is forbidden: User "alice" cannot get resource "pods" in API group "" in the namespace "default")");
    EXPECT_EQ(
        words("GET", "/api/v1/nodes"),
        R"(nodes is forbidden: User "alice" cannot list resource "nodes" in API group "" at the cluster scope)");
    EXPECT_EQ(
        words("PUT", "/api/v1/namespaces/default/pods/a/status"),
        R"(pods "a" is forbidden: User "alice" cannot update resource "pods/status" in API group "" in the namespace "default")");
    EXPECT_EQ(
        words("GET", "/apis/coordination.k8s.io/v1/leases"),
        R"(leases.coordination.k8s.io is forbidden: User "alice" cannot list resource "leases" in API group "coordination.k8s.io" at the cluster scope)");
    EXPECT_EQ(words("GET", "/metrics"), R"(forbidden: User "alice" cannot get path "/metrics")");
}

TEST(Authorization, each_may_what_its_part_needs_and_no_more) {
    TestServer server;
    struct Case {
        std::string_view token, method, target;
        bool allowed;
    };
    const Case cases[] = {
        {"node", "GET", "/api/v1/pods", true},
        {"node", "PATCH", "/api/v1/nodes/n1/status", true},
        {"node", "PATCH", "/api/v1/nodes/n2/status", false},
        {"node", "DELETE", "/api/v1/nodes/n2", false},
        {"node", "PUT", "/api/v1/namespaces/default/pods/a", false},
        {"node", "PATCH", "/api/v1/namespaces/default/pods/a/status", true},
        {"node", "POST", "/api/v1/namespaces/default/pods/a/binding", false},
        {"node", "POST", "/api/v1/namespaces/default/secrets", false},
        {"node", "PUT", "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/n1", true},
        {"node", "PUT", "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/n2", false},
        {"node", "GET", "/metrics", false},
        {"false-node", "GET", "/api/v1/pods", false},
        {"false-node", "GET", "/api/v1/secrets", false},
        {"joining", "POST", "/apis/certificates.k8s.io/v1/certificatesigningrequests", true},
        {"joining", "PUT", "/apis/certificates.k8s.io/v1/certificatesigningrequests/a/approval",
         false},
        {"joining", "GET", "/api/v1/nodes", false},
        {"joining", "GET", "/api", true},
        {"alice", "GET", "/api/v1", true},
        {"alice", "GET", "/openapi/v3", true},
        {"alice", "GET", "/api/v1/configmaps", false},
        {"", "GET", "/version", true},
        {"", "GET", "/api", false},
        {"", "GET", "/api/v1/pods", false},
        {"", "POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", false},
    };
    for (const auto& c : cases) {
        const auto answer =
            server.request(std::string{c.method}, c.target, "{}",
                           {{"authorization", c.token.empty() ? "" : concat("Bearer ", c.token)},
                            {"content-type", c.method == "PATCH" ? "application/merge-patch+json"
                                                                 : "application/json"}});
        const bool refused = answer.status == 403 || answer.status == 401;
        EXPECT_EQ(!refused, c.allowed)
            << c.token << ' ' << c.method << ' ' << c.target << ' ' << answer.status;
        if (refused) {
            EXPECT_EQ(answer.status, 403);
        }
    }
}

}   // namespace
}   // namespace skiff::apiserver::testing
