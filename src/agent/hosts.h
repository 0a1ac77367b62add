// /etc/hosts of pods, their host name, and the DNS configuration that becomes /etc/resolv.conf.
// Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "agent/cri_config.h"
#include "agent/pod_types.h"

namespace skiff::agent {

// `host_hosts` is the machine's own /etc/hosts, which pods in its network get.
std::string hosts_file(const Pod& pod, const std::vector<std::string>& pod_addresses,
                       std::string_view host_hosts, std::string_view cluster_domain);

// At most 63 characters, as the kernel takes it. "" for pods in the machine's network.
std::string pod_hostname(const Pod& pod, std::string_view cluster_domain);

struct DnsFacts {
    cri::DNSConfig host;                        // the machine's resolv.conf
    std::vector<std::string> cluster_servers;   // empty while the cluster has no DNS
    std::string cluster_domain;                 // "cluster.local"
};
cri::DNSConfig parse_resolv_conf(std::string_view text);
cri::DNSConfig pod_dns(const Pod& pod, const DnsFacts& facts);

}   // namespace skiff::agent
