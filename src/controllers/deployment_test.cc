// What a deployment does next, by tables.
#include <gtest/gtest.h>

#include "api/view_testing.h"
#include "base/text.h"
#include "codec/json.h"
#include "controllers/deployment.h"

namespace skiff::controllers {
namespace {

using api::of;

const WallTime now = *parse_rfc3339("2024-06-01T12:00:00Z");

std::string template_of(std::string_view image, std::string_view hash = "") {
    return concat(R"({"metadata":{"labels":{"app":"web")",
                  hash.empty() ? "" : concat(R"(,"pod-template-hash":")", hash, '"'),
                  R"(}},"spec":{"containers":[{"name":"c","image":")", image, R"("}]}})");
}

view::Deployment deployment(int replicas, std::string_view more_spec = "",
                            std::string_view more_metadata = "") {
    auto made = of<view::Deployment>(concat(
        R"({"metadata":{"name":"web","namespace":"d","uid":"dep","generation":3)", more_metadata,
        R"(},"spec":{"replicas":)", replicas,
        R"(,"selector":{"matchLabels":{"app":"web"}},"template":)", template_of("new"),
        R"(,"strategy":{"type":"RollingUpdate","rollingUpdate":{"maxSurge":"25%","maxUnavailable":"25%"}},)",
        R"("progressDeadlineSeconds":600,"revisionHistoryLimit":10)", more_spec, "}}"));
    return made;
}

// "new:3/2/1": size 3, two pods, one available; "^5": the deployment's number when it was sized.
client::Shared<view::ReplicaSet> set(std::string_view word, int order) {
    const auto [name, numbers] = cut(word, ':');
    const auto [counts, desired] = cut(*numbers, '^');
    const auto parts = split(counts, '/');
    const auto number = [&](size_t i) { return i < parts.size() ? parts[i] : parts.back(); };
    auto made = of<view::ReplicaSet>(concat(
        R"({"metadata":{"name":"web-)", name, R"(","namespace":"d","uid":"u-)", name,
        R"(","generation":1,"resourceVersion":"7","creationTimestamp":"2024-06-01T1)", order,
        R"(:00:00Z","annotations":{"deployment.kubernetes.io/revision":")", order + 1, '"',
        desired ? concat(R"(,"deployment.kubernetes.io/desired-replicas":")", *desired, '"') : "",
        R"(}},"spec":{"replicas":)", number(0), R"(,"selector":{},"template":)",
        template_of(name, concat("h", name)), R"(},"status":{"replicas":)", number(1),
        R"(,"readyReplicas":)", number(2), R"(,"availableReplicas":)", number(2),
        R"(,"observedGeneration":1}})"));
    return std::make_shared<view::ReplicaSet>(made);
}

ReplicaSets sets(std::string_view words) {
    ReplicaSets out;
    for (const auto word : split(words, ' '))
        if (!word.empty()) out.push_back(set(word, static_cast<int>(out.size())));
    return out;
}

// "old 3>1 new 1>2, create 2": what the plan does to sizes.
std::string sizes(const client::Plan& plan, const ReplicaSets& all) {
    std::string out;
    for (const auto& write : plan.writes) {
        if (write.resource.resource != "replicasets") continue;
        const auto body = codec::parse_json(write.body.empty() ? "{}" : write.body);
        EXPECT_TRUE(body) << write.body;
        const auto* replicas = body->root.at_path({"spec", "replicas"});
        if (write.verb == client::Write::Verb::Delete) {
            append(out, out.empty() ? "" : " ", "remove ", write.key.name.substr(4));
        } else if (write.verb == client::Write::Verb::Create) {
            append(out, out.empty() ? "" : " ", "create ", replicas->as_int());
        } else if (replicas) {
            for (const auto& one : all)
                if (one->metadata.name == write.key.name)
                    append(out, out.empty() ? "" : " ", write.key.name.substr(4), " ",
                           *one->spec.replicas, ">", replicas->as_int());
        }
    }
    return out;
}

std::string sizes(const view::Deployment& object, std::string_view words) {
    const auto all = sets(words);
    return sizes(plan_deployment({.deployment = object, .sets = all, .uids_with_pods = {}}, now),
                 all);
}

TEST(Deployment, a_rolling_update_keeps_within_surge_and_unavailability) {
    const struct {
        const char* why;
        int replicas;
        const char* sets;
        const char* does;
    } rows[] = {
        {"the first set is made whole", 4, "", "create 4"},
        {"beside an old one there is room for the surge", 4, "old:4", "create 1"},
        {"of one replica too", 1, "old:1", "create 1"},
        {"all is as it should be", 4, "new:4", ""},
        {"an old one may go before the first new one is there", 4, "old:4 new:1/0/0", "old 4>3"},
        {"but no second one", 4, "old:3 new:1/1/0", "new 1>2"},
        {"not while old pods are still to be removed", 4, "old:3/4/3 new:1/1/0", ""},
        {"new ones that are there let old ones go", 4, "old:3 new:2", "old 3>1"},
        {"and then there is room again", 4, "old:1 new:2", "new 2>4"},
        {"the last old one", 4, "old:1 new:4", "old 1>0"},
        {"broken old ones go first", 4, "old:4/4/2 new:1/1/0", "old 4>3"},
        {"a bad image stops", 4, "old:3 new:2/2/0", ""},
        {"numbers of status that lag count for nothing", 4, "old:3/4/4 new:2/2/0", ""},
        {"scaled to zero", 0, "old:0 new:0", ""},
        {"undo: the old template is the new again", 4, "new:3 bad:2/2/0", "bad 2>0"},
    };
    for (const auto& row : rows)
        EXPECT_EQ(sizes(deployment(row.replicas), row.sets), row.does) << row.why;
}

// A set that has just been made smaller may still be getting the pods of before.
TEST(Deployment, nothing_grows_before_the_old_sizes_are_seen) {
    const auto object = deployment(4);
    auto all = sets("old:0/0/0 new:1");
    EXPECT_EQ(
        sizes(plan_deployment({.deployment = object, .sets = all, .uids_with_pods = {}}, now), all),
        "new 1>4");
    auto unseen = *all[0];
    unseen.metadata.generation = 2;
    all[0] = std::make_shared<view::ReplicaSet>(unseen);
    EXPECT_EQ(
        sizes(plan_deployment({.deployment = object, .sets = all, .uids_with_pods = {}}, now), all),
        "");
}

TEST(Deployment, a_change_of_the_number_is_shared) {
    const struct {
        const char* why;
        int replicas;
        const char* more;
        const char* sets;
        const char* does;
    } rows[] = {
        {"only one set", 6, "", "new:4^4", "new 4>6"},
        {"only one set, none old", 2, "", "old:0^4 new:4^4", "new 4>2"},
        {"two sets grow by their sizes", 20, "", "old:8^10 new:5/5/0^10", "old 8>15 new 5>10"},
        {"two sets shrink by their sizes", 5, "", "old:8^10 new:5/5/0^10", "old 8>4 new 5>3"},
        {"zero is zero for all", 0, "", "old:8^10 new:5/5/0^10", "old 8>0 new 5>0"},
        {"paused: only the number", 6, R"(,"paused":true)", "old:4^4", "old 4>6"},
        {"paused: no new template", 4, R"(,"paused":true)", "old:4^4", ""},
        {"a new set that is whole needs no old ones", 3, "", "old:2^4 new:3^3", "old 2>0"},
    };
    for (const auto& row : rows) {
        auto object = deployment(row.replicas, row.more);
        object.status.replicas = 13;
        EXPECT_EQ(sizes(object, row.sets), row.does) << row.why;
    }
}

TEST(Deployment, recreate_waits_for_the_last_old_pod) {
    auto object = deployment(3);
    object.spec.strategy = {.type = "Recreate", .rollingUpdate = {}};
    EXPECT_EQ(sizes(object, ""), "create 3");
    EXPECT_EQ(sizes(object, "old:3"), "old 3>0");
    EXPECT_EQ(sizes(object, "old:0/1/0"), "");
    EXPECT_EQ(sizes(object, "old:0"), "create 3");
    EXPECT_EQ(sizes(object, "old:0 new:1"), "new 1>3");
    const auto all = sets("old:0");
    const DeploymentFacts leaving{.deployment = object, .sets = all, .uids_with_pods = {"u-old"}};
    EXPECT_EQ(sizes(plan_deployment(leaving, now), all), "") << "terminating pods count too";
    auto unseen = *all[0];
    unseen.metadata.generation = 2;
    const ReplicaSets late{std::make_shared<view::ReplicaSet>(unseen)};
    EXPECT_EQ(
        sizes(plan_deployment({.deployment = object, .sets = late, .uids_with_pods = {}}, now),
              late),
        "")
        << "its controller may still be making pods";
}

TEST(Deployment, the_allowance_is_of_numbers_and_percentages) {
    const struct {
        int replicas;
        api::IntOrString surge, unavailable;
        int32_t more, less;
    } rows[] = {
        {10, "25%", "25%", 3, 2}, {1, "25%", "25%", 1, 0}, {4, 0, 0, 0, 1}, {4, "0%", "10%", 0, 1},
        {4, 2, 1, 2, 1},          {3, "100%", 5, 3, 3},    {0, 2, 2, 0, 0},
    };
    for (const auto& row : rows) {
        auto object = deployment(row.replicas);
        object.spec.strategy.rollingUpdate->maxSurge = row.surge;
        object.spec.strategy.rollingUpdate->maxUnavailable = row.unavailable;
        const auto allowance = allowance_of(object);
        EXPECT_EQ(allowance.surge, row.more) << row.replicas;
        EXPECT_EQ(allowance.unavailable, row.less) << row.replicas;
    }
}

TEST(Deployment, a_new_set_carries_its_hash_revision_and_owner) {
    const auto object = deployment(
        2, "",
        R"(,"annotations":{"kubernetes.io/change-cause":"x","deployment.kubernetes.io/revision":"1"})");
    const auto all = sets("old:2");
    const auto plan =
        plan_deployment({.deployment = object, .sets = all, .uids_with_pods = {}}, now);
    ASSERT_FALSE(plan.empty());
    const auto& write = plan.writes[0];
    EXPECT_EQ(write.key.name, new_set_name(object));
    EXPECT_EQ(write.when_done->message,
              concat("Scaled up replica set ", write.key.name, " from 0 to 1"));
    const auto made = codec::parse_json(write.body);
    ASSERT_TRUE(made);
    const auto& root = made->root;
    const auto hash = write.key.name.substr(4);
    EXPECT_EQ(root.text_at({"metadata", "labels", "pod-template-hash"}), hash);
    EXPECT_EQ(root.text_at({"spec", "selector", "matchLabels", "pod-template-hash"}), hash);
    EXPECT_EQ(root.text_at({"spec", "selector", "matchLabels", "app"}), "web");
    EXPECT_EQ(root.text_at({"spec", "template", "metadata", "labels", "pod-template-hash"}), hash);
    EXPECT_EQ(root.text_at({"metadata", "annotations", "deployment.kubernetes.io/revision"}), "2");
    EXPECT_EQ(root.text_at({"metadata", "annotations", "deployment.kubernetes.io/max-replicas"}),
              "3");
    EXPECT_EQ(root.text_at({"metadata", "annotations", "kubernetes.io/change-cause"}), "x");
    EXPECT_EQ(root.at_path({"metadata", "ownerReferences"})->items()[0].text_at({"uid"}), "dep");
    auto collided = object;
    collided.status.collisionCount = 1;
    EXPECT_NE(new_set_name(collided), new_set_name(object));
    EXPECT_EQ(template_hash(R"({"a":1,"b":{"c":2,"d":3}})", {}),
              template_hash(R"({"b":{"d":3,"c":2},"a":1})", {}));
    EXPECT_TRUE(same_template(template_of("new"), template_of("new", "abc")));
    EXPECT_FALSE(same_template(template_of("new"), template_of("old", "abc")));
}

TEST(Deployment, going_back_gives_the_old_set_the_next_revision) {
    auto object = deployment(2);
    const auto all = sets("new:0 bad:2");   // new is the older one, of revision 1
    const auto plan =
        plan_deployment({.deployment = object, .sets = all, .uids_with_pods = {}}, now);
    std::string annotations;
    for (const auto& write : plan.writes)
        if (write.key.name == "web-new" || write.resource.resource == "deployments")
            annotations += write.body;
    EXPECT_NE(annotations.find(R"("deployment.kubernetes.io/revision":"3")"), std::string::npos);
    EXPECT_NE(annotations.find(R"("deployment.kubernetes.io/revision-history":"1")"),
              std::string::npos);
    for (const auto& write : plan.writes)
        if (write.key.name == "web-bad") {
            EXPECT_EQ(write.body.find("template"), std::string::npos);
            EXPECT_EQ(write.resource_version, "7");
        }
}

TEST(Deployment, old_sets_beyond_the_limit_go_oldest_first) {
    auto object = deployment(2, "", R"(,"annotations":{"deployment.kubernetes.io/revision":"5"})");
    object.spec.revisionHistoryLimit = 1;
    object.status.conditions.push_back({.type = "Progressing", .status = "True", .reason = "x"});
    EXPECT_EQ(sizes(object, "a:0 b:0 c:0 new:2^2"), "remove a remove b");
    EXPECT_EQ(sizes(object, "a:0 b:0 c:0 new:2/2/1^2"), "") << "not before all is done";
}

struct Said {
    std::string available, progressing;
};
Said said(const view::Deployment& object, std::string_view words, WallTime when) {
    const auto all = sets(words);
    const auto plan =
        plan_deployment({.deployment = object, .sets = all, .uids_with_pods = {}}, when);
    auto status = object.status;
    for (const auto& write : plan.writes)
        if (write.subresource == "status") status = of<view::Deployment>(write.body).status;
    const auto text = [&](std::string_view type) {
        const auto* condition = condition_of(status, type);
        return condition ? concat(condition->status, " ", condition->reason.view()) : "";
    };
    return {text("Available"), text("Progressing")};
}

TEST(Deployment, its_conditions_tell_how_it_goes) {
    auto object = deployment(4);
    EXPECT_EQ(said(object, "", now).progressing, "True NewReplicaSetCreated");
    EXPECT_EQ(said(object, "", now).available, "False MinimumReplicasUnavailable");
    EXPECT_EQ(said(object, "new:4/4/3", now).available, "True MinimumReplicasAvailable");
    EXPECT_EQ(said(object, "new:4", now).progressing, "True NewReplicaSetAvailable");
    object.status = {.replicas = 4,
                     .updatedReplicas = 4,
                     .availableReplicas = 1,
                     .unavailableReplicas = 3,
                     .readyReplicas = 1};
    object.status.conditions.push_back({.type = "Progressing",
                                        .status = "True",
                                        .reason = "ReplicaSetUpdated",
                                        .message = "",
                                        .lastUpdateTime = now - 599s,
                                        .lastTransitionTime = now - 700s});
    EXPECT_EQ(said(object, "new:4/4/2", now).progressing, "True ReplicaSetUpdated");
    EXPECT_EQ(said(object, "new:4/4/1", now).progressing, "True ReplicaSetUpdated");
    EXPECT_EQ(said(object, "new:4/4/1", now + 5s).progressing, "False ProgressDeadlineExceeded");
    const auto all = sets("new:4/4/1");
    const auto waits =
        plan_deployment({.deployment = object, .sets = all, .uids_with_pods = {}}, now);
    EXPECT_EQ(waits.again, 2s);
    object.spec.paused = true;
    EXPECT_EQ(said(object, "new:4/4/1", now).progressing, "Unknown DeploymentPaused");
    object.status.conditions[0].reason = "DeploymentPaused";
    object.status.conditions[0].status = "Unknown";
    object.spec.paused = false;
    EXPECT_EQ(said(object, "new:4/4/1", now).progressing, "Unknown DeploymentResumed");
}

}   // namespace
}   // namespace skiff::controllers
