#include "cmd/down.h"

#include <unistd.h>

#include "base/text.h"
#include "cmd/flags.h"
#include "cmd/leftovers.h"
#include "cmd/process.h"
#include "cmd/progress.h"
#include "cmd/runtime_session.h"
#include "ingress/nginx.h"

namespace skiff::cmd {
namespace {

constexpr auto supervisor_stop_time = std::chrono::seconds{40};   // it gives each part ten
constexpr auto part_stop_time = std::chrono::seconds{10};
constexpr auto pod_grace = std::chrono::seconds{10};

bool stop_by_file(const std::string& pid_file, Duration timeout) {
    const auto process = running(pid_file);
    if (!process) return false;
    stop_process(*process, timeout);
    ::unlink(pid_file.c_str());
    return true;
}

}   // namespace

Result<bool> stop_cluster(const Cluster& cluster, Pods pods) {
    bool any = false;
    // The supervisor first, or it would start again what is stopped; it takes its parts along.
    any |= stop_by_file(cluster.supervisor_pid_file(), supervisor_stop_time);
    for (const std::string_view part : {"agent", "server"})
        any |= stop_by_file(cluster.path(concat("run/", part, ".pid")), part_stop_time);
    any |= ingress::end_nginx(cluster.ingress_folder(), cluster.ingress_log());
    if (pods == Pods::End && (any || running(cluster.path("run/containerd.pid")))) {
        TRY(const auto session, RuntimeSession::open(cluster));
        TRY_OK(session->end_pods(pod_grace, RuntimeSession::Removal::Keep));
    }
    any |= stop_by_file(cluster.path("run/containerd.pid"), part_stop_time);
    // Nothing is left that a service's port could lead to; `up` makes the tables anew.
    if (pods == Pods::End) static_cast<void>(remove_tables(cluster));
    return any;
}

int run_down(const std::vector<std::string>& arguments) {
    const auto flags = Flags::parse(
        arguments, {{"root", "DIR", "all state of the cluster (default /var/lib/skiff)"},
                    {"keep-pods", "", "leave the containers running"}});
    if (!flags) return complain(flags.error().message);
    if (::geteuid() != 0) return complain("down must be run as root: sudo skiff down");
    const auto cluster = load_cluster(flags->text("root", default_root));
    if (!cluster) return complain(cluster.error().message);
    Progress progress{os_clock()};
    progress.begin(concat("stopping the cluster at ", cluster->root));
    const auto any = stop_cluster(*cluster, flags->on("keep-pods") ? Pods::Keep : Pods::End);
    if (!any) {
        progress.say("failed");
        return complain(any.error().message);
    }
    progress.done(*any ? "stopped" : "it was not running");
    return 0;
}

}   // namespace skiff::cmd
