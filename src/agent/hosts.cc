#include "agent/hosts.h"

#include <algorithm>

#include "base/text.h"

namespace skiff::agent {

namespace {

constexpr size_t hostname_bytes_max = 63;
constexpr size_t dns_servers_max = 3;   // the resolver's own limit

std::string short_name(const Pod& pod) {
    std::string name = pod.spec.hostname.empty() ? pod.metadata.name : pod.spec.hostname;
    if (name.size() > hostname_bytes_max) name.resize(hostname_bytes_max);
    while (!name.empty() && (name.back() == '-' || name.back() == '.')) name.pop_back();
    return name;
}

std::string full_name(const Pod& pod, std::string_view cluster_domain) {
    if (pod.spec.subdomain.empty()) return {};
    return concat(short_name(pod), ".", pod.spec.subdomain, ".", pod.metadata.namespace_, ".svc.",
                  cluster_domain);
}

}   // namespace

std::string hosts_file(const Pod& pod, const std::vector<std::string>& pod_addresses,
                       std::string_view host_hosts, std::string_view cluster_domain) {
    std::string out;
    if (pod.spec.hostNetwork) {
        out = concat("# Kubernetes-managed hosts file (host network).\n", host_hosts);
    } else {
        out =
            "# Kubernetes-managed hosts file.\n"
            "127.0.0.1\tlocalhost\n"
            "::1\tlocalhost ip6-localhost ip6-loopback\n"
            "fe00::0\tip6-localnet\n"
            "fe00::0\tip6-mcastprefix\n"
            "fe00::1\tip6-allnodes\n"
            "fe00::2\tip6-allrouters\n";
        const std::string full = full_name(pod, cluster_domain);
        for (const auto& address : pod_addresses) {
            append(out, address, "\t", full, full.empty() ? "" : "\t", short_name(pod), "\n");
        }
    }
    if (pod.spec.hostAliases.empty()) return out;
    out += "\n# Entries added by HostAliases.\n";
    for (const auto& alias : pod.spec.hostAliases) {
        append(out, alias.ip, "\t", join(alias.hostnames, "\t"), "\n");
    }
    return out;
}

std::string pod_hostname(const Pod& pod, std::string_view cluster_domain) {
    if (pod.spec.hostNetwork) return {};
    if (pod.spec.setHostnameAsFQDN.value_or(false)) {
        if (std::string full = full_name(pod, cluster_domain); !full.empty()) return full;
    }
    return short_name(pod);
}

cri::DNSConfig parse_resolv_conf(std::string_view text) {
    cri::DNSConfig out;
    for (auto line : split(text, '\n')) {
        line = trim(line.substr(0, line.find_first_of("#;")));
        std::vector<std::string> words;
        size_t at = 0;
        while ((at = line.find_first_not_of(" \t", at)) != std::string_view::npos) {
            const size_t end = std::min(line.find_first_of(" \t", at), line.size());
            words.emplace_back(line.substr(at, end - at));
            at = end;
        }
        if (words.size() < 2) continue;
        const std::string key = words.front();
        words.erase(words.begin());
        if (key == "nameserver") out.servers.push_back(words.front());
        if (key == "search" || key == "domain") out.searches = words;
        if (key == "options") out.options = words;
    }
    return out;
}

cri::DNSConfig pod_dns(const Pod& pod, const DnsFacts& facts) {
    const auto& policy = pod.spec.dnsPolicy;
    const bool cluster = !facts.cluster_servers.empty() &&
                         (policy == "ClusterFirstWithHostNet" ||
                          ((policy == "ClusterFirst" || policy.empty()) && !pod.spec.hostNetwork));
    cri::DNSConfig out;
    if (cluster) {
        const auto& domain = facts.cluster_domain;
        out.servers = facts.cluster_servers;
        out.searches = {concat(pod.metadata.namespace_, ".svc.", domain), concat("svc.", domain),
                        domain};
        out.searches.insert(out.searches.end(), facts.host.searches.begin(),
                            facts.host.searches.end());
        out.options = {"ndots:5"};
    } else if (policy != "None") {
        out = facts.host;
    }
    if (!pod.spec.dnsConfig) return out;
    const auto& own = *pod.spec.dnsConfig;
    const auto add = [](std::vector<std::string>& list, const std::vector<std::string>& more) {
        for (const auto& one : more) {
            if (std::ranges::find(list, one) == list.end()) list.push_back(one);
        }
    };
    add(out.servers, own.nameservers);
    add(out.searches, own.searches);
    if (out.servers.size() > dns_servers_max) out.servers.resize(dns_servers_max);
    for (const auto& option : own.options) {
        const std::string text =
            option.value ? concat(option.name, ":", *option.value) : option.name;
        std::erase_if(out.options, [&](const std::string& known) {   // a later one wins
            return known.substr(0, known.find(':')) == option.name;
        });
        out.options.push_back(text);
    }
    return out;
}

}   // namespace skiff::agent
