#include "agent/server.h"

#include <gtest/gtest.h>

#include "agent/lease.h"
#include "agent/log_rotation.h"
#include "agent/node_status.h"
#include "agent/probes.h"
#include "agent/server_streams.h"
#include "codec/json.h"

namespace skiff::agent {
namespace {

TEST(AgentServer, answers_the_api_server_and_nobody_else) {
    net::Peer peer{.tls = true};
    EXPECT_EQ(check_caller(peer).error().reason, Reason::Unauthorized);
    peer.certificate_problem = "expired";
    EXPECT_EQ(check_caller(peer).error().message,
              "the client certificate is not accepted: expired");
    for (const char* name : {"kubernetes-admin", "system:node:other", ""}) {
        peer.certificate = std::make_shared<const net::Peer::Certificate>(net::Peer::Certificate{
            .common_name = name, .organizations = {"system:masters"}, .der = {}});
        EXPECT_EQ(check_caller(peer).error().reason, Reason::Forbidden) << name;
    }
    peer.certificate = std::make_shared<const net::Peer::Certificate>(net::Peer::Certificate{
        .common_name = "kube-apiserver-kubelet-client", .organizations = {}, .der = {}});
    EXPECT_TRUE(check_caller(peer).has_value());
}

TEST(AgentStreams, requests_are_read_as_kubelet_reads_them) {
    const auto exec = exec_request(
        "id",
        net::parse_query("command=sh&command=-c&command=a%20b&input=1&output=1&error=1&tty=1"));
    EXPECT_EQ(exec.cmd, (std::vector<std::string>{"sh", "-c", "a b"}));
    EXPECT_TRUE(exec.stdin && exec.stdout && exec.tty);
    EXPECT_FALSE(exec.stderr);   // a terminal has one output
    EXPECT_EQ(forwarded_ports(net::parse_query("port=80&port=443,8080")),
              (std::vector<uint16_t>{80, 443, 8080}));
    const auto url = parse_stream_url("http://127.0.0.1:4321/exec/abc");
    ASSERT_TRUE(url.has_value());
    EXPECT_EQ(url->host, "127.0.0.1");
    EXPECT_EQ(url->port, 4321);
    EXPECT_EQ(url->target, "/exec/abc");
    EXPECT_EQ(parse_stream_url("http://[::1]:1/x")->host, "::1");
    for (const char* wrong : {"https://a:1/x", "http://a/x", "http://a:1", "x"}) {
        EXPECT_FALSE(parse_stream_url(wrong).has_value()) << wrong;
    }
}

TEST(ProbeCount, thresholds_settle_the_result) {
    struct Row {
        const char* answers;   // + and -
        int successes, failures;
        bool initially, result;
    };
    const Row rows[] = {
        {"+", 1, 3, false, true},     {"--", 1, 3, true, true},   {"---", 1, 3, true, false},
        {"--+--", 1, 3, true, true},  {"++", 3, 3, false, false}, {"+++", 3, 3, false, true},
        {"+-++", 3, 1, false, false},
    };
    for (const Row& row : rows) {
        ProbeCount count{row.successes, row.failures, row.initially};
        for (const char* answer = row.answers; *answer; ++answer) count.add(*answer == '+');
        EXPECT_EQ(count.result(), row.result) << row.answers;
    }
}

TEST(LogRotation, looks_sooner_at_what_grows_fast) {
    constexpr size_t mib = 1u << 20;
    EXPECT_EQ(rotation_delay(0, 10 * mib, 0, 10s), 10s);
    EXPECT_EQ(rotation_delay(mib, 10 * mib, mib, 10s), 10s);
    EXPECT_EQ(rotation_delay(5 * mib, 10 * mib, 5 * mib, 2s), 2s);
    EXPECT_EQ(rotation_delay(9 * mib, 10 * mib, 9 * mib, 1s), 500ms);
}

TEST(NodeStatus, says_how_the_node_is) {
    const NodeIdentity identity{.name = "n",
                                .addresses = {"192.0.2.1"},
                                .pod_cidr = "10.0.0.0/24",
                                .agent_port = 10250,
                                .version = "v1.33.0"};
    MachineFacts machine{.cpus = 2,
                         .memory_bytes = int64_t{4} << 30,
                         .memory_available_bytes = int64_t{2} << 30,
                         .storage_bytes = 1000,
                         .storage_available_bytes = 500};
    NodeMemory memory;
    const WallTime now{std::chrono::seconds{1'800'000'000}};
    const auto show = [&](const NodeHealth& health, WallTime at) {
        return codec::parse_json(node_status_patch(identity, machine, health, {}, memory, at))
            .value();
    };
    const auto condition = [](const codec::Document& document, std::string_view type,
                              std::string_view field) {
        for (const auto& one : document.root.at_path({"status", "conditions"})->items()) {
            if (one.text_at({"type"}) == type) return std::string{one.text_at({field})};
        }
        return std::string{"absent"};
    };
    auto shown = show({}, now);
    EXPECT_EQ(condition(shown, "Ready", "status"), "True");
    EXPECT_EQ(condition(shown, "Ready", "reason"), "KubeletReady");
    EXPECT_EQ(condition(shown, "DiskPressure", "status"), "False");
    EXPECT_EQ(shown.root.text_at({"status", "capacity", "memory"}), "4194304Ki");
    EXPECT_EQ(shown.root.text_at({"status", "capacity", "cpu"}), "2");
    shown = show({}, now + 60s);
    EXPECT_EQ(condition(shown, "Ready", "lastTransitionTime"), rfc3339(now));
    EXPECT_EQ(condition(shown, "Ready", "lastHeartbeatTime"), rfc3339(now + 60s));
    machine.storage_available_bytes = 50;
    shown = show({false, "container runtime is down"}, now + 90s);
    EXPECT_EQ(condition(shown, "Ready", "reason"), "KubeletNotReady");
    EXPECT_EQ(condition(shown, "Ready", "message"), "container runtime is down");
    EXPECT_EQ(condition(shown, "Ready", "lastTransitionTime"), rfc3339(now + 90s));
    EXPECT_EQ(condition(shown, "DiskPressure", "reason"), "KubeletHasDiskPressure");
    const auto node = codec::parse_json(node_object(identity)).value();
    EXPECT_EQ(node.root.text_at({"metadata", "labels", "kubernetes.io/hostname"}), "n");
    EXPECT_EQ(node.root.text_at({"spec", "podCIDR"}), "10.0.0.0/24");
}

TEST(Lease, is_owned_by_its_node) {
    const auto lease =
        codec::parse_json(lease_object("n", "uid", WallTime{std::chrono::seconds{1'800'000'000}}))
            .value();
    EXPECT_EQ(lease.root.text_at({"spec", "holderIdentity"}), "n");
    EXPECT_EQ(lease.root.text_at({"spec", "renewTime"}), "2027-01-15T08:00:00.000000Z");
    EXPECT_EQ(lease.root.at_path({"metadata", "ownerReferences"})->items()[0].text_at({"uid"}),
              "uid");
}

}   // namespace
}   // namespace skiff::agent
