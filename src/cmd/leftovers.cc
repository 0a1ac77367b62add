#include "cmd/leftovers.h"

#include <algorithm>
#include <csignal>

#include <dirent.h>
#include <net/if.h>
#include <sys/mount.h>
#include <unistd.h>

#include "agent/containerd_config.h"
#include "agent/volumes/mounts.h"
#include "base/ipv4.h"
#include "base/os.h"
#include "base/text.h"
#include "cmd/lock.h"
#include "cmd/node_dns.h"
#include "cmd/node_files.h"
#include "cmd/process.h"
#include "dns/loopback.h"

namespace skiff::cmd {
namespace {

constexpr std::string_view machine_notes =
    "/run/skiff";   // forgotten at a reboot, like the switches

std::vector<std::string> names_in(const std::string& folder) {
    std::vector<std::string> names;
    DIR* directory = ::opendir(folder.c_str());
    if (!directory) return names;
    while (const auto* entry = ::readdir(directory)) {
        const std::string_view name = entry->d_name;
        if (name != "." && name != "..") names.emplace_back(name);
    }
    ::closedir(directory);
    std::ranges::sort(names);
    return names;
}

void remove_cgroup_tree(const std::string& folder) {
    for (const auto& name : names_in(folder)) {
        const auto below = concat(folder, "/", name);
        if (DIR* directory = ::opendir(below.c_str())) {
            ::closedir(directory);
            remove_cgroup_tree(below);
        }
    }
    ::rmdir(folder.c_str());
}

bool run_quietly(const std::vector<std::string>& arguments, const std::string& input = {}) {
    const auto done = run_command(arguments, {.environment = {}, .input = input});
    return done && done->exit_code == 0;
}

}   // namespace

Removed remove_shims(const Cluster& cluster) {
    Removed removed;
    const auto socket = agent::containerd_paths(cluster.root).socket;
    for (const auto& name : names_in("/proc")) {
        const auto pid = parse_number<pid_t>(name);
        if (!pid) continue;
        const auto command = read_file(concat("/proc/", name, "/cmdline"));
        if (!command || command->find(socket) == std::string::npos) continue;
        // A ctr that an agent killed meanwhile had started waits for a containerd forever.
        const bool shim = command->find("containerd-shim") != std::string::npos;
        if (!shim && !command->starts_with("ctr")) continue;
        const auto process = open_process(*pid);
        if (!process) continue;
        ::kill(*pid, SIGKILL);
        wait_for_exit(*process, std::chrono::seconds{5});
        removed.push_back(concat("process ", name, shim ? " (containerd-shim)" : " (ctr)"));
    }
    return removed;
}

Removed remove_mounts(const std::string& below) {
    Removed removed;
    const auto table = read_file("/proc/self/mountinfo");
    if (!table) return removed;
    for (const auto& point : agent::mount_points_below(*table, below))
        // A disk the user mounted as the root is the user's.
        if (point != below && ::umount2(point.c_str(), MNT_DETACH) == 0)
            removed.push_back("mount " + point);
    return removed;
}

Removed remove_cgroups(const Cluster& cluster) {
    Removed removed;
    const std::string mount = "/sys/fs/cgroup";
    auto hierarchies = names_in(mount);
    hierarchies.insert(hierarchies.begin(), "");
    for (const auto& hierarchy : hierarchies) {
        const auto folder = concat(mount, hierarchy.empty() ? "" : "/", hierarchy);
        for (const auto& name : names_in(folder)) {
            if (!name.starts_with("skiff-") || name.find(cluster.id) == std::string::npos) continue;
            remove_cgroup_tree(concat(folder, "/", name));
            removed.push_back(concat("cgroup ", folder, "/", name));
        }
    }
    return removed;
}

Removed remove_tables(const Cluster& cluster) {
    Removed removed;
    const auto listed = run_command({"nft", "list", "tables"});
    if (!listed) return removed;
    for (const auto line : split(listed->out, '\n')) {   // "table ip skiff-abc123-pods"
        const auto words = split(trim(line), ' ');
        if (words.size() != 3 ||
            words[2].find(concat("skiff-", cluster.id)) == std::string_view::npos)
            continue;
        if (run_quietly({"nft", "delete", "table", std::string{words[1]}, std::string{words[2]}}))
            removed.push_back(concat("nftables ", line));
    }
    return removed;
}

Removed remove_interfaces(const Cluster& cluster) {
    Removed removed;
    struct if_nameindex* list = ::if_nameindex();
    for (auto* entry = list; entry && entry->if_name; ++entry) {
        const std::string name = entry->if_name;
        if (name.find(cluster.id) != std::string::npos &&
            run_quietly({"ip", "link", "delete", name}))
            removed.push_back("interface " + name);
    }
    if (list) ::if_freenameindex(list);
    return removed;
}

Removed remove_addresses(const Cluster& cluster) {
    const auto address = dns_address(cluster);
    const auto number = parse_ipv4(address);
    const auto removed = number ? dns::remove_from_loopback(*number) : Result<bool>{false};
    if (!removed || !*removed) return {};
    return {concat("address ", address, " of lo")};
}

Removed remove_network_results(const Cluster& cluster) {
    Removed removed;
    const std::string folder = "/var/lib/cni/results";
    for (const auto& name : names_in(folder)) {
        if (!name.starts_with(concat("skiff-", cluster.id, "-"))) continue;
        const auto path = concat(folder, "/", name);
        if (::unlink(path.c_str()) == 0) removed.push_back("file " + path);
    }
    ::rmdir(folder.c_str());   // only when they are empty
    ::rmdir("/var/lib/cni");
    return removed;
}

Removed remove_logs(const std::vector<std::string>& pod_folders) {
    Removed removed;
    for (const auto& folder : pod_folders)
        if (file_exists(folder) && remove_tree(folder)) removed.push_back("logs " + folder);
    // Links into folders that are gone.
    const std::string links = "/var/log/containers";
    for (const auto& name : names_in(links)) {
        const auto path = concat(links, "/", name);
        if (!file_exists(path)) ::unlink(path.c_str());   // file_exists follows the link
    }
    ::rmdir(links.c_str());   // only when they are empty
    ::rmdir("/var/log/pods");
    return removed;
}

std::vector<std::string> known_cluster_roots() {
    std::vector<std::string> roots;
    const auto members = concat(machine_notes, "/clusters");
    for (const auto& name : names_in(members))
        if (const auto root = read_file(concat(members, "/", name)))
            roots.emplace_back(trim(*root));
    return roots;
}

Result<> set_switch(const Cluster& cluster, const std::string& path, std::string_view value) {
    const auto members = concat(machine_notes, "/clusters");
    TRY_OK(make_directories(members));
    TRY_OK(write_file_atomic(concat(members, "/", cluster.id), cluster.root + "\n"));
    TRY(const auto now, read_file(path));
    if (trim(now) == value) return {};
    auto name = path;
    std::ranges::replace(name, '/', '_');
    TRY_OK(make_directories(concat(machine_notes, "/switches")));
    const auto note = concat(machine_notes, "/switches/", name);
    if (!file_exists(note)) TRY_OK(write_file_atomic(note, concat(path, "\n", trim(now), "\n")));
    return write_file(path, value);
}

Removed leave_switches(const Cluster& cluster) {
    Removed removed;
    const auto members = concat(machine_notes, "/clusters");
    ::unlink(concat(members, "/", cluster.id).c_str());
    if (!names_in(members).empty()) return removed;
    const auto notes = concat(machine_notes, "/switches");
    for (const auto& name : names_in(notes)) {
        const auto text = read_file(concat(notes, "/", name));
        const auto lines = text ? split(*text, '\n') : std::vector<std::string_view>{};
        if (lines.size() >= 2 && write_file(std::string{lines[0]}, lines[1]))
            removed.push_back(concat("switch ", lines[0], " is ", lines[1], " again"));
    }
    static_cast<void>(remove_tree(std::string{machine_notes}));
    return removed;
}

Result<Fd> lock_machine() {
    const std::string folder{machine_notes};
    TRY_OK(make_directories(folder, 0755));
    return lock_folder(folder);
}

}   // namespace skiff::cmd
