// ResourceQuota: what is counted, what is refused, and that nobody gets past a bound.
#include "apiserver/quota_usage.h"
#include "apiserver/testing.h"

namespace skiff::apiserver::testing {
namespace {

constexpr std::string_view quotas = "/api/v1/namespaces/default/resourcequotas";

ResourceAmounts usage(std::string_view group, std::string_view kind, std::string_view json) {
    const auto object = codec::parse_json(json);
    EXPECT_TRUE(object) << json;
    return quota_usage(*api::builtin_kind(group, "v1", kind), object->root);
}

TEST(QuotaUsage, of_each_kind) {
    EXPECT_EQ(quota_text(usage("", "ConfigMap", "{}")), "configmaps=1,count/configmaps=1");
    EXPECT_EQ(quota_text(usage("apps", "Deployment", "{}")), "count/deployments.apps=1");
    EXPECT_EQ(
        quota_text(usage(
            "", "Pod",
            R"({"spec":{"overhead":{"cpu":"5m"},"containers":[{"resources":{"requests":{"cpu":"100m","nvidia.com/gpu":"1"},"limits":{"memory":"1Gi"}}},
                {"resources":{"requests":{"cpu":"1"}}}],"initContainers":[{"resources":{"requests":{"cpu":"2"}}}]}})")),
        "count/pods=1,cpu=2005m,limits.memory=1Gi,pods=1,requests.cpu=2005m,"
        "requests.nvidia.com/gpu=1");
    EXPECT_EQ(quota_text(usage("", "Pod", R"({"spec":{},"status":{"phase":"Failed"}})")),
              "count/pods=1");
    EXPECT_EQ(
        quota_text(usage("", "Service", R"({"spec":{"type":"LoadBalancer","ports":[{},{}]}})")),
        "count/services=1,services=1,services.loadbalancers=1,services.nodeports=2");
    EXPECT_EQ(
        quota_text(usage(
            "", "PersistentVolumeClaim",
            R"({"spec":{"storageClassName":"gold","resources":{"requests":{"storage":"5Gi"}}}})")),
        "count/persistentvolumeclaims=1,gold.storageclass.storage.k8s.io/persistentvolumeclaims=1,"
        "gold.storageclass.storage.k8s.io/requests.storage=5Gi,persistentvolumeclaims=1,"
        "requests.storage=5Gi");
}

TEST(QuotaUsage, scopes) {
    struct {
        std::string_view spec, pod;
        bool match;
    } const table[] = {
        {"{}", "{}", true},
        {R"({"scopes":["BestEffort"]})", R"({"spec":{"containers":[{}]}})", true},
        {R"({"scopes":["NotBestEffort"]})", R"({"spec":{"containers":[{}]}})", false},
        {R"({"scopes":["Terminating"]})", R"({"spec":{"activeDeadlineSeconds":5}})", true},
        {R"({"scopes":["NotTerminating","BestEffort"]})", R"({"spec":{}})", true},
        {R"({"scopeSelector":{"matchExpressions":[{"scopeName":"PriorityClass","operator":"In","values":["high"]}]}})",
         R"({"spec":{"priorityClassName":"high"}})", true},
        {R"({"scopeSelector":{"matchExpressions":[{"scopeName":"PriorityClass","operator":"NotIn","values":["high"]}]}})",
         R"({"spec":{"priorityClassName":"high"}})", false},
        {R"({"scopeSelector":{"matchExpressions":[{"scopeName":"PriorityClass","operator":"Exists"}]}})",
         R"({"spec":{}})", false},
        {R"({"scopes":["CrossNamespacePodAffinity"]})",
         R"({"spec":{"affinity":{"podAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":[{"namespaceSelector":{}}]}}}})",
         true},
    };
    for (const auto& row : table) {
        const auto quota = codec::parse_json(concat(R"({"spec":)", row.spec, "}"));
        const auto pod = codec::parse_json(row.pod);
        EXPECT_EQ(quota_scopes_match(quota->root, *api::builtin_kind("", "v1", "Pod"), pod->root),
                  row.match)
            << row.spec << row.pod;
    }
    const auto scoped = codec::parse_json(R"({"spec":{"scopes":["BestEffort"]}})");
    EXPECT_FALSE(quota_scopes_match(scoped->root, *api::builtin_kind("", "v1", "Secret"),
                                    codec::Json::object()));
}

class QuotaTest : public ::testing::Test {
  protected:
    QuotaTest() { server.api.registry().quotas().start(); }
    Answer quota(std::string_view name, std::string_view hard, std::string_view more = "") {
        auto made = server.post(quotas, concat(R"({"metadata":{"name":")", name,
                                               R"("},"spec":{"hard":)", hard, more, "}}"));
        EXPECT_EQ(made.status, 201) << made.body;
        server.executor.advance(std::chrono::milliseconds{200});
        return made;
    }
    std::string used(std::string_view name) {
        server.executor.advance(std::chrono::milliseconds{200});
        const auto answer = server.get(concat(quotas, "/", name));
        const auto* list = answer.at({"status", "used"});
        return list ? codec::to_json(*list) : "";
    }
    TestServer server;
};

TEST_F(QuotaTest, what_is_too_much_is_refused_and_room_comes_back) {
    EXPECT_EQ(server.config_map("first").status, 201);
    quota("q", R"({"configmaps":"2","count/secrets":"0"})");
    EXPECT_EQ(used("q"), R"({"configmaps":"1","count/secrets":"0"})");
    EXPECT_EQ(server.config_map("second").status, 201);
    EXPECT_EQ(used("q"), R"({"configmaps":"2","count/secrets":"0"})");
    const auto third = server.config_map("third");
    EXPECT_EQ(third.status, 403);
    EXPECT_EQ(third.message(),
              "configmaps \"third\" is forbidden: exceeded quota: q, requested: configmaps=1, "
              "used: configmaps=2, limited: configmaps=2");
    EXPECT_EQ(server.config_map("elsewhere", "{}", "other").status, 201);
    EXPECT_EQ(server.remove("/api/v1/namespaces/default/configmaps/first").status, 200);
    EXPECT_EQ(used("q"), R"({"configmaps":"1","count/secrets":"0"})");
    EXPECT_EQ(server.config_map("third").status, 201);
    EXPECT_EQ(server.config_map("fourth").status, 403);
}

TEST_F(QuotaTest, before_its_first_count_a_quota_holds_too) {
    EXPECT_EQ(server.config_map("first").status, 201);
    EXPECT_EQ(server.post(quotas, R"({"metadata":{"name":"q"},"spec":{"hard":{"configmaps":"1"}}})")
                  .status,
              201);
    EXPECT_EQ(server.config_map("second").status, 403);
}

TEST_F(QuotaTest, pods_must_say_what_is_bounded_and_an_ended_one_leaves_room) {
    quota("q", R"({"pods":"1","requests.cpu":"1","limits.memory":"1Gi"})");
    const auto silent = server.pod("a");
    EXPECT_EQ(silent.status, 403);
    EXPECT_EQ(silent.message(),
              "pods \"a\" is forbidden: failed quota: q: must specify limits.memory for: c; "
              "requests.cpu for: c");
    const auto body = [](std::string_view name, std::string_view cpu) {
        return concat(
            R"({"metadata":{"name":")", name,
            R"("},"spec":{"containers":[{"name":"c","image":"i","resources":{"requests":{"cpu":")",
            cpu, R"("},"limits":{"memory":"10Mi"}}}]}})");
    };
    const auto pods = "/api/v1/namespaces/default/pods";
    const auto large = server.post(pods, body("a", "1100m"));
    EXPECT_EQ(large.message(),
              "pods \"a\" is forbidden: exceeded quota: q, requested: requests.cpu=1100m, used: "
              "requests.cpu=0, limited: requests.cpu=1");
    EXPECT_EQ(server.post(pods, body("a", "100m")).status, 201);
    EXPECT_EQ(used("q"), R"({"limits.memory":"10Mi","pods":"1","requests.cpu":"100m"})");
    EXPECT_EQ(server.post(pods, body("b", "100m")).status, 403);
    EXPECT_EQ(server
                  .patch(concat(pods, "/a/status"), R"({"status":{"phase":"Succeeded"}})",
                         "application/merge-patch+json")
                  .status,
              200);
    EXPECT_EQ(used("q"), R"({"limits.memory":"0","pods":"0","requests.cpu":"0"})");
    EXPECT_EQ(server.post(pods, body("b", "100m")).status, 201);
}

TEST_F(QuotaTest, a_service_that_takes_ports_later_is_counted_then) {
    quota("q", R"({"services.nodeports":"1"})");
    const auto services = "/api/v1/namespaces/default/services";
    EXPECT_EQ(
        server
            .post(
                services,
                R"({"metadata":{"name":"s"},"spec":{"ports":[{"port":1,"name":"a"},{"port":2,"name":"b"}]}})")
            .status,
        201);
    const auto refused = server.merge(concat(services, "/s"), R"({"spec":{"type":"NodePort"}})");
    EXPECT_EQ(refused.status, 403);
    EXPECT_NE(refused.message().find("requested: services.nodeports=2"), std::string::npos);
}

TEST_F(QuotaTest, a_dry_run_takes_nothing) {
    quota("q", R"({"configmaps":"1"})");
    EXPECT_EQ(server
                  .post("/api/v1/namespaces/default/configmaps?dryRun=All",
                        R"({"metadata":{"name":"a"}})")
                  .status,
              201);
    EXPECT_EQ(used("q"), R"({"configmaps":"0"})");
}

TEST_F(QuotaTest, many_at_once_never_get_past_the_bound) {
    quota("q", R"({"configmaps":"5"})");
    auto made = std::make_shared<int>(0);
    auto refused = std::make_shared<int>(0);
    for (int i = 0; i < 20; ++i) {
        net::Request request{.method = "POST", .path = "/api/v1/namespaces/default/configmaps"};
        request.headers.add("authorization", "Bearer admin");
        request.body = concat(R"({"metadata":{"name":"m)", i, R"("}})");
        auto response = std::make_shared<net::Response>();
        struct Counter final : net::Responder {
            std::shared_ptr<int> made, refused;
            void send(net::Response answer) override { ++*(answer.status == 201 ? made : refused); }
            void upgrade(net::Headers,
                         std::function<void(std::unique_ptr<net::RawStream>)>) override {}
            void on_gone(std::function<void()>) override {}
            net::Loop& loop() override { std::abort(); }
        };
        auto counter = std::make_shared<Counter>();
        counter->made = made;
        counter->refused = refused;
        server.api.handler()(std::move(request), counter);
    }
    server.executor.settle();
    EXPECT_EQ(*made, 5);
    EXPECT_EQ(*refused, 15);
    EXPECT_EQ(used("q"), R"({"configmaps":"5"})");
}

}   // namespace
}   // namespace skiff::apiserver::testing
