#include "cmd/status.h"

#include <array>
#include <cstdio>

#include <sys/statvfs.h>
#include <unistd.h>

#include "base/text.h"
#include "cmd/api_probe.h"
#include "cmd/flags.h"
#include "cmd/process.h"
#include "cmd/progress.h"
#include "cmd/security_status.h"
#include "cmd/server_audit.h"

namespace skiff::cmd {
namespace {

constexpr uint64_t full_disk_bytes = 1u
                                     << 20;   // with less left the store soon takes only deletions

// Memory that is the process' own share, in KiB (smaps_rollup's Pss).
uint64_t pss_kib(pid_t pid) {
    const auto text = read_file(concat("/proc/", pid, "/smaps_rollup"));
    if (!text) return 0;
    for (const auto line : split(*text, '\n')) {
        if (!line.starts_with("Pss:")) continue;
        const auto value = trim(line.substr(4));
        return parse_number<uint64_t>(value.substr(0, value.find(' '))).value_or(0);
    }
    return 0;
}

std::string uptime_of(const Process& process) {
    const auto uptime = read_file("/proc/uptime");
    if (!uptime) return "?";
    const auto now = std::stod(std::string{cut(*uptime, ' ').first});
    const auto seconds = static_cast<int64_t>(
        now - static_cast<double>(process.started) / static_cast<double>(::sysconf(_SC_CLK_TCK)));
    if (seconds < 120) return concat(seconds, "s");
    if (seconds < 7200) return concat(seconds / 60, "m");
    if (seconds < 172800) return concat(seconds / 3600, "h");
    return concat(seconds / 86400, "d");
}

struct Row {
    std::string part;
    std::string state;
    std::string memory;
    std::string since;
};

void print(const Row& row) {
    std::printf("%-12s %-10s %-10s %-6s\n", row.part.c_str(), row.state.c_str(), row.memory.c_str(),
                row.since.c_str());
}

std::string megabytes(uint64_t kib) {
    return concat(kib / 1024, ".", kib % 1024 * 10 / 1024, " MiB");
}

// What is wrong, each with what to do about it.
std::vector<std::string> problems(const Cluster& cluster, bool all_running) {
    std::vector<std::string> found;
    if (!all_running) {
        if (!running(cluster.supervisor_pid_file()))
            found.push_back("the cluster does not run: `sudo skiff up` starts it");
        else
            found.push_back(
                concat("a part does not run; the supervisor starts it again, its log is below ",
                       cluster.path("log")));
        return found;
    }
    struct statvfs disk {};
    if (::statvfs(cluster.root.c_str(), &disk) == 0 &&
        uint64_t{disk.f_bavail} * disk.f_frsize < full_disk_bytes)
        found.push_back(concat("the disk of ", cluster.root,
                               " is full, nothing can be written: free some space"));
    const auto pki = ensure_pki(cluster, os_clock());
    if (!pki) return {pki.error().message};
    const auto probe = ApiProbe::make(cluster, *pki);
    if (!probe) return {probe.error().message};
    if (!(*probe)->ready())
        return {concat("the API server does not answer on port ", cluster.port, "; see ",
                       cluster.path("log/server.log"))};
    if (const auto lost = (*probe)->metric("apiserver_audit_error_total"); lost && *lost)
        found.push_back(concat("the audit log has lost ", *lost,
                               " events since the server started: is the disk of ",
                               audit_log_path(cluster), " full?"));
    const auto ready = (*probe)->node_ready(cluster.node_name);
    if (!ready)
        found.push_back(ready.error().message);
    else if (!*ready)
        found.push_back(concat("node ", cluster.node_name, " is not Ready: kubectl describe node ",
                               cluster.node_name));
    return found;
}

// The controller's own word, while there is one.
std::string ingress_line(const Cluster& cluster) {
    if (!cluster.has_ingress()) return "off";
    if (running(cluster.path("run/agent.pid")))
        if (const auto told = read_file(cluster.ingress_state())) return std::string{trim(*told)};
    return concat("ports ", cluster.ingress_http_port, " and ", cluster.ingress_https_port);
}

int status(const Cluster& cluster) {
    std::printf("Cluster %s at %s\n", cluster.id.c_str(), cluster.root.c_str());
    std::printf("  API      https://127.0.0.1:%u (context %s)\n", cluster.port,
                cluster.context_name().c_str());
    std::printf("  node     %s, agent on port %u\n", cluster.node_name.c_str(), cluster.agent_port);
    std::printf("  ingress  %s\n", ingress_line(cluster).c_str());
    std::printf("  ranges   pods %s, services %s\n", cluster.pod_cidr.c_str(),
                cluster.service_cidr.c_str());
    if (cluster.compat == "2017")
        std::printf(
            "  relaxed  --compat=2017: service accounts of default and kube-system may read\n"
            "           services, endpoints, ingresses, pods, nodes and config maps without a "
            "role\n");
    if (cluster.legacy_versions == "off")
        std::printf("  versions --legacy-versions=off: those that v1.33 dropped are not served\n");
    std::printf("\n");
    print({"PART", "STATE", "MEMORY", "SINCE"});
    bool all_running = true;
    uint64_t total = 0;
    std::vector<std::string> parts{"supervisor", "server", "agent"};
    if (cluster.runtime_endpoint.empty()) parts.emplace_back("containerd");
    for (const auto& part : parts) {
        const auto process = running(cluster.path(concat("run/", part, ".pid")));
        if (!process) {
            all_running = false;
            print({part, "stopped", "-", "-"});
            continue;
        }
        const auto memory = pss_kib(process->pid);
        if (part != "containerd") total += memory;
        print({part, "running", memory ? megabytes(memory) : "?", uptime_of(*process)});
    }
    if (all_running && ::geteuid() != 0) {
        std::printf("\nEvery part runs. Only root sees more: sudo skiff status\n");
        return 0;
    }
    std::printf("\nSkiff itself: %s\n", megabytes(total).c_str());
    const auto wrong = problems(cluster, all_running);
    for (const auto& problem : wrong) std::printf("Wrong: %s\n", problem.c_str());
    if (wrong.empty()) std::printf("All is well.\n");
    return wrong.empty() ? 0 : 3;
}

}   // namespace

int run_status(const std::vector<std::string>& arguments) {
    const auto flags = Flags::parse(
        arguments, {{"root", "DIR", "all state of the cluster (default /var/lib/skiff)"},
                    {"security", "", "what guards it, and what somebody opened"}});
    if (!flags) return complain(flags.error().message);
    const auto cluster = load_cluster(flags->text("root", default_root));
    if (!cluster) return complain(cluster.error().message);
    return flags->on("security") ? print_security(*cluster) : status(*cluster);
}

}   // namespace skiff::cmd
