#include "agent/host_ports.h"

#include "base/os.h"
#include "base/text.h"

namespace skiff::agent {

std::vector<HostPort> host_ports_of(const Pod& pod, const std::vector<std::string>& pod_addresses) {
    std::vector<HostPort> out;
    if (pod.spec.hostNetwork || pod_addresses.empty()) return out;
    const auto& address = pod_addresses.front();
    if (address.find(':') != std::string::npos) return out;   // IPv4 is what pods have here
    for (const auto* list : {&pod.spec.containers, &pod.spec.initContainers}) {
        for (const auto& container : *list) {
            for (const auto& port : container.ports) {
                if (port.hostPort == 0) continue;
                out.push_back({.protocol = port.protocol.empty() ? "tcp" : lower(port.protocol),
                               .host_address = port.hostIP == "0.0.0.0" ? "" : port.hostIP.str(),
                               .host_port = static_cast<uint16_t>(port.hostPort),
                               .pod_address = address,
                               .pod_port = static_cast<uint16_t>(port.containerPort)});
            }
        }
    }
    return out;
}

std::string host_port_rules(std::string_view cluster_id, const std::vector<HostPort>& ports) {
    const std::string table = concat("skiff-", cluster_id, "-hostports");
    std::string script = concat("add table ip ", table, "\ndelete table ip ", table, "\n");
    if (ports.empty()) return script;
    std::string rules;
    for (const auto& port : ports) {
        const std::string to = port.host_address.empty() ? "fib daddr type local"
                                                         : concat("ip daddr ", port.host_address);
        append(rules, "    ", to, " ", port.protocol, " dport ", port.host_port, " dnat to ",
               port.pod_address, ":", port.pod_port, "\n");
    }
    // What comes from the machine's loopback, or from the pod itself by way of the machine, must
    // find its way back: it gets the machine's address.
    append(script, "table ip ", table, " {\n  chain ports {\n", rules,
           "  }\n"
           "  chain prerouting {\n    type nat hook prerouting priority -100; policy accept;\n    "
           "jump ports\n  }\n"
           "  chain output {\n    type nat hook output priority -100; policy accept;\n    jump "
           "ports\n  }\n"
           "  chain postrouting {\n    type nat hook postrouting priority 99; policy accept;\n"
           "    ct status dnat ip saddr 127.0.0.0/8 masquerade\n");
    for (const auto& port : ports) {
        append(script, "    ct status dnat ip saddr ", port.pod_address, " ip daddr ",
               port.pod_address, " masquerade\n");
    }
    return script + "  }\n}\n";
}

Result<> HostPorts::set(const std::string& pod_uid, std::vector<HostPort> ports) {
    const std::lock_guard lock{mutex_};
    const auto known = all_.find(pod_uid);
    if (ports.empty() ? known == all_.end() : known != all_.end() && known->second == ports)
        return {};
    if (ports.empty())
        all_.erase(known);
    else
        all_[pod_uid] = std::move(ports);
    std::vector<HostPort> all;
    for (const auto& [uid, list] : all_) all.insert(all.end(), list.begin(), list.end());
    TRY(const auto done,
        run_command({"nft", "-f", "-"},
                    {.environment = {}, .input = host_port_rules(cluster_id_, all)}));
    if (done.exit_code == 0) return {};
    return fail(Reason::InternalError, concat("nft refused the host ports: ", trim(done.error)));
}

}   // namespace skiff::agent
