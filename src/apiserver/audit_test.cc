// The audit log: what the policy tells, what events say, and what happens when nothing can be kept.
#include "apiserver/audit.h"
#include "apiserver/testing.h"

namespace skiff::apiserver::testing {
namespace {

AuditDecision decide(const AuditPolicy& policy, const User& user, std::string_view method,
                     std::string_view target) {
    const auto [path, query] = cut(target, '?');
    const net::Request request{.method = std::string{method},
                               .path = std::string{path},
                               .query = std::string{query.value_or("")}};
    return policy.decide(user, parse_request_info(request).value());
}

TEST(AuditPolicy, the_first_rule_that_matches_decides) {
    const auto policy = AuditPolicy::parse(R"(
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: RequestResponse
  resources: [{group: "", resources: [pods]}]
- level: Metadata
  resources: [{group: "", resources: ["pods/log", "pods/status"]}]
- level: None
  users: [bob]
  verbs: [watch]
  resources: [{group: apps}]
- level: Request
  resources: [{group: "", resources: [configmaps], resourceNames: [one]}]
  namespaces: [kube-system]
- level: Metadata
  userGroups: [dev]
  nonResourceURLs: ["/api*", /version]
  omitStages: [ResponseStarted]
)");
    ASSERT_TRUE(policy) << policy.error().message;
    const User alice{.name = "alice", .uid = {}, .groups = {"dev"}, .extra = {}};
    const User bob{.name = "bob", .uid = {}, .groups = {}, .extra = {}};
    struct {
        const User& user;
        std::string_view method, target, level;
    } const table[] = {
        {alice, "GET", "/api/v1/namespaces/d/pods/a", "RequestResponse"},
        {alice, "GET", "/api/v1/namespaces/d/pods/a/log", "Metadata"},
        {alice, "GET", "/api/v1/namespaces/d/pods/a/exec", "None"},
        {bob, "GET", "/apis/apps/v1/deployments?watch=true", "None"},
        {alice, "GET", "/api/v1/namespaces/kube-system/configmaps/one", "Request"},
        {alice, "GET", "/api/v1/namespaces/kube-system/configmaps/two", "None"},
        {alice, "GET", "/api/v1/namespaces/d/configmaps/one", "None"},
        {alice, "GET", "/apis", "Metadata"},
        {bob, "GET", "/apis", "None"},
        {alice, "GET", "/healthz", "None"},
    };
    for (const auto& row : table)
        EXPECT_EQ(text_of(decide(*policy, row.user, row.method, row.target).level), row.level)
            << row.target;
    const auto decision = decide(*policy, alice, "GET", "/apis");
    EXPECT_FALSE(decision.tells(AuditStage::RequestReceived));
    EXPECT_FALSE(decision.tells(AuditStage::ResponseStarted));
    EXPECT_TRUE(decision.tells(AuditStage::ResponseComplete));
}

TEST(AuditPolicy, nonsense_is_refused) {
    for (const std::string_view text :
         {"", "apiVersion: audit.k8s.io/v1beta1\nkind: Policy\nrules: [{level: None}]",
          "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: []",
          "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Everything}]",
          "apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [Never]\nrules: [{level: None}]",
          "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: None, nonResourceURLs: "
          "[healthz]}]",
          "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: None, nonResourceURLs: [/a], "
          "namespaces: [b]}]"})
        EXPECT_FALSE(AuditPolicy::parse(text)) << text;
    EXPECT_EQ(decide(AuditPolicy::builtin(), anonymous_user(), "POST", "/api/v1/namespaces").level,
              AuditLevel::Metadata);
}

class AuditTest : public ::testing::Test {
  protected:
    void use(std::string_view policy) {
        log = std::make_shared<AuditLog>(
            AuditPolicy::parse(policy).value(),
            [this](std::string_view text) -> Result<> {
                if (full) return fail(Reason::ServiceUnavailable, "no space");
                lines += text;
                return {};
            },
            server.executor, server.random);
        server.api.use_audit(log);
    }
    std::vector<codec::Document> events() {
        server.executor.advance(std::chrono::milliseconds{100});
        std::vector<codec::Document> found;
        const auto told = std::exchange(lines, {});
        for (const auto line : split(told, '\n'))
            if (!line.empty()) found.push_back(codec::parse_json(line).value());
        return found;
    }
    std::string lines;
    bool full = false;
    TestServer server;
    std::shared_ptr<AuditLog> log;
};

constexpr std::string_view everything =
    "apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\nomitManagedFields: "
    "true\nrules: [{level: RequestResponse}]";

TEST_F(AuditTest, an_event_says_who_what_and_how_it_ended) {
    use(everything);
    const auto made = server.config_map("a");
    ASSERT_EQ(made.status, 201);
    auto told = events();
    ASSERT_EQ(told.size(), 1u);
    const auto& event = told[0].root;
    EXPECT_EQ(event.text_at({"level"}), "RequestResponse");
    EXPECT_EQ(event.text_at({"stage"}), "ResponseComplete");
    EXPECT_EQ(event.text_at({"verb"}), "create");
    EXPECT_EQ(event.text_at({"user", "username"}), "admin");
    EXPECT_EQ(event.text_at({"requestURI"}), "/api/v1/namespaces/default/configmaps");
    EXPECT_EQ(codec::to_json(*event.find("objectRef")),
              R"({"resource":"configmaps","namespace":"default","name":"a","apiVersion":"v1"})");
    EXPECT_EQ(codec::to_json(*event.find("responseStatus")), R"({"metadata":{},"code":201})");
    EXPECT_EQ(event.text_at({"requestObject", "data", "k"}), "v");
    EXPECT_FALSE(event.text_at({"responseObject", "metadata", "uid"}).empty());
    EXPECT_EQ(event.at_path({"responseObject", "metadata", "managedFields"}), nullptr);
    EXPECT_EQ(event.text_at({"annotations", "authorization.k8s.io/decision"}), "allow");
    EXPECT_EQ(made.header("audit-id"), event.text_at({"auditID"}));
}

TEST_F(AuditTest, what_is_refused_is_told_with_its_reason) {
    use(everything);
    EXPECT_EQ(server.get("/api/v1/nodes", {{"authorization", "Bearer alice"}}).status, 403);
    EXPECT_EQ(server.get("/api/v1/nodes", {{"authorization", "Bearer wrong"}}).status, 401);
    EXPECT_EQ(server.get("/api/v1/nodes", {{"impersonate-user", "carol"}}).status, 403);
    const auto told = events();
    ASSERT_EQ(told.size(), 3u);
    EXPECT_EQ(told[0].root.text_at({"annotations", "authorization.k8s.io/decision"}), "forbid");
    EXPECT_EQ(told[0].root.text_at({"responseStatus", "reason"}), "Forbidden");
    EXPECT_EQ(told[1].root.at_path({"responseStatus", "code"})->as_int(), 401);
    EXPECT_EQ(told[2].root.text_at({"user", "username"}), "admin");
    EXPECT_EQ(told[2].root.text_at({"impersonatedUser", "username"}), "carol");
}

TEST_F(AuditTest, no_secret_and_no_token_is_told_whatever_the_policy_says) {
    use(everything);
    EXPECT_EQ(server
                  .post("/api/v1/namespaces/default/secrets",
                        R"({"metadata":{"name":"s"},"stringData":{"key":"hidden-word"}})")
                  .status,
              201);
    EXPECT_EQ(server.get("/api/v1/namespaces/default/secrets/s").status, 200);
    EXPECT_EQ(server
                  .post("/apis/authentication.k8s.io/v1/tokenreviews",
                        R"({"spec":{"token":"hidden-word"}})")
                  .status,
              201);
    server.executor.advance(std::chrono::milliseconds{100});
    EXPECT_EQ(lines.find("hidden-word"), std::string::npos);
    EXPECT_EQ(lines.find(base64("hidden-word")), std::string::npos);
    EXPECT_EQ(events().size(), 3u);
}

TEST_F(AuditTest, a_watch_is_told_when_it_starts_and_when_it_ends) {
    use(everything);
    auto watching =
        server.watch("/api/v1/namespaces/default/configmaps?watch=true&timeoutSeconds=5");
    auto told = events();
    ASSERT_EQ(told.size(), 1u);
    EXPECT_EQ(told[0].root.text_at({"stage"}), "ResponseStarted");
    server.executor.advance(std::chrono::seconds{6});
    watching.events();
    EXPECT_TRUE(watching.ended());
    told = events();
    ASSERT_EQ(told.size(), 1u);
    EXPECT_EQ(told[0].root.text_at({"stage"}), "ResponseComplete");
}

TEST_F(AuditTest, when_the_disk_is_full_requests_go_on_and_events_are_counted) {
    use(everything);
    full = true;
    EXPECT_EQ(server.config_map("a").status, 201);
    EXPECT_TRUE(events().empty());
    EXPECT_EQ(log->statistics().dropped, 1u);
    EXPECT_EQ(log->statistics().problem, "no space");
    full = false;
    EXPECT_EQ(server.config_map("b").status, 201);
    EXPECT_EQ(events().size(), 1u);
    EXPECT_EQ(log->statistics().problem, "");
}

TEST_F(AuditTest, what_pod_security_would_refuse_is_told) {
    use(everything);
    EXPECT_EQ(
        server
            .merge("/api/v1/namespaces/default",
                   R"({"metadata":{"labels":{"pod-security.kubernetes.io/audit":"baseline"}}})")
            .status,
        200);
    events();
    EXPECT_EQ(server.pod("a", R"(,"hostPID":true)").status, 201);
    const auto told = events();
    ASSERT_EQ(told.size(), 1u);
    EXPECT_TRUE(told[0]
                    .root.text_at({"annotations", "pod-security.kubernetes.io/audit-violations"})
                    .starts_with("would violate PodSecurity \"baseline:latest\": host namespaces"));
    EXPECT_EQ(told[0].root.text_at({"annotations", "pod-security.kubernetes.io/enforce-policy"}),
              "privileged:latest");
}

}   // namespace
}   // namespace skiff::apiserver::testing
