#include "agent/environment.h"

#include <cstdlib>
#include <filesystem>

#include "agent/cgroups.h"
#include "agent/hosts.h"
#include "agent/pod_testing.h"
#include "agent/resources.h"
#include "agent/security.h"
#include "base/os.h"
#include "base/text.h"

namespace skiff::agent {
namespace {

using testing::pod_from;

TEST(Expand, follows_kubernetes_syntax) {
    const std::map<std::string, std::string> values{{"A", "1"}, {"B", "two"}};
    struct Row {
        const char* text;
        const char* expanded;
    };
    const Row rows[] = {
        {"$(A)-$(B)", "1-two"}, {"$$(A)", "$(A)"}, {"$(NOPE)", "$(NOPE)"}, {"$A", "$A"},
        {"$(A", "$(A"},         {"a$", "a$"},      {"$$$(A)", "$1"},       {"$()", "$()"},
    };
    for (const Row& row : rows) EXPECT_EQ(expand(row.text, values), row.expanded) << row.text;
}

std::string environment_of(const std::string& container, const ConfigValues& values) {
    const auto pod = pod_from(
        concat(R"({"nodeName":"node","serviceAccountName":"sa","containers":[)", container, "]}"),
        R"(,"labels":{"app":"web"},"annotations":{"note":"hi"})");
    const auto made = make_environment(pod->spec.containers[0],
                                       {.pod = *pod,
                                        .pod_addresses = {"10.0.0.1", "fd00::1"},
                                        .host_addresses = {"192.0.2.1"},
                                        .allocatable_cpu_milli = 2000,
                                        .allocatable_memory_bytes = 1 << 30},
                                       values);
    if (!made) return made.error().message;
    std::string out;
    for (const auto& variable : *made)
        append(out, out.empty() ? "" : " ", variable.key, "=", variable.value);
    return out;
}

TEST(Environment, values_come_from_everywhere) {
    const ConfigValues values{.config_maps = {{"c", {{"k", "v"}, {"l", "w"}}}},
                              .secrets = {{"s", {{"k", "secret"}}}}};
    struct Row {
        const char* why;
        const char* container;
        const char* environment;
    };
    const Row rows[] = {
        {"plain, with what came before",
         R"({"name":"a","env":[{"name":"A","value":"1"},{"name":"B","value":"$(A)2"}]})",
         "A=1 B=12"},
        {"a later one wins",
         R"({"name":"a","env":[{"name":"A","value":"1"},{"name":"A","value":"2"}]})", "A=2"},
        {"a ConfigMap's key",
         R"({"name":"a","env":[{"name":"A","valueFrom":{"configMapKeyRef":{"name":"c","key":"k"}}}]})",
         "A=v"},
        {"a Secret's key",
         R"({"name":"a","env":[{"name":"A","valueFrom":{"secretKeyRef":{"name":"s","key":"k"}}}]})",
         "A=secret"},
        {"all of a ConfigMap",
         R"({"name":"a","envFrom":[{"prefix":"P_","configMapRef":{"name":"c"}}]})", "P_k=v P_l=w"},
        {"env wins over envFrom",
         R"({"name":"a","envFrom":[{"configMapRef":{"name":"c"}}],"env":[{"name":"k","value":"x"}]})",
         "k=x l=w"},
        {"fields",
         R"({"name":"a","env":[{"name":"A","valueFrom":{"fieldRef":{"fieldPath":"metadata.labels['app']"}}},{"name":"B","valueFrom":{"fieldRef":{"fieldPath":"status.podIPs"}}},{"name":"C","valueFrom":{"fieldRef":{"fieldPath":"status.hostIP"}}}]})",
         "A=web B=10.0.0.1,fd00::1 C=192.0.2.1"},
        {"resources",
         R"({"name":"a","resources":{"limits":{"memory":"10Mi"},"requests":{"cpu":"250m"}},"env":[{"name":"A","valueFrom":{"resourceFieldRef":{"resource":"limits.memory","divisor":"1Mi"}}},{"name":"B","valueFrom":{"resourceFieldRef":{"resource":"requests.cpu"}}},{"name":"C","valueFrom":{"resourceFieldRef":{"resource":"limits.cpu"}}}]})",
         "A=10 B=1 C=2"},
        {"a missing ConfigMap", R"({"name":"a","envFrom":[{"configMapRef":{"name":"x"}}]})",
         "configmap \"x\" not found"},
        {"a missing key",
         R"({"name":"a","env":[{"name":"A","valueFrom":{"secretKeyRef":{"name":"s","key":"z"}}}]})",
         "couldn't find key z in Secret n/s"},
        {"missing, but optional",
         R"({"name":"a","env":[{"name":"A","valueFrom":{"secretKeyRef":{"name":"t","key":"z","optional":true}}}]})",
         ""},
    };
    for (const Row& row : rows)
        EXPECT_EQ(environment_of(row.container, values), row.environment) << row.why;
}

TEST(ServiceVariables, services_are_found_by_the_environment) {
    const auto service = [](std::string_view json) {
        return std::make_shared<const view::Service>(api::decode<view::Service>(json).value());
    };
    ConfigValues values;
    values.services = {
        service(
            R"({"metadata":{"name":"kubernetes","namespace":"default"},"spec":{"clusterIP":"10.96.0.1","ports":[{"name":"https","protocol":"TCP","port":443}]}})"),
        service(
            R"({"metadata":{"name":"my-dns","namespace":"n"},"spec":{"clusterIP":"10.96.0.7","ports":[{"name":"dns","protocol":"UDP","port":53},{"name":"dns-tcp","protocol":"TCP","port":53}]}})"),
        service(
            R"({"metadata":{"name":"headless","namespace":"n"},"spec":{"clusterIP":"None","ports":[{"port":1}]}})"),
        service(
            R"({"metadata":{"name":"else","namespace":"other"},"spec":{"clusterIP":"10.96.0.8","ports":[{"port":1}]}})")};
    const auto all = service_variables(values.services, "n", true);
    const std::map<std::string, std::string> expected{
        {"KUBERNETES_PORT", "tcp://10.96.0.1:443"},
        {"KUBERNETES_PORT_443_TCP", "tcp://10.96.0.1:443"},
        {"KUBERNETES_PORT_443_TCP_ADDR", "10.96.0.1"},
        {"KUBERNETES_PORT_443_TCP_PORT", "443"},
        {"KUBERNETES_PORT_443_TCP_PROTO", "tcp"},
        {"KUBERNETES_SERVICE_HOST", "10.96.0.1"},
        {"KUBERNETES_SERVICE_PORT", "443"},
        {"KUBERNETES_SERVICE_PORT_HTTPS", "443"},
        {"MY_DNS_PORT", "udp://10.96.0.7:53"},
        {"MY_DNS_PORT_53_TCP", "tcp://10.96.0.7:53"},
        {"MY_DNS_PORT_53_TCP_ADDR", "10.96.0.7"},
        {"MY_DNS_PORT_53_TCP_PORT", "53"},
        {"MY_DNS_PORT_53_TCP_PROTO", "tcp"},
        {"MY_DNS_PORT_53_UDP", "udp://10.96.0.7:53"},
        {"MY_DNS_PORT_53_UDP_ADDR", "10.96.0.7"},
        {"MY_DNS_PORT_53_UDP_PORT", "53"},
        {"MY_DNS_PORT_53_UDP_PROTO", "udp"},
        {"MY_DNS_SERVICE_HOST", "10.96.0.7"},
        {"MY_DNS_SERVICE_PORT", "53"},
        {"MY_DNS_SERVICE_PORT_DNS", "53"},
        {"MY_DNS_SERVICE_PORT_DNS_TCP", "53"}};
    EXPECT_EQ(all, expected);
    const auto few = service_variables(values.services, "n", false);
    EXPECT_EQ(few.size(), 8u);
    EXPECT_TRUE(few.contains("KUBERNETES_SERVICE_HOST"));
    // The container's own stand before them, and may use them.
    const auto text = environment_of(
        R"json({"name":"a","env":[{"name":"URL","value":"$(MY_DNS_SERVICE_HOST)"},{"name":"MY_DNS_PORT","value":"own"}]})json",
        values);
    EXPECT_NE(text.find("URL=10.96.0.7"), std::string::npos) << text;
    EXPECT_NE(text.find("MY_DNS_PORT=own"), std::string::npos) << text;
    EXPECT_EQ(text.find("udp://10.96.0.7:53"), text.find("MY_DNS_PORT_53_UDP=") + 19) << text;
}

TEST(Hosts, the_file_names_the_pod_and_its_aliases) {
    const auto pod = pod_from(
        R"({"subdomain":"sub","hostAliases":[{"ip":"1.2.3.4","hostnames":["x","y"]}],"containers":[]})");
    const auto text = hosts_file(*pod, {"10.0.0.1"}, "", "cluster.local");
    EXPECT_TRUE(text.starts_with("# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n"));
    EXPECT_NE(text.find("10.0.0.1\tp.sub.n.svc.cluster.local\tp\n"), std::string::npos) << text;
    EXPECT_TRUE(text.ends_with("\n# Entries added by HostAliases.\n1.2.3.4\tx\ty\n"));
}

TEST(Dns, policies_choose_the_servers) {
    const DnsFacts facts{
        .host = parse_resolv_conf(
            "nameserver 192.0.2.53\nsearch example.org # ours\noptions ndots:2 edns0\n"),
        .cluster_servers = {"10.96.0.10"},
        .cluster_domain = "cluster.local"};
    const auto of = [&](const std::string& spec) { return pod_dns(*pod_from(spec), facts); };
    EXPECT_EQ(of(R"({"containers":[]})").servers, (std::vector<std::string>{"10.96.0.10"}));
    EXPECT_EQ(of(R"({"containers":[]})").searches,
              (std::vector<std::string>{"n.svc.cluster.local", "svc.cluster.local", "cluster.local",
                                        "example.org"}));
    EXPECT_EQ(of(R"({"dnsPolicy":"Default","containers":[]})").servers,
              (std::vector<std::string>{"192.0.2.53"}));
    EXPECT_EQ(of(R"({"hostNetwork":true,"dnsPolicy":"ClusterFirst","containers":[]})").servers,
              (std::vector<std::string>{"192.0.2.53"}));
    const auto own = of(
        R"({"dnsPolicy":"Default","dnsConfig":{"nameservers":["9.9.9.9"],"options":[{"name":"ndots","value":"3"}]},"containers":[]})");
    EXPECT_EQ(own.servers, (std::vector<std::string>{"192.0.2.53", "9.9.9.9"}));
    EXPECT_EQ(own.options, (std::vector<std::string>{"edns0", "ndots:3"}));
}

TEST(Resources, quality_of_service_by_kubernetes_rules) {
    struct Row {
        const char* spec;
        const char* qos;
    };
    const Row rows[] = {
        {R"({"containers":[{"name":"a"}]})", "BestEffort"},
        {R"({"containers":[{"name":"a","resources":{"requests":{"cpu":"1"}}}]})", "Burstable"},
        {R"({"containers":[{"name":"a","resources":{"limits":{"cpu":"1","memory":"1Gi"}}}]})",
         "Guaranteed"},
        {R"({"containers":[{"name":"a","resources":{"limits":{"cpu":"1","memory":"1Gi"},"requests":{"cpu":"500m","memory":"1Gi"}}}]})",
         "Burstable"},
        {R"({"containers":[{"name":"a","resources":{"limits":{"cpu":"1","memory":"1Gi"}}},{"name":"b"}]})",
         "Burstable"},
        {R"({"initContainers":[{"name":"i"}],"containers":[{"name":"a","resources":{"limits":{"cpu":"1","memory":"1Gi"}}}]})",
         "Burstable"},
    };
    for (const Row& row : rows) EXPECT_EQ(qos_class(pod_from(row.spec)->spec), row.qos) << row.spec;
}

TEST(Resources, become_the_kernels_numbers) {
    const auto pod = pod_from(
        R"({"containers":[{"name":"a","resources":{"limits":{"cpu":"500m","memory":"64Mi"},"requests":{"cpu":"100m","memory":"32Mi"}}}]})");
    const auto out = container_resources(pod->spec, pod->spec.containers[0], int64_t{1} << 30);
    EXPECT_EQ(out.cpu_shares, 102);
    EXPECT_EQ(out.cpu_quota, 50'000);
    EXPECT_EQ(out.cpu_period, 100'000);
    EXPECT_EQ(out.memory_limit_in_bytes, 64 << 20);
    EXPECT_EQ(out.oom_score_adj, 1000 - 1000 / 32);
    EXPECT_EQ(cpu_shares_of(0), 2);
    EXPECT_EQ(cpu_weight_of(1024), 39);   // as runc maps it
    EXPECT_EQ(pod_cgroup("abc", *pod), "/skiff-abc/burstable/podu");
}

TEST(Resources, a_pod_is_limited_when_every_container_is) {
    const auto of = [](const char* spec) { return pod_resources(pod_from(spec)->spec); };
    EXPECT_FALSE(
        of(R"({"containers":[{"name":"a","resources":{"limits":{"memory":"1Mi"}}},{"name":"b"}]})")
            .memory_limit_bytes.has_value());
    EXPECT_EQ(
        of(R"({"containers":[{"name":"a","resources":{"limits":{"memory":"1Mi"}}},{"name":"b","resources":{"limits":{"memory":"2Mi"}}}]})")
            .memory_limit_bytes,
        3 << 20);
    EXPECT_EQ(
        of(R"({"initContainers":[{"name":"i","resources":{"limits":{"memory":"8Mi"}}}],"containers":[{"name":"a","resources":{"limits":{"memory":"1Mi"}}}]})")
            .memory_limit_bytes,
        8 << 20);
    EXPECT_EQ(
        of(R"({"initContainers":[{"name":"s","restartPolicy":"Always","resources":{"requests":{"cpu":"1"}}}],"containers":[{"name":"a","resources":{"requests":{"cpu":"1"}}}]})")
            .cpu_request_milli,
        2000);
}

TEST(Cgroups, both_versions_get_their_files) {
    const PodResources resources{
        .cpu_request_milli = 1000, .cpu_limit_milli = 500, .memory_limit_bytes = 1 << 20};
    const auto write = [&](CgroupVersion version, const std::string& file) {
        std::string all;
        for (const auto& one : plan_pod_cgroup(version, "/skiff-x/podu", resources).writes) {
            if (one.file == file) append(all, all.empty() ? "" : ",", one.value);
        }
        return all;
    };
    EXPECT_EQ(write(CgroupVersion::One, "cpu/skiff-x/podu/cpu.shares"), "1024");
    EXPECT_EQ(write(CgroupVersion::One, "cpu/skiff-x/podu/cpu.cfs_quota_us"), "50000");
    EXPECT_EQ(write(CgroupVersion::One, "memory/skiff-x/podu/memory.limit_in_bytes"), "1048576");
    EXPECT_EQ(write(CgroupVersion::Two, "skiff-x/podu/cpu.weight"), "39");
    EXPECT_EQ(write(CgroupVersion::Two, "skiff-x/podu/cpu.max"), "50000 100000");
    EXPECT_EQ(write(CgroupVersion::Two, "skiff-x/podu/memory.max"), "1048576");
    EXPECT_EQ(write(CgroupVersion::Two, "skiff-x/cgroup.subtree_control"), "+cpu,+memory,+pids");
}

// A folder stands in for the unified hierarchy, which this kernel may not offer with controllers.
TEST(Cgroups, the_unified_hierarchy_is_recognised_and_filled_and_left) {
    std::string mount = "/tmp/skiff-cgroup.XXXXXX";
    ASSERT_NE(::mkdtemp(mount.data()), nullptr);
    const auto content = [&](const char* file) { return read_file(mount + file).value_or("none"); };
    EXPECT_EQ(Cgroups{mount}.version(), CgroupVersion::One);
    ASSERT_TRUE(write_file(mount + "/cgroup.controllers", "cpu memory pids"));
    const Cgroups cgroups{mount};
    ASSERT_EQ(cgroups.version(), CgroupVersion::Two);
    const PodResources limited{
        .cpu_request_milli = 100, .cpu_limit_milli = 500, .memory_limit_bytes = 1 << 20};
    ASSERT_TRUE(cgroups.make("/skiff-x/burstable/podu", limited));
    EXPECT_EQ(content("/cgroup.subtree_control"), "+pids");   // the last of three writes
    EXPECT_EQ(content("/skiff-x/burstable/cgroup.subtree_control"), "+pids");
    EXPECT_EQ(content("/skiff-x/burstable/podu/cpu.max"), "50000 100000");
    EXPECT_EQ(content("/skiff-x/burstable/podu/memory.max"), "1048576");
    EXPECT_EQ(content("/skiff-x/burstable/memory.max"), "none");
    std::filesystem::remove_all(mount);
}

TEST(Security, the_container_wins_over_the_pod) {
    const auto pod = pod_from(
        R"({"securityContext":{"runAsUser":1000,"runAsGroup":1001,"fsGroup":2000,"seccompProfile":{"type":"RuntimeDefault"}},
        "containers":[{"name":"a","securityContext":{"runAsUser":5,"allowPrivilegeEscalation":false,"readOnlyRootFilesystem":true,"capabilities":{"add":["NET_ADMIN"],"drop":["ALL"]}}},{"name":"b","securityContext":{"privileged":true}}]})");
    auto out = container_security(*pod, pod->spec.containers[0], {}).value();
    EXPECT_EQ(out.run_as_user, 5);
    EXPECT_EQ(out.run_as_group, 1001);
    EXPECT_EQ(out.supplemental_groups, (std::vector<int64_t>{2000}));
    EXPECT_TRUE(out.no_new_privs);
    EXPECT_TRUE(out.readonly_rootfs);
    EXPECT_EQ(out.capabilities->drop_capabilities, (std::vector<std::string>{"ALL"}));
    EXPECT_EQ(out.seccomp->profile_type, cri::ProfileType::RuntimeDefault);
    EXPECT_FALSE(out.masked_paths.empty());
    out = container_security(*pod, pod->spec.containers[1], {}).value();
    EXPECT_TRUE(out.privileged);
    EXPECT_TRUE(out.masked_paths.empty());
    EXPECT_EQ(out.run_as_user, 1000);
}

TEST(Security, run_as_non_root_is_kept) {
    const auto check = [](const std::string& own, const ImageUser& image) {
        const auto pod =
            pod_from(concat(R"({"containers":[{"name":"a","securityContext":)", own, "}]}"));
        const auto made = container_security(*pod, pod->spec.containers[0], {.image_user = image});
        return made ? std::string{"fine"}
                    : made.error().message.substr(0, made.error().message.find(" ("));
    };
    EXPECT_EQ(check(R"({"runAsNonRoot":true})", {}),
              "container has runAsNonRoot and image will run as root");
    EXPECT_EQ(check(R"({"runAsNonRoot":true})", {.uid = 7}), "fine");
    EXPECT_EQ(check(R"({"runAsNonRoot":true,"runAsUser":0})", {.uid = 7}),
              "container's runAsUser breaks non-root policy");
    EXPECT_EQ(check(R"({"runAsNonRoot":true,"runAsUser":7})", {}), "fine");
    EXPECT_EQ(check(R"({"runAsNonRoot":true})", {.name = "www"}),
              "container has runAsNonRoot and image has non-numeric user");
}

}   // namespace
}   // namespace skiff::agent
