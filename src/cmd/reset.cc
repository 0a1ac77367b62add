#include "cmd/reset.h"

#include <algorithm>

#include <unistd.h>

#include "agent/log_files.h"
#include "base/os.h"
#include "base/text.h"
#include "cmd/down.h"
#include "cmd/flags.h"
#include "cmd/kubeconfig.h"
#include "cmd/leftovers.h"
#include "cmd/progress.h"
#include "cmd/runtime_session.h"

namespace skiff::cmd {
namespace {

// The log folders of every pod that has left anything: the agent keeps a folder of each until the
// last of it is gone, so that nothing is missed that it was just cleaning up.
std::vector<std::string> log_folders(const Cluster& cluster) {
    std::vector<std::string> logs;
    for (const auto& uid : agent::uids_with_files(cluster.root))
        for (auto& folder : agent::pod_log_folders("/var/log", uid))
            logs.push_back(std::move(folder));
    return logs;
}

// Removes the pods through the runtime; one that is the user's keeps what is not ours.
Result<> remove_pods(const Cluster& cluster) {
    TRY(const auto session, RuntimeSession::open(cluster));
    TRY_OK(session->end_pods(std::chrono::seconds{1}, RuntimeSession::Removal::Remove));
    return {};
}

void tell(Progress& progress, const Removed& removed) {
    constexpr size_t lines_max = 8;
    for (size_t i = 0; i < std::min(removed.size(), lines_max); ++i)
        progress.say(concat("  removed ", removed[i]));
    if (removed.size() > lines_max)
        progress.say(concat("  … and ", removed.size() - lines_max, " more like it"));
}

// What Skiff made below the root; a root that held files of the user's keeps them. cluster.json
// goes last: as long as it is there, `reset` can be run again.
Result<> remove_root(const Cluster& cluster, Progress& progress) {
    for (const auto* name :
         {"admin.kubeconfig", "agent", "bin", "containerd", "ingress", "ingress.class", "volumes",
          "volumes.class", "log", "run", "server", "cluster.json"})
        TRY_OK(remove_tree(cluster.path(name)));
    if (::rmdir(cluster.root.c_str()) == 0)
        progress.say(concat("  removed ", cluster.root));
    else
        progress.say(concat("  left ", cluster.root,
                            ": it is a mount, or holds files that are not Skiff's"));
    return {};
}

int reset(const Cluster& cluster) {
    Progress progress{os_clock()};
    progress.say(concat("Removing the cluster ", cluster.id, " at ", cluster.root));
    if (const auto stopped = stop_cluster(cluster, Pods::Keep); !stopped)
        progress.say("  " + stopped.error().message);
    const auto logs = log_folders(cluster);
    if (const auto removed = remove_pods(cluster); !removed)
        progress.say(concat("  the runtime could not remove the pods (", removed.error().message,
                            "); going on without it"));
    tell(progress, remove_shims(cluster));
    tell(progress, remove_mounts(cluster.root));
    tell(progress, remove_logs(logs));
    tell(progress, remove_cgroups(cluster));
    tell(progress, remove_tables(cluster));
    tell(progress, remove_interfaces(cluster));
    tell(progress, remove_addresses(cluster));
    tell(progress, remove_network_results(cluster));
    tell(progress, leave_switches(cluster));
    if (const auto who = caller()) {
        const auto context = remove_context(*who, cluster);
        if (context && *context)
            progress.say(concat("  removed context '", cluster.context_name(), "' from ", who->home,
                                "/.kube/config"));
        if (!context) progress.say("  " + context.error().message);
    }
    if (const auto gone = remove_root(cluster, progress); !gone)
        return complain(concat(cluster.root, " is not quite empty: ", gone.error().message));
    progress.say(concat("The cluster is gone, after ", seconds_text(progress.total()), "."));
    return 0;
}

}   // namespace

int run_reset(const std::vector<std::string>& arguments) {
    const auto flags = Flags::parse(
        arguments, {{"root", "DIR", "all state of the cluster (default /var/lib/skiff)"}});
    if (!flags) return complain(flags.error().message);
    if (::geteuid() != 0) return complain("reset must be run as root: sudo skiff reset");
    const auto cluster = load_cluster(flags->text("root", default_root));
    if (!cluster) return complain(cluster.error().message);
    return reset(*cluster);
}

}   // namespace skiff::cmd
