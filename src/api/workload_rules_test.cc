#include "api/rules_testing.h"

namespace skiff::api {
namespace {

using testing::object_from;
using testing::problems_of;

const Kind& apps(std::string_view kind) { return *builtin_kind("apps", "v1", kind); }

std::string deployment_of(std::string_view spec, std::string_view pod = "") {
    return concat(
        "metadata: {name: web, namespace: default}\nspec:\n  template:\n    metadata: "
        "{labels: {app: web}}\n    spec:\n      containers: [{name: a, image: b}]\n",
        pod, spec);
}

constexpr std::string_view selector = "  selector: {matchLabels: {app: web}}\n";

TEST(WorkloadRules, what_is_wrong_is_said_as_upstream_says_it) {
    struct Row {
        const char* why;
        const char* kind;
        std::string spec;
        const char* pod;
        const char* problems;
    };
    const std::string chosen{selector};
    const std::string max_zero = chosen +
                                 "  strategy: {rollingUpdate: {maxUnavailable: 0, "
                                 "maxSurge: 0%}}\n";
    const Row rows[] = {
        {"a plain one is fine", "Deployment", chosen, "", ""},
        {"no selector", "Deployment", "", "", "spec.selector: Required value"},
        {"an empty selector", "Deployment", "  selector: {}\n", "",
         "spec.selector: Invalid value: {}: empty selector is invalid for deployment"},
        {"a selector of other pods", "Deployment", "  selector: {matchLabels: {app: db}}\n", "",
         R"(spec.template.metadata.labels: Invalid value: {"app":"web"}: `selector` does not match template `labels`)"},
        {"nothing may move", "Deployment", max_zero, "",
         "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: 0: may not be 0 when "
         "`maxSurge` is 0"},
        {"Recreate has no steps", "Deployment",
         chosen + "  strategy: {type: Recreate, rollingUpdate: {}}\n", "",
         "spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is "
         "'Recreate'"},
        {"a deadline before pods count", "Deployment",
         chosen + "  minReadySeconds: 9\n  progressDeadlineSeconds: 9\n", "",
         "spec.progressDeadlineSeconds: Invalid value: 9: must be greater than minReadySeconds"},
        {"pods that end", "Deployment", chosen, "      restartPolicy: Never\n",
         R"(spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always")"},
        {"a deadline of the pods", "ReplicaSet", chosen, "      activeDeadlineSeconds: 1\n",
         "spec.template.spec.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in "
         "ReplicaSet is not Supported"},
        {"less than none", "ReplicaSet", chosen + "  replicas: -1\n", "",
         "spec.replicas: Invalid value: -1: must be greater than or equal to 0"},
        {"steps for OnDelete", "StatefulSet",
         chosen + "  updateStrategy: {type: OnDelete, rollingUpdate: {partition: 1}}\n", "",
         R"(spec.updateStrategy.rollingUpdate: Invalid value: {"partition":1}: only allowed for updateStrategy 'RollingUpdate')"},
        {"both ways at once", "DaemonSet",
         chosen + "  updateStrategy: {rollingUpdate: {maxSurge: 1}}\n", "",
         "spec.updateStrategy.rollingUpdate.maxSurge: Invalid value: 1: may not be set when "
         "maxUnavailable is non-zero"},
    };
    for (const Row& row : rows)
        EXPECT_EQ(problems_of(apps(row.kind), deployment_of(row.spec, row.pod)), row.problems)
            << row.why;
}

TEST(WorkloadRules, defaults_are_those_of_v1) {
    const auto deployment = object_from(apps("Deployment"), deployment_of(selector));
    const Json& spec = *deployment.root.find("spec");
    EXPECT_EQ(
        codec::to_json(*spec.find("strategy")),
        R"({"type":"RollingUpdate","rollingUpdate":{"maxUnavailable":"25%","maxSurge":"25%"}})");
    EXPECT_EQ(spec.find("replicas")->as_int(), 1);
    EXPECT_EQ(spec.find("revisionHistoryLimit")->as_int(), 10);
    EXPECT_EQ(spec.find("progressDeadlineSeconds")->as_int(), 600);
    const Json& container = spec.at_path({"template", "spec", "containers"})->items()[0];
    EXPECT_EQ(container.text_at({"imagePullPolicy"}), "Always");

    const auto set = object_from(
        apps("StatefulSet"),
        deployment_of(concat(selector, "  volumeClaimTemplates: [{metadata: {name: d}}]\n")));
    const Json& claim = set.root.at_path({"spec", "volumeClaimTemplates"})->items()[0];
    EXPECT_EQ(claim.text_at({"kind"}), "PersistentVolumeClaim");
    EXPECT_EQ(claim.text_at({"spec", "volumeMode"}), "Filesystem");
    EXPECT_EQ(set.root.text_at({"spec", "persistentVolumeClaimRetentionPolicy", "whenScaled"}),
              "Retain");
    EXPECT_EQ(set.root.at_path({"spec", "updateStrategy", "rollingUpdate", "partition"})->as_int(),
              0);
}

TEST(WorkloadRules, a_controller_takes_its_selector_from_its_template) {
    const Kind& kind = *builtin_kind("", "v1", "ReplicationController");
    const auto made = object_from(kind, deployment_of(""));
    EXPECT_EQ(made.root.text_at({"spec", "selector", "app"}), "web");
    EXPECT_EQ(made.root.text_at({"metadata", "labels", "app"}), "web");
    EXPECT_EQ(problems_of(kind, "metadata: {name: x, namespace: space}\nspec: {}"),
              "spec.selector: Required value\nspec.template: Required value");
    EXPECT_EQ(problems_of(kind, deployment_of("  selector: {app: db}\n")),
              R"(spec.template.metadata.labels: Invalid value: {"app":"web"}: `selector` does not )"
              "match template `labels`");
}

TEST(WorkloadRules, what_never_changes) {
    const std::string old = deployment_of(selector);
    const std::string other =
        deployment_of("  selector: {matchExpressions: [{key: app, operator: Exists}]}\n");
    for (const auto kind : {"Deployment", "ReplicaSet", "DaemonSet"})
        EXPECT_NE(problems_of(apps(kind), other, old).find("spec.selector: Invalid value"),
                  std::string::npos)
            << kind;
    const std::string grown = deployment_of(concat(selector, "  replicas: 3\n"));
    EXPECT_EQ(problems_of(apps("StatefulSet"), grown, old), "");
    const std::string renamed = deployment_of(concat(selector, "  serviceName: x\n"));
    EXPECT_NE(problems_of(apps("StatefulSet"), renamed, old).find("are forbidden"),
              std::string::npos);
    EXPECT_EQ(problems_of(apps("Deployment"),
                          concat(old, "status: {replicas: 1, readyReplicas: 2}"), old, "status"),
              "status.readyReplicas: Invalid value: 2: cannot be greater than status.replicas");
}

}   // namespace
}   // namespace skiff::api
