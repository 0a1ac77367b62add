#include "apiserver/policy_rule.h"

#include <gtest/gtest.h>

#include "base/text.h"

namespace skiff::apiserver {
namespace {

std::vector<PolicyRule> rules(std::string_view list) {
    const auto role = codec::parse_json(concat(R"({"rules":)", list, "}")).value();
    return policy_rules_of(role.root);
}

bool any_allows(std::string_view list, const Question& question) {
    const auto all = rules(list);
    return std::ranges::any_of(all, [&](const auto& rule) { return allows(rule, question); });
}

TEST(PolicyRule, allows_what_its_lists_say) {
    constexpr std::string_view pods =
        R"([{"verbs":["get","list"],"apiGroups":[""],"resources":["pods","*/scale"]}])";
    constexpr std::string_view named =
        R"([{"verbs":["*"],"apiGroups":["apps"],"resources":["deployments"],"resourceNames":["web"]}])";
    constexpr std::string_view urls =
        R"([{"verbs":["get"],"nonResourceURLs":["/healthz","/api/*"]}])";
    struct Row {
        std::string_view why;
        std::string_view list;
        Question question;
        bool allowed;
    };
    const Row rows[] = {
        {"verb, group and resource", pods, {.verb = "get", .resource = "pods"}, true},
        {"another verb", pods, {.verb = "delete", .resource = "pods"}, false},
        {"another group", pods, {.verb = "get", .group = "apps", .resource = "pods"}, false},
        {"a subresource is a resource of its own",
         pods,
         {.verb = "get", .resource = "pods", .subresource = "log"},
         false},
        {"a subresource of any resource",
         pods,
         {.verb = "get", .resource = "replicationcontrollers", .subresource = "scale"},
         true},
        {"the name that is listed",
         named,
         {.verb = "delete", .group = "apps", .resource = "deployments", .name = "web"},
         true},
        {"a name that is not",
         named,
         {.verb = "delete", .group = "apps", .resource = "deployments", .name = "db"},
         false},
        {"no name where names are listed",
         named,
         {.verb = "list", .group = "apps", .resource = "deployments"},
         false},
        {"a path", urls, {.verb = "get", .is_resource = false, .path = "/healthz"}, true},
        {"below a prefix", urls, {.verb = "get", .is_resource = false, .path = "/api/v1"}, true},
        {"another path", urls, {.verb = "get", .is_resource = false, .path = "/metrics"}, false},
        {"paths are no resources", urls, {.verb = "get", .resource = "pods"}, false},
    };
    for (const auto& row : rows)
        EXPECT_EQ(any_allows(row.list, row.question), row.allowed) << row.why;
}

TEST(PolicyRule, what_is_not_covered_is_told_grant_by_grant) {
    struct Row {
        std::string_view why, held, wanted, missing;
    };
    const Row rows[] = {
        {"the same", R"([{"verbs":["get"],"apiGroups":[""],"resources":["pods"]}])",
         R"([{"verbs":["get"],"apiGroups":[""],"resources":["pods"]}])", ""},
        {"two rules together cover one",
         R"([{"verbs":["get"],"apiGroups":[""],"resources":["pods"]},{"verbs":["list"],"apiGroups":[""],"resources":["pods"]}])",
         R"([{"verbs":["get","list"],"apiGroups":[""],"resources":["pods"]}])", ""},
        {"one verb too many", R"([{"verbs":["get"],"apiGroups":[""],"resources":["pods"]}])",
         R"([{"verbs":["get","delete"],"apiGroups":[""],"resources":["pods"]}])",
         R"({APIGroups:[""], Resources:["pods"], Verbs:["delete"]})"},
        {"all is more than each", R"([{"verbs":["get"],"apiGroups":[""],"resources":["pods"]}])",
         R"([{"verbs":["*"],"apiGroups":[""],"resources":["pods"]}])",
         R"({APIGroups:[""], Resources:["pods"], Verbs:["*"]})"},
        {"one name is less than all",
         R"([{"verbs":["get"],"apiGroups":[""],"resources":["pods"],"resourceNames":["a"]}])",
         R"([{"verbs":["get"],"apiGroups":[""],"resources":["pods"]}])",
         R"({APIGroups:[""], Resources:["pods"], Verbs:["get"]})"},
        {"all names cover one", R"([{"verbs":["get"],"apiGroups":[""],"resources":["pods"]}])",
         R"([{"verbs":["get"],"apiGroups":[""],"resources":["pods"],"resourceNames":["a"]}])", ""},
        {"a prefix covers what is below", R"([{"verbs":["get"],"nonResourceURLs":["/api/*"]}])",
         R"([{"verbs":["get"],"nonResourceURLs":["/api/v1","/apis"]}])",
         R"({NonResourceURLs:["/apis"], Verbs:["get"]})"},
    };
    for (const auto& row : rows) {
        std::string missing;
        for (const auto& rule : not_covered(rules(row.held), rules(row.wanted)))
            append(missing, missing.empty() ? "" : "\n", text_of(rule));
        EXPECT_EQ(missing, row.missing) << row.why;
    }
}

}   // namespace
}   // namespace skiff::apiserver
