// Who may what, through the whole API server: roles and bindings, nodes, and who grants.
#include "apiserver/testing.h"

namespace skiff::apiserver::testing {
namespace {

constexpr std::string_view rbac = "/apis/rbac.authorization.k8s.io/v1";
constexpr std::string_view pods = "/api/v1/namespaces/default/pods";

HeaderList as(std::string_view user) {
    return {{"impersonate-user", std::string{user}}, {"content-type", "application/json"}};
}

HeaderList with(std::string_view token) {
    return {{"authorization", concat("Bearer ", token)}, {"content-type", "application/json"}};
}

class RbacTest : public ::testing::Test {
  protected:
    void role(std::string_view name, std::string_view rules) {
        EXPECT_EQ(server
                      .post(concat(rbac, "/clusterroles"),
                            concat(R"({"metadata":{"name":")", name, R"("},"rules":)", rules, "}"))
                      .status,
                  201);
    }
    std::string binding(std::string_view user, std::string_view clusterrole) {
        return concat(
            R"({"metadata":{"name":")", user, '-', clusterrole,
            R"("},"subjects":[{"kind":"User","name":")", user,
            R"("}],"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":")",
            clusterrole, R"("}})");
    }
    void bind(std::string_view user, std::string_view clusterrole) {
        EXPECT_EQ(server.post(bindings, binding(user, clusterrole)).status, 201);
    }
    const std::string bindings = concat(rbac, "/namespaces/default/rolebindings");
    TestServer server;
};

TEST_F(RbacTest, a_binding_counts_at_once_in_its_namespace_until_it_is_gone) {
    role("reader", R"([{"verbs":["get","list"],"apiGroups":[""],"resources":["pods"]}])");
    EXPECT_EQ(server.get(pods, as("bob")).status, 403);
    bind("bob", "reader");
    EXPECT_EQ(server.get(pods, as("bob")).status, 200);
    EXPECT_EQ(server.get("/api/v1/namespaces/other/pods", as("bob")).status, 403);
    EXPECT_EQ(server.get("/api/v1/pods", as("bob")).status, 403);
    EXPECT_EQ(server.get(concat(pods, "/a/log"), as("bob")).status, 403);
    EXPECT_EQ(server.remove(concat(rbac, "/clusterroles/reader")).status, 200);
    EXPECT_EQ(server.get(pods, as("bob")).status, 403);
    role("reader", R"([{"verbs":["list"],"apiGroups":[""],"resources":["pods"]}])");
    EXPECT_EQ(server.get(pods, as("bob")).status, 200);
    EXPECT_EQ(server.remove(concat(bindings, "/bob-reader")).status, 200);
    EXPECT_EQ(server.get(pods, as("bob")).status, 403);
}

TEST_F(RbacTest, a_list_that_names_its_object_is_allowed_by_resource_names) {
    role(
        "one",
        R"([{"verbs":["get","list","watch"],"apiGroups":[""],"resources":["secrets"],"resourceNames":["mine"]}])");
    bind("bob", "one");
    const std::string secrets = "/api/v1/namespaces/default/secrets";
    EXPECT_EQ(server.get(concat(secrets, "?fieldSelector=metadata.name%3Dmine"), as("bob")).status,
              200);
    EXPECT_EQ(server.get(concat(secrets, "?fieldSelector=metadata.name%3Dother"), as("bob")).status,
              403);
    EXPECT_EQ(server.get(secrets, as("bob")).status, 403);
}

TEST_F(RbacTest, nobody_grants_what_he_does_not_hold) {
    role("small", R"([{"verbs":["get"],"apiGroups":[""],"resources":["pods"]}])");
    role("large", R"([{"verbs":["*"],"apiGroups":["*"],"resources":["*"]}])");
    role(
        "granter",
        R"([{"verbs":["create","update","patch"],"apiGroups":["rbac.authorization.k8s.io"],"resources":["roles","rolebindings"]}])");
    bind("amy", "granter");
    bind("amy", "small");
    EXPECT_EQ(server.post(bindings, binding("eve", "small"), as("amy")).status, 201);
    const auto refused = server.post(bindings, binding("eve", "large"), as("amy"));
    EXPECT_EQ(refused.status, 403);
    EXPECT_NE(refused.message().find("is attempting to grant RBAC permissions not currently held"),
              std::string::npos)
        << refused.message();
    const auto mine = concat(rbac, "/namespaces/default/roles");
    const auto wanted = [](std::string_view verb) {
        return concat(R"({"metadata":{"name":"r-)", verb, R"("},"rules":[{"verbs":[")", verb,
                      R"("],"apiGroups":[""],"resources":["pods"]}]})");
    };
    EXPECT_EQ(server.post(mine, wanted("get"), as("amy")).status, 201);
    EXPECT_EQ(server.post(mine, wanted("delete"), as("amy")).status, 403);
    role(
        "escalate",
        R"([{"verbs":["escalate"],"apiGroups":["rbac.authorization.k8s.io"],"resources":["roles"]}])");
    bind("amy", "escalate");
    EXPECT_EQ(server.post(mine, wanted("delete"), as("amy")).status, 201);
    role(
        "binder",
        R"([{"verbs":["bind"],"apiGroups":["rbac.authorization.k8s.io"],"resources":["clusterroles"],"resourceNames":["large"]}])");
    bind("amy", "binder");
    EXPECT_EQ(server.post(bindings, binding("eve", "large"), as("amy")).status, 201);
}

TEST_F(RbacTest, the_anonymous_are_told_what_they_may_not) {
    const auto answer = server.get(pods, {{"authorization", ""}});
    EXPECT_EQ(answer.status, 403);
    EXPECT_EQ(answer.message(),
              "pods is forbidden: User \"system:anonymous\" cannot list resource \"pods\" in API "
              "group \"\" in the namespace \"default\"");
    EXPECT_EQ(server.get("/version", {{"authorization", ""}}).status, 200);
}

// The node "n1" and a pod "a" that waits for one, which names a secret and a config map.
class NodeTest : public RbacTest {
  protected:
    NodeTest() {
        EXPECT_EQ(
            server
                .post(pods,
                      R"({"metadata":{"name":"a"},"spec":{"containers":[{"name":"c","image":"i",
                               "env":[{"name":"E","valueFrom":{"secretKeyRef":{"name":"s1","key":"k"}}}],
                               "envFrom":[{"configMapRef":{"name":"c1"}}]}],
                               "imagePullSecrets":[{"name":"s2"}],
                               "volumes":[{"name":"v","projected":{"sources":[{"secret":{"name":"s3"}}]}},
                                          {"name":"w","secret":{"secretName":"s4"}},
                                          {"name":"x","persistentVolumeClaim":{"claimName":"d1"}}]}})")
                .status,
            201);
    }
    void run_on(std::string_view node) {
        EXPECT_EQ(
            server
                .post(concat(pods, "/a/binding"),
                      concat(R"({"metadata":{"name":"a"},"target":{"name":")", node, R"("}})"))
                .status,
            201);
    }
    int read(std::string_view what) {
        return server.get(concat("/api/v1/namespaces/default/", what), with("node")).status;
    }
};

TEST_F(NodeTest, a_node_reads_what_its_pods_name_and_no_more) {
    constexpr std::string_view named[] = {"secrets/s1",
                                          "secrets/s2",
                                          "secrets/s3",
                                          "secrets/s4",
                                          "configmaps/c1",
                                          "configmaps/kube-root-ca.crt",
                                          "persistentvolumeclaims/d1"};
    for (const auto what : named) EXPECT_EQ(read(what), 403) << what;
    run_on("n1");
    for (const auto what : named) EXPECT_EQ(read(what), 404) << what;   // allowed, not there
    EXPECT_EQ(read("secrets?fieldSelector=metadata.name%3Ds1"), 200);
    for (const std::string_view what : {"secrets/c1", "configmaps/s1", "secrets", "configmaps"})
        EXPECT_EQ(read(what), 403) << what;
    EXPECT_EQ(server.get("/api/v1/namespaces/other/secrets/s1", with("node")).status, 403);
    EXPECT_EQ(server.get("/api/v1/secrets", with("node")).status, 403);
    EXPECT_EQ(read("persistentvolumeclaims/d2"), 403);
    EXPECT_EQ(server.get("/api/v1/persistentvolumes", with("node")).status, 403);
    EXPECT_EQ(server.remove(concat(pods, "/a?gracePeriodSeconds=0")).status, 200);
    EXPECT_EQ(read("secrets/s1"), 403);
}

TEST_F(NodeTest, a_volume_is_read_by_the_node_whose_pod_claims_it) {
    const auto volume = [&](std::string_view name, std::string_view claim) {
        EXPECT_EQ(
            server
                .post(
                    "/api/v1/persistentvolumes",
                    concat(
                        R"({"metadata":{"name":")", name,
                        R"("},"spec":{"capacity":{"storage":"1Gi"},"accessModes":["ReadWriteOnce"],"hostPath":{"path":"/d"},"claimRef":{"namespace":"default","name":")",
                        claim, R"("}}})"))
                .status,
            201);
    };
    volume("mine", "d1");
    volume("not-mine", "d2");
    const auto read_volume = [&](std::string_view name) {
        return server.get(concat("/api/v1/persistentvolumes/", name), with("node")).status;
    };
    EXPECT_EQ(read_volume("mine"), 403);
    run_on("n1");
    EXPECT_EQ(read_volume("mine"), 200);
    EXPECT_EQ(read_volume("not-mine"), 403);
    EXPECT_EQ(read_volume("none"), 403);
}

TEST_F(NodeTest, what_another_nodes_pod_names_is_not_its_own) {
    run_on("n2");
    EXPECT_EQ(read("secrets/s1"), 403);
}

TEST_F(NodeTest, a_token_is_for_a_pod_of_the_node) {
    const std::string accounts = "/api/v1/namespaces/default/serviceaccounts";
    EXPECT_EQ(server.post(accounts, R"({"metadata":{"name":"default"}})").status, 201);
    const auto ask = [&](std::string_view spec) {
        return server
            .post(concat(accounts, "/default/token"), concat(R"({"spec":)", spec, "}"),
                  with("node"))
            .status;
    };
    constexpr std::string_view bound = R"({"boundObjectRef":{"kind":"Pod","name":"a"}})";
    EXPECT_EQ(ask(bound), 403);
    run_on("n1");
    EXPECT_EQ(ask("{}"), 403);
    EXPECT_EQ(ask(bound), 201);
    EXPECT_EQ(server.pod("b", R"(,"nodeName":"n2")").status, 201);
    EXPECT_EQ(ask(R"({"boundObjectRef":{"kind":"Pod","name":"b"}})"), 403);
}

TEST_F(NodeTest, a_node_changes_only_what_is_its_own) {
    const auto new_pod = [&](std::string_view name, std::string_view more) {
        return server.post(
            pods,
            concat(
                R"({"metadata":{"name":")", name,
                R"(","annotations":{"kubernetes.io/config.mirror":"x"}},"spec":{"containers":[{"name":"c","image":"i"}])",
                more, "}}"),
            with("node"));
    };
    EXPECT_EQ(new_pod("m1", R"(,"nodeName":"n1")").status, 201);
    EXPECT_EQ(new_pod("m2", R"(,"nodeName":"n2")").status, 403);
    EXPECT_EQ(
        new_pod("m3", R"(,"nodeName":"n1","volumes":[{"name":"v","secret":{"secretName":"s1"}}])")
            .status,
        403);
    const auto refused = server.post(
        pods, R"({"metadata":{"name":"p"},"spec":{"containers":[{"name":"c","image":"i"}]}})",
        with("node"));
    EXPECT_EQ(refused.message(),
              "pods \"p\" is forbidden: pod does not have \"kubernetes.io/config.mirror\" "
              "annotation, node \"n1\" can only create mirror pods");
    run_on("n2");
    const auto drop = [&](std::string_view name) {
        return server.request("DELETE", concat(pods, "/", name), {}, with("node")).status;
    };
    EXPECT_EQ(drop("a"), 403);
    EXPECT_EQ(drop("m1"), 200);
    EXPECT_EQ(
        server
            .post("/api/v1/nodes",
                  R"({"metadata":{"name":"n1","labels":{"node-restriction.kubernetes.io/a":"b"}}})",
                  with("node"))
            .status,
        403);
    EXPECT_EQ(
        server
            .post("/api/v1/nodes",
                  R"({"metadata":{"name":"n1","labels":{"node-role.kubernetes.io/master":""}}})",
                  with("node"))
            .status,
        403);
    EXPECT_EQ(server.post("/api/v1/nodes", R"({"metadata":{"name":"n2"}})", with("node")).status,
              403);
    EXPECT_EQ(
        server
            .post(
                "/api/v1/nodes",
                R"({"metadata":{"name":"n1"},"spec":{"taints":[{"key":"k","effect":"NoExecute"}]}})",
                with("node"))
            .status,
        201);
    auto headers = with("node");
    headers.back().second = "application/merge-patch+json";
    EXPECT_EQ(
        server.request("PATCH", "/api/v1/nodes/n1", R"({"spec":{"taints":null}})", headers).status,
        403);
    EXPECT_EQ(server
                  .request("PATCH", "/api/v1/nodes/n1", R"({"metadata":{"labels":{"zone":"a"}}})",
                           headers)
                  .status,
              200);
}

TEST_F(RbacTest, a_pod_tolerates_a_lost_node_for_five_minutes) {
    const auto answer = server.pod("p");
    const auto* tolerations = answer.at({"spec", "tolerations"});
    ASSERT_TRUE(tolerations);
    ASSERT_EQ(tolerations->size(), 2u);
    EXPECT_EQ(tolerations->items()[0].text_at({"key"}), "node.kubernetes.io/not-ready");
    EXPECT_EQ(tolerations->items()[1].text_at({"key"}), "node.kubernetes.io/unreachable");
    const auto own = server.pod(
        "q", R"(,"tolerations":[{"key":"node.kubernetes.io/unreachable","operator":"Exists"}])");
    EXPECT_EQ(own.at({"spec", "tolerations"})->size(), 2u);
    const auto all = server.pod("r", R"(,"tolerations":[{"operator":"Exists"}])");
    EXPECT_EQ(all.at({"spec", "tolerations"})->size(), 1u);
}

}   // namespace
}   // namespace skiff::apiserver::testing
