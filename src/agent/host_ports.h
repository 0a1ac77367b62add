// Ports of the machine that lead into pods (containers.ports.hostPort): an nftables table of our
// own, replaced whole whenever a pod with such ports comes or goes.
#pragma once

#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "agent/pod_types.h"
#include "base/result.h"

namespace skiff::agent {

struct HostPort {
    std::string protocol;       // tcp, udp, sctp
    std::string host_address;   // "" for every address of the machine
    uint16_t host_port = 0;
    std::string pod_address;
    uint16_t pod_port = 0;
    auto operator<=>(const HostPort&) const = default;
};
// Of a pod with its own network; none otherwise.
std::vector<HostPort> host_ports_of(const Pod& pod, const std::vector<std::string>& pod_addresses);

// The script that makes the table hold just these; pure. It removes the table when there are none.
std::string host_port_rules(std::string_view cluster_id, const std::vector<HostPort>& ports);

class HostPorts {
  public:
    explicit HostPorts(std::string cluster_id) : cluster_id_{std::move(cluster_id)} {}
    Result<> set(const std::string& pod_uid,
                 std::vector<HostPort> ports);   // none: the pod is gone

  private:
    std::string cluster_id_;
    std::mutex mutex_;   // held while nft runs: scripts follow each other
    std::map<std::string, std::vector<HostPort>> all_;   // by pod uid
};

}   // namespace skiff::agent
