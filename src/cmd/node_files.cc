#include "cmd/node_files.h"

#include <sys/prctl.h>

#include <linux/capability.h>

#include "base/os.h"
#include "base/text.h"
#include "cmd/leftovers.h"

namespace skiff::cmd {
namespace {

Result<> load_rules(const std::string& rules) {
    TRY(const auto done, run_command({"nft", "-f", "-"}, {.environment = {}, .input = rules}));
    if (done.exit_code == 0) return {};
    return fail(Reason::InternalError,
                concat("nft refused the masquerading rules: ", trim(done.error)));
}

// Of the interface with the default route, so that no pod sends more than leaves the machine whole;
// 0 when there is none.
unsigned uplink_mtu() {
    const auto routes = read_file("/proc/net/route");
    if (!routes) return 0;
    for (const auto line : split(*routes, '\n')) {
        const auto fields = split(line, '\t');   // interface, destination, …
        if (fields.size() < 2 || fields[1] != "00000000") continue;
        const auto text = read_file(concat("/sys/class/net/", fields[0], "/mtu"));
        return text ? parse_number<unsigned>(trim(*text)).value_or(0) : 0;
    }
    return 0;
}

}   // namespace

agent::NetworkOptions network_options(const Cluster& cluster) {
    return {.cluster_id = cluster.id,
            .pod_cidr = cluster.pod_cidr,
            .cluster_cidr = cluster.pod_cidr,
            .mtu = uplink_mtu()};
}

Result<> write_node_files(const Cluster& cluster) {
    const auto network = network_options(cluster);
    if (cluster.runtime_endpoint.empty()) {
        const auto paths = agent::containerd_paths(cluster.root);
        for (const auto& folder : {paths.root, paths.state, paths.cni_config, paths.cni_state})
            TRY_OK(make_directories(folder, 0711));
        const auto folder_of = [](const std::string& path) {
            return path.substr(0, path.rfind('/'));
        };
        TRY_OK(make_directories(folder_of(paths.config)));
        TRY_OK(make_directories(folder_of(paths.socket)));
        agent::ContainerdOptions options{.cluster_id = cluster.id};
        options.restrict_oom_score_adj = ::prctl(PR_CAPBSET_READ, CAP_SYS_RESOURCE, 0, 0, 0) != 1;
        options.apparmor = file_exists("/sys/kernel/security/apparmor/profiles") &&
                           file_exists("/sbin/apparmor_parser");
        TRY_OK(write_file_atomic(paths.config, agent::containerd_config(paths, options)));
        TRY_OK(write_file_atomic(concat(paths.cni_config, "/", agent::cni_conflist_name(network)),
                                 agent::cni_conflist(paths, network)));
    }
    TRY_OK(set_switch(cluster, agent::ip_forward_path, "1"));
    TRY_OK(load_rules(agent::masquerade_rules(network)));
    return set_switch(cluster, agent::route_localnet_path, "1");
}

}   // namespace skiff::cmd
