// One cluster on this machine: where its files are and what was decided for it when it was made.
#pragma once

#include <string>
#include <vector>

#include "base/random.h"
#include "base/result.h"
#include "base/time.h"

namespace skiff::cmd {

inline constexpr std::string_view default_root = "/var/lib/skiff";

// What --root/cluster.json keeps; made once, by the first `up`.
struct Cluster {
    std::string root;          // absolute
    std::string id;            // 6 characters, in every name outside the root
    uint16_t port = 0;         // the API server's
    uint16_t agent_port = 0;   // the node agent's, 10250 where it is free
    std::string pod_cidr;
    std::string service_cidr;
    std::string node_name;
    std::string runtime_endpoint;     // a containerd the user runs; "" for our own
    std::string compat;               // "2017": what manifests of that time take for granted; or ""
    std::string legacy_versions;      // "off": what v1.33 dropped is not served; or ""
    uint16_t ingress_http_port = 0;   // both 0: no ingress controller of the cluster's own
    uint16_t ingress_https_port = 0;
    Duration certificate_life = std::chrono::hours{24 * 365};   // of all but the CA's

    bool has_ingress() const { return ingress_http_port != 0; }
    std::string ingress_folder() const { return path("ingress"); }
    std::string ingress_state() const { return path("run/ingress.state"); }   // a line for people
    std::string ingress_log() const { return path("log/ingress.log"); }
    std::string path(std::string_view below) const { return root + "/" + std::string{below}; }
    std::string admin_kubeconfig() const { return path("admin.kubeconfig"); }
    std::string database() const { return path("server/store.db"); }
    std::string containerd_socket() const;
    std::string supervisor_pid_file() const { return path("run/supervisor.pid"); }
    std::string context_name() const;   // "skiff", or "skiff-ID" for a root that is not the default
};

struct ClusterWishes {   // absent ones are chosen
    std::string root;
    uint16_t port = 0;
    std::string pod_cidr;
    std::string service_cidr;
    std::string node_name;
    std::string runtime_endpoint;
    std::string compat;   // "2017", or "off" to end it; may change between one `up` and the next
    std::string legacy_versions;    // "off" or "on"; may change as compat may
    std::string ingress_ports;      // "80,443" or "off"; may change as compat may
    std::string certificate_life;   // "2160h"; may change too
};

// NotFound when there is none at that root.
Result<Cluster> load_cluster(const std::string& root);
// Loads it, or makes it: free ports, ranges that no route of this machine uses. Conflict when a
// wish contradicts what the cluster was made with, Conflict too when a wished port is in use.
Result<Cluster> ensure_cluster(const ClusterWishes& wishes, Random& random);
bool port_is_free(uint16_t port);
std::string absolute_path(const std::string& path);
// The first usable address of a range: "10.96.0.0/12" gives "10.96.0.1". Invalid for a bad range.
Result<std::string> first_address(const std::string& cidr);

}   // namespace skiff::cmd
