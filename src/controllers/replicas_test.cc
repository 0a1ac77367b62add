// Keeping up a number of pods, by tables.
#include <gtest/gtest.h>

#include "api/view_testing.h"
#include "base/text.h"
#include "codec/json.h"
#include "controllers/ownership.h"
#include "controllers/replicas.h"

namespace skiff::controllers {
namespace {

using api::of;

const WallTime now = *parse_rfc3339("2024-06-01T12:00:00Z");

// "a" is pending, "a@n" on node n and running, "a@n!" ready there for an hour; "~" made of late;
// "$9" of that deletion cost, "#3" restarted three times.
PodPtr pod(std::string_view word) {
    const auto name = word.substr(0, word.find_first_of("@!~$#"));
    const auto at = [&](char mark) -> std::string_view {
        const auto found = word.find(mark);
        if (found == std::string_view::npos) return {};
        const auto rest = word.substr(found + 1);
        return rest.substr(0, rest.find_first_of("@!~$#"));
    };
    const bool ready = word.contains('!');
    const auto since = word.contains('~') ? "2024-06-01T11:59:55Z" : "2024-06-01T11:00:00Z";
    std::string text = concat(
        R"({"metadata":{"name":")", name, R"(","namespace":"d","uid":"u-)", name,
        R"(","labels":{"app":"web"},"creationTimestamp":")", since, '"',
        word.contains('$')
            ? concat(R"(,"annotations":{"controller.kubernetes.io/pod-deletion-cost":")", at('$'),
                     "\"}")
            : "",
        R"(},"spec":{"nodeName":")", at('@'), R"("},"status":{"phase":")",
        word.contains('@') ? "Running" : "Pending", R"(","conditions":[{"type":"Ready","status":")",
        ready ? "True" : "False", R"(","lastTransitionTime":")", since,
        R"("}],"containerStatuses":[{"name":"c","restartCount":)",
        word.contains('#') ? at('#') : "0", "}]}}");
    return std::make_shared<view::Pod>(of<view::Pod>(text));
}

Pods pods(std::string_view words) {
    Pods out;
    for (const auto word : split(words, ' '))
        if (!word.empty()) out.push_back(pod(word));
    return out;
}

std::string names(const Pods& list) {
    std::string out;
    for (const auto& one : list) append(out, out.empty() ? "" : " ", one->metadata.name);
    return out;
}

view::ReplicaSet set(int replicas, std::string_view more = "") {
    return of<view::ReplicaSet>(concat(
        R"({"metadata":{"name":"web","namespace":"d","uid":"rs","generation":2},"spec":{"replicas":)",
        replicas, more,
        R"(,"selector":{"matchLabels":{"app":"web"}},"template":{"metadata":{"labels":{"app":"web"}},)",
        R"("spec":{"containers":[{"name":"c","image":"i"}]}}}})"));
}

TEST(Replicas, those_of_least_use_go_first) {
    const struct {
        const char* why;
        const char* has;
        size_t count;
        const char* goes;
    } rows[] = {
        {"nothing to do", "a@n! b@n!", 0, ""},
        {"all of them, as they stand", "a@n! b", 2, "a b"},
        {"without a node before with one", "a@n b c@m!", 1, "b"},
        {"not ready before ready", "a@n! b@m c@o!", 1, "b"},
        {"a low cost before a high one", "a@n!$10 b@m!$-5 c@o!", 2, "b c"},
        {"where there are more of them", "a@n! b@m! c@m!", 1, "b"},
        {"ready of late before ready for long", "a@n! b@m!~ c@o!", 1, "b"},
        {"restarted often before seldom", "a@n!#1 b@m!#7 c@o!", 2, "b a"},
        {"younger before older", "a@n b@m~ c@o", 1, "b"},
        {"and then by uid", "c@n! a@m! b@o!", 2, "a b"},
    };
    for (const auto& row : rows) {
        const auto all = pods(row.has);
        EXPECT_EQ(names(to_delete(all, row.count, all, now)), row.goes) << row.why;
    }
}

TEST(Replicas, as_many_are_made_or_removed_as_are_missing_or_too_many) {
    const struct {
        const char* why;
        int replicas;
        const char* has;
        size_t creates;
        const char* removes;
    } rows[] = {
        {"nothing exists yet", 3, "", 3, ""},
        {"already as asked", 2, "a@n! b@n!", 0, ""},
        {"a pod that is not ready still counts", 2, "a@n! b", 0, ""},
        {"not-ready ones go first", 1, "a@n! b c@n!", 0, "b a"},
        {"zero removes all", 0, "a@n! b", 0, "a b"},
        {"not more than 500 at a time", 700, "a@n!", 500, ""},
    };
    for (const auto& row : rows) {
        const auto object = set(row.replicas);
        const auto owner = replica_owner(object);
        ASSERT_TRUE(owner);
        const auto all = pods(row.has);
        const auto plan = plan_replicas(*owner, all, all, now);
        size_t creates = 0;
        std::string removes;
        for (const auto& write : plan.writes) {
            EXPECT_TRUE(write.together && write.when_done && write.when_failed) << row.why;
            if (write.verb == client::Write::Verb::Create) {
                ++creates;
                EXPECT_TRUE(write.adds_suffix && write.key.name == "web-") << row.why;
            } else {
                append(removes, removes.empty() ? "" : " ", write.key.name);
                EXPECT_EQ(write.uid, "u-" + write.key.name) << row.why;
            }
        }
        EXPECT_EQ(creates, row.creates) << row.why;
        EXPECT_EQ(removes, row.removes) << row.why;
    }
    auto ending = set(3);
    ending.metadata.deletionTimestamp = now;
    EXPECT_TRUE(plan_replicas(*replica_owner(ending), {}, {}, now).empty());
}

TEST(Replicas, a_pod_is_its_template_with_its_owner) {
    const auto object = of<view::ReplicationController>(
        R"({"metadata":{"name":"rc","namespace":"d","uid":"u"},"spec":{"selector":{"a":"b"},"template":
        {"metadata":{"labels":{"a":"b"},"annotations":{"x":"y"},"finalizers":["f/f"],"name":"ignored"},
         "spec":{"nodeSelector":{"k":"v"}}}}})");
    const auto owner = replica_owner(object);
    ASSERT_TRUE(owner);
    const auto text = pod_from_template(owner->pod_template, "rc-", owner->about);
    ASSERT_TRUE(text);
    const auto made = codec::parse_json(*text);
    ASSERT_TRUE(made);
    EXPECT_EQ(
        codec::to_json(*made->root.find("metadata")),
        R"({"generateName":"rc-","namespace":"d","labels":{"a":"b"},"annotations":{"x":"y"},"finalizers":["f/f"],)"
        R"("ownerReferences":[{"apiVersion":"v1","kind":"ReplicationController","name":"rc","uid":"u","controller":true,"blockOwnerDeletion":true}]})");
    EXPECT_EQ(codec::to_json(*made->root.find("spec")), R"({"nodeSelector":{"k":"v"}})");
}

TEST(Replicas, status_counts_and_comes_again_for_minReadySeconds) {
    const auto object = set(3, R"(,"minReadySeconds":30)");
    const auto owner = replica_owner(object);
    const auto plan = plan_replica_status(*owner, pods("a@n! b@n!~ c"), {}, now);
    ASSERT_EQ(plan.writes.size(), 1u);
    EXPECT_EQ(
        plan.writes[0].body,
        R"({"status":{"replicas":3,"fullyLabeledReplicas":3,"readyReplicas":2,"availableReplicas":1,"observedGeneration":2,"conditions":[]}})");
    EXPECT_EQ(plan.again, 25s);
    auto told = object;
    told.status = {.replicas = 3,
                   .fullyLabeledReplicas = 3,
                   .observedGeneration = 2,
                   .readyReplicas = 2,
                   .availableReplicas = 1,
                   .conditions = {},
                   .terminatingReplicas = {}};
    EXPECT_TRUE(plan_replica_status(*replica_owner(told), pods("a@n! b@n!~ c"), {}, now).empty());
}

TEST(Replicas, the_first_failure_stands_until_all_is_well) {
    auto object = set(1);
    const ReplicaFailure failure{.reason = "FailedCreate", .message = "pods \"x\" is forbidden"};
    const auto plan = plan_replica_status(*replica_owner(object), {}, failure, now);
    ASSERT_EQ(plan.writes.size(), 1u);
    EXPECT_NE(
        plan.writes[0].body.find(
            R"("type":"ReplicaFailure","status":"True","lastTransitionTime":"2024-06-01T12:00:00Z","reason":"FailedCreate")"),
        std::string::npos)
        << plan.writes[0].body;
    object.status = of<view::ReplicaSet>(plan.writes[0].body).status;
    EXPECT_TRUE(plan_replica_status(*replica_owner(object), {},
                                    ReplicaFailure{.reason = "FailedCreate", .message = "other"},
                                    now)
                    .empty());
    const auto well = plan_replica_status(*replica_owner(object), {}, {}, now);
    ASSERT_EQ(well.writes.size(), 1u);
    EXPECT_NE(well.writes[0].body.find(R"("conditions":[])"), std::string::npos);
}

TEST(Ownership, what_matches_is_taken_and_what_no_longer_does_is_let_go) {
    const auto child = [](std::string_view name, std::string_view label, std::string_view owner,
                          bool ending = false) {
        auto one = std::make_shared<view::Pod>();
        one->metadata.name = name;
        one->metadata.uid = concat("u-", name);
        one->metadata.labels["app"] = label;
        if (!owner.empty())
            one->metadata.ownerReferences.push_back(
                {.uid = std::string{owner}, .controller = true});
        if (ending) one->metadata.deletionTimestamp = now;
        return PodPtr{one};
    };
    const Pods all{child("mine", "web", "me"),   child("orphan", "web", ""),
                   child("strange", "db", "me"), child("others", "web", "you"),
                   child("foreign", "db", ""),   child("leaving", "web", "", true)};
    const auto selector = *api::LabelSelector::parse("app=web");
    const auto claims = claim<view::Pod>("me", false, selector, all);
    EXPECT_EQ(names(claims.mine), "mine");
    EXPECT_EQ(names(claims.adopt), "orphan");
    EXPECT_EQ(names(claims.release), "strange");
    const auto ending = claim<view::Pod>("me", true, selector, all);
    EXPECT_EQ(names(ending.mine) + names(ending.adopt) + names(ending.release), "mine");
    client::Plan plan;
    plan_claims(plan, {.api_version = "apps/v1", .kind = "ReplicaSet", .name = "x", .uid = "me"},
                claims);
    ASSERT_EQ(plan.writes.size(), 2u);
    EXPECT_EQ(plan.writes[0].body,
              R"({"metadata":{"ownerReferences":[{"$patch":"delete","uid":"me"}]}})");
    EXPECT_EQ(plan.writes[0].uid, "u-strange");
    EXPECT_NE(plan.writes[1].body.find(R"("controller":true,"blockOwnerDeletion":true)"),
              std::string::npos);
}

}   // namespace
}   // namespace skiff::controllers
