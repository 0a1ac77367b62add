#include "api/pod_defaults.h"

#include <gtest/gtest.h>

#include "api/normalize.h"
#include "api/rules.h"

namespace skiff::api {
namespace {

TEST(PodDefaults, the_pull_policy_follows_the_tag) {
    const struct {
        const char* image;
        const char* policy;
    } rows[] = {
        {"busybox", "Always"},
        {"busybox:latest", "Always"},
        {"busybox:1.36", "IfNotPresent"},
        {"registry:5000/busybox", "Always"},
        {"registry:5000/a/b:v1", "IfNotPresent"},
        {"busybox@sha256:0123", "IfNotPresent"},
        {"busybox:latest@sha256:0123", "Always"},
        {"busybox:1@sha256:0123", "IfNotPresent"},
        {"", "IfNotPresent"},
    };
    for (const auto& row : rows) EXPECT_EQ(default_pull_policy(row.image), row.policy) << row.image;
}

Json defaulted(codec::Document& document, std::string_view kind) {
    const Kind& found = *builtin_kind("", "v1", kind);
    NormalizeReport report;
    const auto done = normalize(*found.message, document.root, document.arena, report);
    EXPECT_TRUE(done) << done.error().message;
    EXPECT_TRUE(report.unknown_fields.empty());
    apply_defaults(found, document.root, document.arena);
    return document.root;
}

TEST(PodDefaults, the_smallest_pod_is_filled_as_kubernetes_does) {
    auto pod = codec::parse_json(R"({"spec":{"containers":[{"name":"a","image":"busybox"}]}})");
    const Json filled = defaulted(*pod, "Pod");
    const auto expected = codec::parse_json(R"({
        "metadata":{},
        "spec":{
            "containers":[{"name":"a","image":"busybox","imagePullPolicy":"Always","resources":{},
                "terminationMessagePath":"/dev/termination-log","terminationMessagePolicy":"File"}],
            "restartPolicy":"Always","terminationGracePeriodSeconds":30,"dnsPolicy":"ClusterFirst",
            "securityContext":{},"schedulerName":"default-scheduler","enableServiceLinks":true},
        "status":{}})");
    EXPECT_TRUE(filled == expected->root) << codec::to_json(filled);
}

TEST(PodDefaults, probes_ports_and_volumes_are_filled_too) {
    auto pod = codec::parse_json(R"({"spec":{"hostNetwork":true,"serviceAccount":"old",
        "volumes":[{"name":"v"},{"name":"s","secret":{"secretName":"x"}}],
        "containers":[{"name":"a","image":"b:1","ports":[{"containerPort":80}],
            "env":[{"name":"N","valueFrom":{"fieldRef":{"fieldPath":"metadata.name"}}}],
            "livenessProbe":{"httpGet":{"port":80}},
            "resources":{"limits":{"cpu":"1","memory":"1Gi"},"requests":{"cpu":"500m"}}}]}})");
    const Json filled = defaulted(*pod, "Pod");
    const auto expect = [&](std::initializer_list<std::string_view> path, const char* json) {
        const Json* found = filled.at_path(path);
        EXPECT_EQ(found ? codec::to_json(*found) : "absent", json);
    };
    expect({"spec", "serviceAccountName"}, R"("old")");
    expect(
        {"spec", "volumes"},
        R"([{"name":"v","emptyDir":{}},{"name":"s","secret":{"secretName":"x","defaultMode":420}}])");
    const Json& container = filled.at_path({"spec", "containers"})->items()[0];
    EXPECT_EQ(codec::to_json(*container.find("ports")),
              R"([{"containerPort":80,"protocol":"TCP","hostPort":80}])");
    EXPECT_EQ(codec::to_json(*container.find("livenessProbe")->find("httpGet")),
              R"({"port":80,"path":"/","scheme":"HTTP"})");
    EXPECT_EQ(container.at_path({"livenessProbe", "periodSeconds"})->as_int(), 10);
    EXPECT_EQ(container.at_path({"livenessProbe", "failureThreshold"})->as_int(), 3);
    EXPECT_EQ(codec::to_json(*container.at_path({"resources", "requests"})),
              R"({"cpu":"500m","memory":"1Gi"})");
    EXPECT_EQ(container.text_at({"imagePullPolicy"}), "IfNotPresent");
    EXPECT_EQ(container.find("env")
                  ->items()[0]
                  .at_path({"valueFrom", "fieldRef"})
                  ->text_at({"apiVersion"}),
              "v1");
}

TEST(PodDefaults, defaults_of_defaults_change_nothing) {
    auto pod = codec::parse_json(
        R"({"spec":{"volumes":[{"name":"v"}],"containers":[{"name":"a","image":"b",
        "resources":{"limits":{"cpu":"1"}},"startupProbe":{"exec":{"command":["true"]}}}]}})");
    Json once = defaulted(*pod, "Pod").deep_copy(pod->arena);
    const Json before = once.deep_copy(pod->arena);
    apply_defaults(*builtin_kind("", "v1", "Pod"), once, pod->arena);
    EXPECT_TRUE(once == before);
}

TEST(PodDefaults, the_quality_of_service_follows_requests_and_limits) {
    const struct {
        const char* why;
        const char* containers;
        const char* qos;
    } rows[] = {
        {"nothing asked", R"([{}])", "BestEffort"},
        {"both limited",
         R"([{"resources":{"limits":{"cpu":"1","memory":"1Gi"},"requests":{"cpu":"1","memory":"1Gi"}}}])",
         "Guaranteed"},
        {"one of two",
         R"([{"resources":{"limits":{"cpu":"1","memory":"1Gi"},"requests":{"cpu":"1","memory":"1Gi"}}},{}])",
         "Burstable"},
        {"asked only", R"([{"resources":{"requests":{"cpu":"1"}}}])", "Burstable"},
        {"less asked than allowed",
         R"([{"resources":{"limits":{"cpu":"2","memory":"1Gi"},"requests":{"cpu":"1","memory":"1Gi"}}}])",
         "Burstable"},
        {"another resource", R"([{"resources":{"requests":{"ephemeral-storage":"1Gi"}}}])",
         "BestEffort"},
        {"zero", R"([{"resources":{"requests":{"cpu":"0"}}}])", "BestEffort"},
    };
    for (const auto& row : rows) {
        const auto spec =
            codec::parse_json(std::string{R"({"containers":)"} + row.containers + "}");
        EXPECT_EQ(qos_class_of(spec->root), row.qos) << row.why;
    }
}

TEST(PodPrepare, a_new_pods_status_is_the_servers) {
    auto pod =
        codec::parse_json(R"({"spec":{"schedulingGates":[{"name":"g"}],"containers":[{"name":"a"}]},
        "status":{"phase":"Running","podIP":"1.2.3.4"}})");
    rules_of("pod").prepare(pod->root, nullptr, pod->arena);
    EXPECT_EQ(codec::to_json(*pod->root.find("status")),
              R"({"phase":"Pending","qosClass":"BestEffort","conditions":[{"type":"PodScheduled",)"
              R"("status":"False","reason":"SchedulingGated",)"
              R"("message":"Scheduling is blocked due to non-empty scheduling gates"}]})");
}

TEST(PodPrepare, a_pod_that_names_no_account_is_the_default_one) {
    auto pod = codec::parse_json(R"({"spec":{"containers":[{"name":"a"}]}})");
    rules_of("pod").prepare(pod->root, nullptr, pod->arena);
    EXPECT_EQ(pod->root.text_at({"spec", "serviceAccountName"}), "default");
    EXPECT_EQ(pod->root.text_at({"spec", "serviceAccount"}), "default");
    auto mirror = codec::parse_json(
        R"({"metadata":{"annotations":{"kubernetes.io/config.mirror":"x"}},"spec":{"containers":[]}})");
    rules_of("pod").prepare(mirror->root, nullptr, mirror->arena);
    EXPECT_EQ(mirror->root.at_path({"spec", "serviceAccountName"}), nullptr);
}

}   // namespace
}   // namespace skiff::api
