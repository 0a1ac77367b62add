#include "agent/containerd_config.h"

#include <gtest/gtest.h>

namespace skiff::agent {
namespace {

TEST(ContainerdConfig, everything_it_owns_lies_below_the_root) {
    const auto paths = containerd_paths("/r");
    for (const auto& path : {paths.config, paths.root, paths.state, paths.socket, paths.log,
                             paths.cni_config, paths.cni_state}) {
        EXPECT_TRUE(path.starts_with("/r/containerd/")) << path;
    }
    const auto text = containerd_config(paths, {.cluster_id = "abc123"});
    for (const char* line :
         {"root = \"/r/containerd/root\"", "state = \"/r/containerd/state\"",
          "address = \"/r/containerd/containerd.sock\"", "conf_dir = \"/r/containerd/net.d\"",
          "SystemdCgroup = false", "netns_mounts_under_state_dir = true",
          "config_path = \"/r/registries.d:/etc/containerd/certs.d\"",
          "sandbox_image = \"skiff.local/pause:1\""}) {
        EXPECT_NE(text.find(line), std::string::npos) << line;
    }
}

TEST(ContainerdConfig, odd_characters_in_the_root_are_quoted) {
    const auto text = containerd_config(containerd_paths("/a\"b\\c"), {});
    EXPECT_NE(text.find(R"(root = "/a\"b\\c/containerd/root")"), std::string::npos) << text;
}

TEST(ContainerdConfig, oom_scores_are_restricted_when_told) {
    const auto paths = containerd_paths("/r");
    const auto has = [&](bool restrict, const char* line) {
        return containerd_config(paths, {.restrict_oom_score_adj = restrict}).find(line) !=
               std::string::npos;
    };
    EXPECT_TRUE(has(true, "restrict_oom_score_adj = true"));
    EXPECT_TRUE(has(false, "restrict_oom_score_adj = false"));
}

TEST(CniConfig, the_routed_network_is_ptp_with_host_local) {
    const NetworkOptions options{.cluster_id = "abc123",
                                 .pod_cidr = "10.42.0.0/24",
                                 .cluster_cidr = "10.42.0.0/16",
                                 .mtu = 1400};
    EXPECT_EQ(cni_conflist(containerd_paths("/r"), options),
              R"({"cniVersion":"0.4.0","name":"skiff-abc123","plugins":[{"type":"ptp","mtu":1400,)"
              R"("ipMasq":false,"ipam":{"type":"host-local","dataDir":"/r/containerd/networks",)"
              R"("ranges":[[{"subnet":"10.42.0.0/24"}]],"routes":[{"dst":"0.0.0.0/0"}]}}]})"
              "\n");
    EXPECT_EQ(bridge_name(options), "");
    EXPECT_EQ(cni_conflist_name(options), "10-skiff-abc123.conflist");
}

TEST(CniConfig, the_bridge_carries_the_cluster_id_within_the_kernels_15_characters) {
    const NetworkOptions options{.cluster_id = "abc123", .kind = PodNetwork::Bridged};
    EXPECT_EQ(bridge_name(options), "skbr-abc123");
    EXPECT_LE(bridge_name(options).size(), 15u);
    EXPECT_NE(cni_conflist(containerd_paths("/r"), options).find(R"("bridge":"skbr-abc123")"),
              std::string::npos);
}

TEST(Masquerade, rules_replace_the_table_whole) {
    const NetworkOptions options{
        .cluster_id = "abc123", .pod_cidr = "10.42.0.0/24", .cluster_cidr = "10.42.0.0/16"};
    const auto rules = masquerade_rules(options);
    EXPECT_TRUE(
        rules.starts_with("add table ip skiff-abc123-pods\n"
                          "delete table ip skiff-abc123-pods\n"
                          "table ip skiff-abc123-pods {\n"));
    EXPECT_NE(rules.find("ip saddr 10.42.0.0/24 ip daddr != 10.42.0.0/16"), std::string::npos);
}

}   // namespace
}   // namespace skiff::agent
