// The pure parts of the controllers, by tables.
#include <gtest/gtest.h>

#include "api/view_testing.h"
#include "codec/json.h"
#include "controllers/certificate_controller.h"
#include "controllers/namespace_controller.h"
#include "controllers/namespace_defaults_controller.h"

namespace skiff::controllers {
namespace {

using api::of;

TEST(NamespaceController, a_namespace_is_emptied_before_it_is_finalized) {
    struct {
        const char* json;
        std::optional<bool> empty;
        NamespaceStep step;
    } const table[] = {
        {R"({"metadata":{"name":"a"},"spec":{"finalizers":["kubernetes"]}})",
         {},
         NamespaceStep::Nothing},
        {R"({"metadata":{"name":"a"},"spec":{"finalizers":["kubernetes"]}})", true,
         NamespaceStep::Nothing},
        {R"({"metadata":{"name":"a","deletionTimestamp":"2024-01-01T00:00:00Z"},"spec":{"finalizers":["kubernetes"]}})",
         {},
         NamespaceStep::Empty},
        {R"({"metadata":{"name":"a","deletionTimestamp":"2024-01-01T00:00:00Z"},"spec":{"finalizers":["kubernetes"]}})",
         false, NamespaceStep::Empty},
        {R"({"metadata":{"name":"a","deletionTimestamp":"2024-01-01T00:00:00Z"},"spec":{"finalizers":["kubernetes"]}})",
         true, NamespaceStep::Finalize},
        {R"({"metadata":{"name":"a","deletionTimestamp":"2024-01-01T00:00:00Z"},"spec":{"finalizers":["other","kubernetes"]}})",
         true, NamespaceStep::Finalize},
        {R"({"metadata":{"name":"a","deletionTimestamp":"2024-01-01T00:00:00Z"},"spec":{"finalizers":["other"]}})",
         true, NamespaceStep::Nothing},
        {R"({"metadata":{"name":"a","deletionTimestamp":"2024-01-01T00:00:00Z"},"spec":{}})",
         {},
         NamespaceStep::Nothing},
    };
    for (const auto& row : table)
        EXPECT_EQ(next_step(of<view::Namespace>(row.json), row.empty), row.step) << row.json;
}

TEST(Discovery, kinds_are_read_with_their_verbs_and_without_subresources) {
    const auto found =
        served_kinds(R"({"kind":"APIResourceList","groupVersion":"apps/v1","resources":[
        {"name":"deployments","namespaced":true,"kind":"Deployment","verbs":["list","get"],
         "storageVersionHash":"x"},
        {"name":"deployments/status","namespaced":true,"verbs":["list"]},
        {"name":"cluster","namespaced":false,"verbs":["create"]},
        {"name":"verbless","namespaced":true}]})");
    ASSERT_TRUE(found);
    ASSERT_EQ(found->size(), 3u);
    const auto& first = (*found)[0];
    EXPECT_EQ(first.group, "apps");
    EXPECT_EQ(first.api_version(), "apps/v1");
    EXPECT_EQ(first.kind, "Deployment");
    EXPECT_EQ(first.storage, "x");
    EXPECT_TRUE(first.namespaced && first.has("list") && !first.has("delete"));
    EXPECT_FALSE((*found)[1].namespaced);
    EXPECT_TRUE((*found)[2].verbs.empty());
    const auto core = served_kinds(R"({"groupVersion":"v1","resources":[{"name":"pods"}]})");
    ASSERT_TRUE(core);
    EXPECT_EQ(core->front().api_version(), "v1");
    EXPECT_FALSE(served_kinds("not json"));
    EXPECT_TRUE(served_kinds(R"({"groupVersion":"v1"})")->empty());
}

TEST(Discovery, one_version_of_what_is_stored_once_is_enough) {
    const auto kind = [](std::string group, std::string version, std::string plural,
                         std::string storage) {
        return ServedKind{.group = group, .version = version, .plural = plural, .storage = storage};
    };
    const auto left =
        one_of_each({kind("", "v1", "pods", "p"), kind("apps", "v1", "deployments", "d"),
                     kind("apps", "v1beta1", "deployments", "d"), kind("", "v1", "events", "e"),
                     kind("events.k8s.io", "v1", "events", "e"),
                     kind("extensions", "v1beta1", "deployments", "d"),
                     kind("x", "v1", "untold", ""), kind("y", "v1", "untold", "")});
    std::string names;
    for (const auto& one : left) names += one.api_version() + "/" + one.plural + " ";
    EXPECT_EQ(names, "v1/pods apps/v1/deployments v1/events x/v1/untold y/v1/untold ");
}

TEST(NamespaceController, what_is_left_is_told_in_conditions) {
    const auto fresh = of<view::Namespace>(R"({"metadata":{"name":"a","uid":"u"}})");
    const auto when = *parse_rfc3339("2024-06-01T12:00:00Z");
    NamespaceContent content;
    content.resources = {{"deployments.apps", 2}, {"pods.", 1}};
    content.finalizers = {{"example.com/x", 1}};
    const auto plan = plan_conditions(fresh, content, when);
    ASSERT_EQ(plan.writes.size(), 1u);
    const auto& body = plan.writes[0].body;
    for (const auto* part :
         {"Some resources are remaining: deployments.apps has 2 resource instances, pods. has 1 "
          "resource instances",
          "finalizers remaining: example.com/x in 1 resource instances",
          "All resources successfully", "NamespaceDeletionContentFailure"})
        EXPECT_NE(body.find(part), std::string::npos) << part << " in " << body;
    // Once told, not told again.
    const auto told = of<view::Namespace>(R"({"metadata":{"name":"a","uid":"u"},)" +
                                          body.substr(1, body.size() - 1));
    EXPECT_TRUE(plan_conditions(told, content, when + 5s).empty());
    content.resources.clear();
    const auto less = plan_conditions(told, content, when + 5s);
    ASSERT_EQ(less.writes.size(), 1u);
    EXPECT_EQ(less.writes[0].body.find("NamespaceFinalizersRemaining"), std::string::npos);
    EXPECT_NE(less.writes[0].body.find("ContentRemoved"), std::string::npos);
}

TEST(NamespaceDefaults, an_active_namespace_gets_its_account) {
    const auto active =
        of<view::Namespace>(R"({"metadata":{"name":"a"},"status":{"phase":"Active"}})");
    const auto fresh = of<view::Namespace>(R"({"metadata":{"name":"a"}})");
    const auto ending =
        of<view::Namespace>(R"({"metadata":{"name":"a"},"status":{"phase":"Terminating"}})");
    const auto marked = of<view::Namespace>(
        R"({"metadata":{"name":"a","deletionTimestamp":"2024-01-01T00:00:00Z"}})");
    const view::ServiceAccount account;
    for (const auto* name_space : {&active, &fresh}) {
        const auto plan = plan_account(*name_space, nullptr);
        ASSERT_EQ(plan.writes.size(), 1u);
        const auto& write = plan.writes[0];
        EXPECT_EQ(write.verb, client::Write::Verb::Create);
        EXPECT_EQ(write.resource.resource, "serviceaccounts");
        EXPECT_EQ(write.key, (client::ObjectKey{"a", "default"}));
        EXPECT_TRUE(write.if_absent);
        EXPECT_TRUE(plan_account(*name_space, &account).empty());
    }
    EXPECT_TRUE(plan_account(ending, nullptr).empty());
    EXPECT_TRUE(plan_account(marked, nullptr).empty());
}

TEST(NamespaceDefaults, the_root_ca_is_there_and_right) {
    const auto active = of<view::Namespace>(R"({"metadata":{"name":"a"}})");
    const auto ending =
        of<view::Namespace>(R"({"metadata":{"name":"a"},"status":{"phase":"Terminating"}})");
    const auto right = of<view::ConfigMap>(R"({"data":{"ca.crt":"PEM"}})");
    const auto wrong = of<view::ConfigMap>(R"({"data":{"ca.crt":"OTHER"}})");
    const auto more = of<view::ConfigMap>(R"({"data":{"ca.crt":"PEM","x":"y"}})");
    const auto absent = plan_root_ca(active, nullptr, "PEM");
    ASSERT_EQ(absent.writes.size(), 1u);
    EXPECT_EQ(absent.writes[0].verb, client::Write::Verb::Create);
    EXPECT_TRUE(absent.writes[0].if_absent);
    EXPECT_NE(absent.writes[0].body.find(R"("ca.crt":"PEM")"), std::string::npos);
    EXPECT_TRUE(plan_root_ca(active, &right, "PEM").empty());
    for (const auto* config_map : {&wrong, &more}) {
        const auto plan = plan_root_ca(active, config_map, "PEM");
        ASSERT_EQ(plan.writes.size(), 1u);
        EXPECT_EQ(plan.writes[0].verb, client::Write::Verb::Update);
        EXPECT_EQ(plan.writes[0].key, (client::ObjectKey{"a", "kube-root-ca.crt"}));
    }
    EXPECT_TRUE(plan_root_ca(ending, nullptr, "PEM").empty());
    EXPECT_TRUE(plan_root_ca(ending, &wrong, "PEM").empty());
}

using What = CertificateDecision::What;
using Facts = ControllersOptions::CsrFacts;

const WallTime now = *parse_rfc3339("2024-06-01T12:00:00Z");
constexpr const char* node_client = "kubernetes.io/kube-apiserver-client-kubelet";
constexpr const char* node_serving = "kubernetes.io/kubelet-serving";
constexpr const char* any_client = "kubernetes.io/kube-apiserver-client";

view::CertificateSigningRequest request(const std::string& signer, const std::string& user,
                                        const std::string& groups, const std::string& usages,
                                        const std::string& more = {}) {
    return of<view::CertificateSigningRequest>(
        R"({"metadata":{"name":"r","creationTimestamp":"2024-06-01T11:59:00Z"},"spec":{"signerName":")" +
        signer + R"(","username":")" + user + R"(","groups":[)" + groups + R"(],"usages":[)" +
        usages + R"(]})" + more + "}");
}

constexpr const char* client_usages = R"("digital signature","client auth")";
constexpr const char* serving_usages = R"("digital signature","key encipherment","server auth")";
const Facts node_one{.common_name = "system:node:one",
                     .organizations = {"system:nodes"},
                     .dns_names = {},
                     .addresses = {}};

TEST(Certificates, a_node_gets_its_own_client_identity_and_no_other) {
    const Facts two{.common_name = "system:node:two",
                    .organizations = {"system:nodes"},
                    .dns_names = {},
                    .addresses = {}};
    auto masters = node_one;
    masters.organizations = {"system:masters"};
    auto both = node_one;
    both.organizations = {"system:nodes", "system:masters"};
    auto nameless = node_one;
    nameless.common_name = "system:node:";
    auto admin = node_one;
    admin.common_name = "admin";
    auto named = node_one;
    named.dns_names = {"kubernetes"};
    auto addressed = node_one;
    addressed.addresses = {"10.0.0.1"};
    const std::string boot = R"("system:bootstrappers")";
    const std::string nodes = R"("system:nodes")";
    struct {
        const char* what;
        const Facts& facts;
        std::string user, groups;
        const char* usages;
        What decision;
    } const table[] = {
        {"first, by a bootstrap token", node_one, "system:bootstrap:abc", boot, client_usages,
         What::Approve},
        {"renewal", node_one, "system:node:one", nodes, client_usages, What::Approve},
        {"another node's", two, "system:node:one", nodes, client_usages, What::Nothing},
        {"anyone", node_one, "jane", R"("system:authenticated")", client_usages, What::Nothing},
        {"masters by a node", masters, "system:node:one", nodes, client_usages, What::Nothing},
        {"masters by a token", masters, "system:bootstrap:abc", boot, client_usages, What::Nothing},
        {"masters beside nodes", both, "system:bootstrap:abc", boot, client_usages, What::Nothing},
        {"no name", nameless, "system:bootstrap:abc", boot, client_usages, What::Nothing},
        {"no node", admin, "system:bootstrap:abc", boot, client_usages, What::Nothing},
        {"with a name", named, "system:bootstrap:abc", boot, client_usages, What::Nothing},
        {"with an address", addressed, "system:bootstrap:abc", boot, client_usages, What::Nothing},
        {"serving too", node_one, "system:bootstrap:abc", boot, R"("client auth","server auth")",
         What::Nothing},
        {"a signer's", node_one, "system:bootstrap:abc", boot, R"("client auth","cert sign")",
         What::Nothing},
        {"without use", node_one, "system:bootstrap:abc", boot, R"("digital signature")",
         What::Nothing},
    };
    for (const auto& row : table)
        EXPECT_EQ(
            decide(request(node_client, row.user, row.groups, row.usages), row.facts, nullptr, now)
                .what,
            row.decision)
            << row.what;
}

TEST(Certificates, a_serving_certificate_carries_the_nodes_own_names_and_addresses) {
    const auto node = of<view::Node>(R"({"metadata":{"name":"one"},"status":{"addresses":[
        {"type":"InternalIP","address":"10.0.0.1"},{"type":"Hostname","address":"one.example"}]}})");
    struct {
        const char* what;
        std::vector<std::string> dns, addresses;
        const char* user = "system:node:one";
        const char* usages = serving_usages;
        const view::Node* node;
        What decision;
    } const table[] = {
        {"name and address",
         {"one"},
         {"10.0.0.1"},
         "system:node:one",
         serving_usages,
         &node,
         What::Approve},
        {"host name, loopback",
         {"one.example", "localhost"},
         {"127.0.0.1", "::1"},
         "system:node:one",
         serving_usages,
         &node,
         What::Approve},
        {"address alone",
         {},
         {"10.0.0.1"},
         "system:node:one",
         serving_usages,
         &node,
         What::Approve},
        {"nothing", {}, {}, "system:node:one", serving_usages, &node, What::Nothing},
        {"a foreign name",
         {"one", "kubernetes.default.svc"},
         {},
         "system:node:one",
         serving_usages,
         &node,
         What::Nothing},
        {"a foreign address",
         {"one"},
         {"10.0.0.2"},
         "system:node:one",
         serving_usages,
         &node,
         What::Nothing},
        {"another user", {"one"}, {}, "system:node:two", serving_usages, &node, What::Nothing},
        {"client use too",
         {"one"},
         {},
         "system:node:one",
         R"("server auth","client auth")",
         &node,
         What::Nothing},
        {"a node that is not there",
         {"one"},
         {},
         "system:node:one",
         serving_usages,
         nullptr,
         What::Nothing},
        {"any address of a node that is not there",
         {"one"},
         {"10.96.0.1"},
         "system:node:one",
         serving_usages,
         nullptr,
         What::Nothing},
    };
    for (const auto& row : table) {
        auto facts = node_one;
        facts.dns_names = row.dns;
        facts.addresses = row.addresses;
        EXPECT_EQ(decide(request(node_serving, row.user, R"("system:nodes")", row.usages), facts,
                         row.node, now)
                      .what,
                  row.decision)
            << row.what;
    }
}

TEST(Certificates, what_is_approved_is_signed_once_and_within_bounds) {
    const std::string approved =
        R"(,"status":{"conditions":[{"type":"Approved","status":"True"}]})";
    const std::string done =
        R"(,"status":{"conditions":[{"type":"Approved","status":"True"}],"certificate":"UEVN"})";
    const std::string denied =
        R"(,"status":{"conditions":[{"type":"Approved","status":"True"},{"type":"Denied","status":"True"}]})";
    const std::string failed =
        R"(,"status":{"conditions":[{"type":"Approved","status":"True"},{"type":"Failed","status":"True"}]})";
    const Facts masters{.common_name = "admin",
                        .organizations = {"system:masters"},
                        .dns_names = {},
                        .addresses = {}};
    const Facts jane{
        .common_name = "jane", .organizations = {"devs"}, .dns_names = {}, .addresses = {}};
    struct {
        const char* what;
        const char* signer;
        const Facts& facts;
        const std::string& more;
        What decision;
    } const table[] = {
        {"a user's", any_client, jane, approved, What::Sign},
        {"a user's, done", any_client, jane, done, What::Nothing},
        {"a user's, denied", any_client, jane, denied, What::Nothing},
        {"a user's, failed", any_client, jane, failed, What::Nothing},
        {"masters'", any_client, masters, approved, What::Fail},
        {"a node's", node_client, node_one, approved, What::Sign},
        {"no node's", node_client, jane, approved, What::Fail},
        {"masters' by the nodes' signer", node_client, masters, approved, What::Fail},
        {"a node's server", node_serving, node_one, approved, What::Sign},
        {"another signer's", "example.com/mine", jane, approved, What::Nothing},
    };
    for (const auto& row : table)
        EXPECT_EQ(
            decide(request(row.signer, "u", "", client_usages, row.more), row.facts, nullptr, now)
                .what,
            row.decision)
            << row.what;
    // Nobody but an administrator approves a user's.
    EXPECT_EQ(decide(request(any_client, "system:node:one", R"("system:nodes")", client_usages),
                     node_one, nullptr, now)
                  .what,
              What::Nothing);

    const auto serving =
        decide(request(node_serving, "u", "", serving_usages, approved), node_one, nullptr, now);
    EXPECT_TRUE(serving.use.server_auth);
    EXPECT_FALSE(serving.use.client_auth);
    for (const auto& [asked, given] :
         {std::pair{1, 600}, {3600, 3600}, {2'000'000'000, 365 * 24 * 3600}}) {
        auto wanted = request(any_client, "u", "", client_usages, approved);
        wanted.spec.expirationSeconds = asked;
        const auto signed_ = decide(wanted, jane, nullptr, now);
        EXPECT_EQ(signed_.use.life, std::chrono::seconds{given});
        EXPECT_TRUE(signed_.use.client_auth);
        EXPECT_FALSE(signed_.use.server_auth);
    }
}

TEST(Certificates, old_requests_go) {
    const std::string approved =
        R"(,"status":{"conditions":[{"type":"Approved","status":"True"}]})";
    struct {
        const char* created;
        bool done;
        What decision;
    } const table[] = {
        {"2024-06-01T11:30:00Z", true, What::Sign},
        {"2024-06-01T10:59:00Z", true, What::Remove},
        {"2024-06-01T10:59:00Z", false, What::Nothing},
        {"2024-05-31T11:00:00Z", false, What::Remove},
    };
    const Facts jane{.common_name = "jane", .organizations = {}, .dns_names = {}, .addresses = {}};
    for (const auto& row : table) {
        auto wanted = request(any_client, "u", "", client_usages, row.done ? approved : "");
        wanted.metadata.creationTimestamp = *parse_rfc3339(row.created);
        EXPECT_EQ(decide(wanted, jane, nullptr, now).what, row.decision) << row.created;
    }
}

}   // namespace
}   // namespace skiff::controllers
