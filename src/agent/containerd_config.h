// The texts that make containerd and its network ours: config.toml, the CNI list and the nftables
// rules for traffic that leaves the pod network. Pure; cmd/ writes them and starts containerd.
#pragma once

#include <string>

namespace skiff::agent {

// The one image of a sandbox; made and imported by Skiff itself (pause_image.h).
inline constexpr const char* pause_image_name = "skiff.local/pause:1";

struct ContainerdPaths {
    std::string config;   // <root>/containerd/config.toml
    std::string root;     // content, snapshots, metadata
    std::string state;    // bundles of running containers
    std::string socket;
    std::string log;
    std::string cni_config;   // folder with our one conflist
    std::string cni_state;    // host-local's addresses
    // The user's: <host>/hosts.toml as containerd reads them (mirrors, plain HTTP, CAs), read anew
    // at every pull. Never written by Skiff.
    std::string registries;
};
ContainerdPaths containerd_paths(const std::string& root);

struct ContainerdOptions {
    std::string cluster_id;
    std::string cni_programs = "/usr/lib/cni";   // Debian's containernetworking-plugins
    std::string runc = "runc";
    // Without CAP_SYS_RESOURCE nobody may lower an oom_score_adj: containerd then keeps its own.
    bool restrict_oom_score_adj = false;
    bool apparmor = false;   // the machine has AppArmor and its parser
};
std::string containerd_config(const ContainerdPaths& paths, const ContainerdOptions& options);

enum class PodNetwork { Routed, Bridged };   // CNI's ptp, else bridge: design.md, 8

struct NetworkOptions {
    std::string cluster_id;
    std::string pod_cidr;       // this node's part
    std::string cluster_cidr;   // every node's: not masqueraded inside
    unsigned mtu = 0;           // of the uplink; 0: the plugin's default
    PodNetwork kind = PodNetwork::Routed;
};
std::string cni_conflist(const ContainerdPaths& paths, const NetworkOptions& options);
std::string cni_conflist_name(const NetworkOptions& options);   // file name in cni_config

// The nftables script that replaces our table whole, and the one that removes it. Packets from a
// pod to anything outside the pod network and the machine itself carry the machine's address. The
// plugin's own ipMasq would need iptables.
std::string masquerade_table_name(const NetworkOptions& options);
std::string masquerade_rules(const NetworkOptions& options);
std::string masquerade_removal(const NetworkOptions& options);

// Interfaces that the network made outside the pods and that outlive them: "" when routed.
std::string bridge_name(const NetworkOptions& options);

// The kernel's forwarding switch, which a routed network needs on.
inline constexpr const char* ip_forward_path = "/proc/sys/net/ipv4/ip_forward";
// And the one that lets the machine's own loopback reach host ports; the table below keeps everyone
// else off that address (CVE-2020-8558).
inline constexpr const char* route_localnet_path = "/proc/sys/net/ipv4/conf/all/route_localnet";

}   // namespace skiff::agent
