// The standards by tables, and the admission of priorities, bounds and standards as requests meet
// it.
#include "apiserver/pod_security.h"

#include "apiserver/testing.h"

namespace skiff::apiserver::testing {
namespace {

using Level = PodSecurityLevel::Level;

std::string told(std::string_view spec, Level level, std::optional<int> minor = {},
                 std::string_view annotations = "{}") {
    const auto document = codec::parse_json(spec);
    const auto notes = codec::parse_json(annotations);
    EXPECT_TRUE(document && notes) << spec;
    if (!document || !notes) return {};
    return told_in_full(
        pod_security_problems(&notes->root, document->root, {.level = level, .minor = minor}));
}

// A container with this security context, and a pod with this one.
std::string with(std::string_view context, std::string_view more = "",
                 std::string_view own = "{}") {
    return concat(R"({"containers":[{"name":"c","securityContext":)", context,
                  R"(}],"securityContext":)", own, more, "}");
}

constexpr std::string_view hardened =
    R"({"allowPrivilegeEscalation":false,"runAsNonRoot":true,"capabilities":{"drop":["ALL"]},"seccompProfile":{"type":"RuntimeDefault"}})";

TEST(PodSecurity, baseline_by_table) {
    struct Case {
        std::string spec;
        std::string_view told;
    };
    const Case cases[] = {
        {with("{}"), ""},
        {with("{}", R"(,"hostNetwork":true,"hostIPC":true)"),
         "host namespaces (hostNetwork=true, hostIPC=true)"},
        {with(R"({"privileged":true})"),
         R"(privileged (container "c" must not set securityContext.privileged=true))"},
        {with(R"({"capabilities":{"add":["CHOWN","SYS_ADMIN"]}})"),
         R"(non-default capabilities (container "c" must not include "SYS_ADMIN" in securityContext.capabilities.add))"},
        {with(
             "{}",
             R"(,"volumes":[{"name":"a","hostPath":{"path":"/"}},{"name":"b","hostPath":{"path":"/"}}])"),
         R"(hostPath volumes (volumes "a", "b"))"},
        {R"({"containers":[{"name":"c","ports":[{"hostPort":80},{"hostPort":0}]},{"name":"d","ports":[{"hostPort":9}]}]})",
         R"(hostPort (containers "c", "d" use hostPorts 9, 80))"},
        {with(R"({"procMount":"Unmasked"})"),
         R"(procMount (container "c" must not set securityContext.procMount to "Unmasked"))"},
        {with(R"({"seLinuxOptions":{"type":"x","user":"u"}})"),
         R"(seLinuxOptions (container "c" set forbidden securityContext.seLinuxOptions: type "x"; user may not be set))"},
        {with(R"({"seccompProfile":{"type":"Unconfined"}})", "",
              R"({"seccompProfile":{"type":"Unconfined"}})"),
         R"(seccompProfile (pod and container "c" must not set securityContext.seccompProfile.type to "Unconfined"))"},
        {with("{}", "",
              R"({"sysctls":[{"name":"kernel.msgmax"},{"name":"net.ipv4.tcp_syncookies"}]})"),
         "forbidden sysctls (kernel.msgmax)"},
        {with(R"({"appArmorProfile":{"type":"Unconfined"}})"),
         R"(forbidden AppArmor profile (container "c" must not set AppArmor profile type to "Unconfined"))"},
        {with(R"({"windowsOptions":{"hostProcess":true}})"),
         R"(hostProcess (container "c" must not set securityContext.windowsOptions.hostProcess=true))"},
        {R"({"containers":[{"name":"c"}],"initContainers":[{"name":"i","securityContext":{"privileged":true}}],"ephemeralContainers":[{"name":"e","securityContext":{"privileged":true}}]})",
         R"(privileged (containers "i", "e" must not set securityContext.privileged=true))"},
    };
    for (const auto& [spec, wanted] : cases) {
        EXPECT_EQ(told(spec, Level::Baseline), wanted) << spec;
        EXPECT_EQ(told(spec, Level::Privileged), "") << spec;
    }
    EXPECT_EQ(
        told(with("{}"), Level::Baseline, {},
             R"({"container.apparmor.security.beta.kubernetes.io/c":"unconfined"})"),
        R"(forbidden AppArmor profile (annotation container.apparmor.security.beta.kubernetes.io/c="unconfined"))");
}

TEST(PodSecurity, restricted_by_table) {
    EXPECT_EQ(told(with(hardened), Level::Restricted), "");
    EXPECT_EQ(
        told(with("{}"), Level::Restricted),
        R"(allowPrivilegeEscalation != false (container "c" must set securityContext.allowPrivilegeEscalation=false), )"
        R"(unrestricted capabilities (container "c" must set securityContext.capabilities.drop=["ALL"]), )"
        R"(runAsNonRoot != true (pod or container "c" must set securityContext.runAsNonRoot=true), )"
        R"(seccompProfile (pod or container "c" must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"))");
    EXPECT_EQ(
        told(
            with(hardened,
                 R"(,"volumes":[{"name":"v","hostPath":{"path":"/"}},{"name":"w","emptyDir":{}}])"),
            Level::Restricted),
        R"(restricted volume types (volume "v" uses restricted volume type "hostPath"))");
    EXPECT_EQ(
        told(with(hardened, "", R"({"runAsUser":0,"runAsNonRoot":false})"), Level::Restricted),
        "runAsNonRoot != true (pod must not set securityContext.runAsNonRoot=false), "
        "runAsUser=0 (pod must not set runAsUser=0)");
}

TEST(PodSecurity, a_version_knows_the_rules_of_its_time) {
    const auto spec = with("{}", "", R"({"runAsNonRoot":true,"runAsUser":0})");
    EXPECT_EQ(told(spec, Level::Restricted, 7), "");
    EXPECT_EQ(
        told(spec, Level::Restricted, 8),
        R"(allowPrivilegeEscalation != false (container "c" must set securityContext.allowPrivilegeEscalation=false))");
    EXPECT_NE(told(spec, Level::Restricted, 23).find("runAsUser=0"), std::string::npos);
    const auto sysctl = with("{}", "", R"({"sysctls":[{"name":"net.ipv4.tcp_rmem"}]})");
    EXPECT_NE(told(sysctl, Level::Baseline, 31), "");
    EXPECT_EQ(told(sysctl, Level::Baseline, 32), "");
    EXPECT_FALSE(parse_security_version("1.2") || parse_security_version("v1.02"));
}

class AdmissionTest : public ::testing::Test {
  protected:
    void label(std::string_view labels) {
        const auto answer = server.merge("/api/v1/namespaces/default",
                                         concat(R"({"metadata":{"labels":)", labels, "}}"));
        EXPECT_EQ(answer.status, 200) << answer.body;
    }
    TestServer server;
};

TEST_F(AdmissionTest, a_namespace_enforces_and_warns) {
    EXPECT_EQ(server.pod("before", R"(,"hostNetwork":true)").status, 201);
    const auto labelled = server.merge(
        "/api/v1/namespaces/default",
        R"({"metadata":{"labels":{"pod-security.kubernetes.io/enforce":"baseline","pod-security.kubernetes.io/warn":"restricted"}}})");
    EXPECT_NE(labelled.header("warning").find("violate the new PodSecurity enforce level"),
              std::string::npos)
        << labelled.header("warning");
    const auto refused = server.pod("a", R"(,"hostPID":true)");
    EXPECT_EQ(refused.status, 403);
    EXPECT_EQ(refused.message(),
              "pods \"a\" is forbidden: violates PodSecurity \"baseline:latest\": host namespaces "
              "(hostPID=true)");
    const auto warned = server.pod("b");
    EXPECT_EQ(warned.status, 201);
    EXPECT_NE(warned.header("warning").find("would violate PodSecurity"), std::string::npos);
    const auto wrong =
        server.merge("/api/v1/namespaces/other",
                     R"({"metadata":{"labels":{"pod-security.kubernetes.io/enforce":"strict"}}})");
    EXPECT_EQ(wrong.status, 422);
    EXPECT_NE(wrong.message().find("must be one of privileged, baseline, restricted"),
              std::string::npos);
}

TEST_F(AdmissionTest, a_pod_has_its_class_priority) {
    const std::string classes = "/apis/scheduling.k8s.io/v1/priorityclasses";
    const auto make = [&](std::string_view name, int value, std::string_view more) {
        return server
            .post(classes,
                  concat(R"({"metadata":{"name":")", name, R"("},"value":)", value, more, "}"))
            .status;
    };
    const auto plain = server.pod("plain");
    EXPECT_EQ(plain.number({"spec", "priority"}), 0);
    EXPECT_EQ(plain.text({"spec", "preemptionPolicy"}), "PreemptLowerPriority");
    EXPECT_EQ(make("high", 1000, R"(,"preemptionPolicy":"Never")"), 201);
    const auto high = server.pod("high", R"(,"priorityClassName":"high")");
    EXPECT_EQ(high.number({"spec", "priority"}), 1000);
    EXPECT_EQ(high.text({"spec", "preemptionPolicy"}), "Never");
    EXPECT_EQ(server.pod("x", R"(,"priorityClassName":"none")").message(),
              "pods \"x\" is forbidden: no PriorityClass with name none was found");
    EXPECT_EQ(server.pod("x", R"(,"priority":7)").status, 403);
    EXPECT_EQ(make("usual", 5, R"(,"globalDefault":true)"), 201);
    EXPECT_EQ(make("second", 6, R"(,"globalDefault":true)"), 403);
    const auto usual = server.pod("usual");
    EXPECT_EQ(usual.number({"spec", "priority"}), 5);
    EXPECT_EQ(usual.text({"spec", "priorityClassName"}), "usual");
    EXPECT_EQ(make("system-node-critical", 2000001000, ""), 201);
    EXPECT_EQ(server.remove(concat(classes, "/system-node-critical")).status, 403);
    EXPECT_EQ(server.remove(concat(classes, "/high")).status, 200);
}

TEST_F(AdmissionTest, bounds_are_given_and_kept) {
    EXPECT_EQ(
        server
            .post(
                "/api/v1/namespaces/default/limitranges",
                R"({"metadata":{"name":"l"},"spec":{"limits":[{"type":"Container","default":{"cpu":"500m"},"defaultRequest":{"cpu":"100m"},"max":{"cpu":"1"},"min":{"cpu":"50m"},"maxLimitRequestRatio":{"cpu":"6"}},{"type":"Pod","max":{"memory":"1Gi"}},{"type":"PersistentVolumeClaim","max":{"storage":"1Gi"}}]}})")
            .status,
        201);
    const auto with_resources = [&](std::string_view name, std::string_view resources) {
        return server.post(
            "/api/v1/namespaces/default/pods",
            concat(R"({"metadata":{"name":")", name,
                   R"("},"spec":{"containers":[{"name":"c","image":"i","resources":)", resources,
                   "}]}}"));
    };
    const auto given = with_resources("a", R"({"limits":{"memory":"1Gi"}})");
    ASSERT_EQ(given.status, 201) << given.body;
    const auto& container = given.at({"spec", "containers"})->items()[0];
    EXPECT_EQ(container.text_at({"resources", "requests", "cpu"}), "100m");
    EXPECT_EQ(container.text_at({"resources", "limits", "cpu"}), "500m");
    EXPECT_EQ(given.text({"status", "qosClass"}), "Burstable");
    EXPECT_EQ(given.text({"metadata", "annotations", "kubernetes.io/limit-ranger"}),
              "LimitRanger plugin set: cpu request for container c; cpu limit for container c");
    struct Case {
        std::string_view resources, told;
    };
    const Case cases[] = {
        {R"({"limits":{"cpu":"2","memory":"1Gi"},"requests":{"cpu":"1"}})",
         "maximum cpu usage per Container is 1, but limit is 2"},
        {R"({"limits":{"cpu":"1","memory":"1Gi"},"requests":{"cpu":"10m"}})",
         "minimum cpu usage per Container is 50m, but request is 10m"},
        {R"({"limits":{"cpu":"1","memory":"1Gi"}, "requests":{"cpu":"100m"}})",
         "cpu max limit to request ratio per Container is 6, but provided ratio is 10.000000"},
        {R"({"limits":{"memory":"2Gi"}})", "maximum memory usage per Pod is 1Gi, but limit is 2Gi"},
        {"{}", "maximum memory usage per Pod is 1Gi.  No limit is specified"},
    };
    for (const auto& [resources, told_why] : cases) {
        const auto refused = with_resources("b", resources);
        EXPECT_EQ(refused.status, 403) << resources;
        EXPECT_NE(refused.message().find(told_why), std::string::npos) << refused.message();
    }
    const auto claim = server.post(
        "/api/v1/namespaces/default/persistentvolumeclaims",
        R"({"metadata":{"name":"d"},"spec":{"accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"2Gi"}}}})");
    EXPECT_EQ(claim.message(),
              "persistentvolumeclaims \"d\" is forbidden: maximum storage usage per "
              "PersistentVolumeClaim is 1Gi, but request is 2Gi");
}

}   // namespace
}   // namespace skiff::apiserver::testing
