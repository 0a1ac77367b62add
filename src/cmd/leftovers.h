// What a cluster makes outside its --root, and the removal of it: mounts, cgroups, nftables tables,
// interfaces, log folders, kernel switches, stray shims. Each says what it removed.
#pragma once

#include <string>
#include <vector>

#include "base/os.h"
#include "cmd/cluster.h"

namespace skiff::cmd {

using Removed = std::vector<std::string>;   // "mount /var/lib/skiff/…"

Removed remove_shims(const Cluster& cluster);
Removed remove_mounts(const std::string& below);
Removed remove_cgroups(const Cluster& cluster);
Removed remove_tables(const Cluster& cluster);
Removed remove_interfaces(const Cluster& cluster);
Removed remove_addresses(const Cluster& cluster);         // of DNS, on lo
Removed remove_network_results(const Cluster& cluster);   // CNI's cache, where a pod was killed
// Of pods that the agent recorded as this cluster's (log folders carry no cluster id).
Removed remove_logs(const std::vector<std::string>& pod_folders);

// Switches of the kernel that clusters set: what they were is noted machine-wide by the first
// cluster that changes one; the last cluster that leaves puts them back.
Result<> set_switch(const Cluster& cluster, const std::string& path, std::string_view value);
Removed leave_switches(const Cluster& cluster);
// The roots of the clusters that noted themselves on this machine since it started.
std::vector<std::string> known_cluster_roots();
// One `up` at a time on this machine, from the choice of free ports until they are taken.
Result<Fd> lock_machine();

}   // namespace skiff::cmd
