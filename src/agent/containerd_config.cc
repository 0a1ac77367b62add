#include "agent/containerd_config.h"

#include "base/text.h"

namespace skiff::agent {

namespace {

// Plugins that Skiff never uses: each costs start-up time (devmapper and zfs probe the machine) or
// memory at rest. runtime.v1 stays although unused: containerd 1.6 refuses CRI without it.
constexpr const char* disabled_plugins[] = {
    "io.containerd.snapshotter.v1.aufs",      "io.containerd.snapshotter.v1.btrfs",
    "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs",
    "io.containerd.snapshotter.v1.native",    "io.containerd.tracing.processor.v1.otlp",
    "io.containerd.internal.v1.tracing",      "io.containerd.internal.v1.restart",
    "io.containerd.internal.v1.opt",          "io.containerd.monitor.v1.cgroups",
};

// Where every containerd of the machine looks.
constexpr const char* machine_registries = "/etc/containerd/certs.d";

// TOML's basic strings and JSON's agree on what we need: quotes and backslashes.
std::string quoted(std::string_view text) {
    std::string out = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') out += '\\';
        out += c;
    }
    out += '"';
    return out;
}

const char* flag(bool value) { return value ? "true" : "false"; }

}   // namespace

ContainerdPaths containerd_paths(const std::string& root) {
    const std::string home = root + "/containerd";
    return {
        .config = home + "/config.toml",
        .root = home + "/root",
        .state = home + "/state",
        .socket = home + "/containerd.sock",
        .log = home + "/containerd.log",
        .cni_config = home + "/net.d",
        .cni_state = home + "/networks",
        .registries = root + "/registries.d",
    };
}

std::string containerd_config(const ContainerdPaths& paths, const ContainerdOptions& options) {
    std::string disabled;
    for (const char* plugin : disabled_plugins) {
        append(disabled, disabled.empty() ? "" : ", ", quoted(plugin));
    }
    // stats_collect_period: containerd walks every snapshot that often; nothing reads it sooner.
    // netns_mounts_under_state_dir: what is ours lies below --root, namespaces included.
    return concat(
        "# Written by skiff at every start; changes are lost.\n"
        "version = 2\n"
        "root = ",
        quoted(paths.root),
        "\n"
        "state = ",
        quoted(paths.state),
        "\n"
        "oom_score = 0\n"
        "disabled_plugins = [",
        disabled,
        "]\n"
        "\n[grpc]\n"
        "  address = ",
        quoted(paths.socket),
        "\n"
        "\n[debug]\n"
        "  level = \"warn\"\n"
        "\n[plugins.\"io.containerd.grpc.v1.cri\"]\n"
        "  sandbox_image = ",
        quoted(pause_image_name),
        "\n"
        "  restrict_oom_score_adj = ",
        flag(options.restrict_oom_score_adj),
        "\n"
        "  disable_apparmor = ",
        flag(!options.apparmor),
        "\n"
        "  netns_mounts_under_state_dir = true\n"
        "  stream_server_address = \"127.0.0.1\"\n"
        "  stream_server_port = \"0\"\n"
        "  stats_collect_period = 120\n"
        "  [plugins.\"io.containerd.grpc.v1.cri\".cni]\n"
        "    bin_dir = ",
        quoted(options.cni_programs),
        "\n"
        "    conf_dir = ",
        quoted(paths.cni_config),
        "\n"
        "  [plugins.\"io.containerd.grpc.v1.cri\".registry]\n"
        "    config_path = ",
        quoted(concat(paths.registries, ":", machine_registries)),
        "\n"
        "  [plugins.\"io.containerd.grpc.v1.cri\".containerd]\n"
        "    default_runtime_name = \"runc\"\n"
        "    [plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.runc]\n"
        "      runtime_type = \"io.containerd.runc.v2\"\n"
        "      [plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.runc.options]\n"
        "        BinaryName = ",
        quoted(options.runc),
        "\n"
        "        SystemdCgroup = false\n");
}

std::string cni_conflist_name(const NetworkOptions& options) {
    return concat("10-skiff-", options.cluster_id, ".conflist");
}

std::string bridge_name(const NetworkOptions& options) {
    return options.kind == PodNetwork::Bridged ? concat("skbr-", options.cluster_id) : "";
}

std::string cni_conflist(const ContainerdPaths& paths, const NetworkOptions& options) {
    std::string plugin = options.kind == PodNetwork::Routed
                             ? std::string{R"("type":"ptp")"}
                             : concat(R"("type":"bridge","bridge":)", quoted(bridge_name(options)),
                                      R"(,"isGateway":true,"hairpinMode":true)");
    if (options.mtu != 0) append(plugin, R"(,"mtu":)", options.mtu);
    return concat(R"({"cniVersion":"0.4.0","name":)", quoted(concat("skiff-", options.cluster_id)),
                  R"(,"plugins":[{)", plugin, R"(,"ipMasq":false,"ipam":{"type":"host-local",)",
                  R"("dataDir":)", quoted(paths.cni_state), R"(,"ranges":[[{"subnet":)",
                  quoted(options.pod_cidr), R"(}]],"routes":[{"dst":"0.0.0.0/0"}]}}]})", "\n");
}

std::string masquerade_table_name(const NetworkOptions& options) {
    return concat("skiff-", options.cluster_id, "-pods");
}

std::string masquerade_removal(const NetworkOptions& options) {
    // Added first, so that removing what is not there is no error.
    const std::string table = masquerade_table_name(options);
    return concat("add table ip ", table, "\ndelete table ip ", table, "\n");
}

std::string masquerade_rules(const NetworkOptions& options) {
    return concat(masquerade_removal(options), "table ip ", masquerade_table_name(options),
                  " {\n"
                  "  chain postrouting {\n"
                  "    type nat hook postrouting priority 100; policy accept;\n"
                  "    ip saddr ",
                  options.pod_cidr, " ip daddr != ", options.cluster_cidr,
                  " fib daddr type != local masquerade\n"
                  "  }\n"
                  "  chain loopback {\n"
                  "    type filter hook prerouting priority -300; policy accept;\n"
                  "    iifname != \"lo\" ip daddr 127.0.0.0/8 drop\n"
                  "  }\n"
                  "}\n");
}

}   // namespace skiff::agent
