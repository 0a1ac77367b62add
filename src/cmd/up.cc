#include "cmd/up.h"

#include <cstdlib>

#include <sys/statvfs.h>
#include <unistd.h>

#include "agent/containerd_config.h"
#include "base/os.h"
#include "base/text.h"
#include "cmd/api_probe.h"
#include "cmd/bootstrap_token.h"
#include "cmd/cluster.h"
#include "cmd/flags.h"
#include "cmd/kubeconfig.h"
#include "cmd/leftovers.h"
#include "cmd/node_dns.h"
#include "cmd/node_files.h"
#include "cmd/pki.h"
#include "cmd/process.h"
#include "cmd/progress.h"
#include "cmd/supervisor_program.h"

namespace skiff::cmd {
namespace {

constexpr auto supervisor_time = std::chrono::seconds{30};
constexpr auto api_time = std::chrono::seconds{30};
constexpr auto node_time = std::chrono::seconds{60};
constexpr uint64_t disk_bytes_min = 200u << 20;

const std::vector<FlagSpec> up_flags{
    {"root", "DIR", "all state of the cluster (default /var/lib/skiff)"},
    {"port", "PORT", "the API server's port (default 6443, or the next free one)"},
    {"pod-cidr", "RANGE", "the pods' addresses (default 10.244.0.0/16, or the next free one)"},
    {"service-cidr", "RANGE",
     "the services' addresses (default 10.96.0.0/16, or the next free one)"},
    {"node-name", "NAME", "this machine's name in the cluster (default its host name)"},
    {"container-runtime-endpoint", "SOCKET", "a containerd that you run, instead of our own"},
    {"compat", "2017",
     "service accounts of `default` and `kube-system` may read services, endpoints, ingresses, "
     "pods, nodes and config maps, as manifests of 2017 expect; "
     "`off` ends it"},
    {"legacy-versions", "off",
     "serve only what v1.33 serves: extensions/v1beta1, apps/v1beta2, … are unknown; `on` ends it"},
    {"ingress-ports", "HTTP,HTTPS", "where ingresses are served, or off (default 80,443)"},
    {"certificate-life", "DURATION",
     "of each certificate, renewed when a third of it is left (default 8760h)"},
};

Result<> check_machine(const std::string& root, bool with_ingress) {
    if (::geteuid() != 0) return fail(Reason::Forbidden, "up must be run as root: sudo skiff up");
    struct Program {
        const char* name;
        const char* package;
    };
    for (const auto& program : {Program{"containerd", "containerd"}, Program{"runc", "runc"},
                                Program{"nft", "nftables"}}) {
        if (auto found = run_command({"sh", "-c", concat("command -v ", program.name)});
            !found || found->exit_code != 0)
            return fail(Reason::NotFound,
                        concat(program.name, " is missing on this machine: apt-get install ",
                               program.package));
    }
    if (with_ingress) {
        const auto found = run_command({"sh", "-c", "command -v nginx"});
        if (!found || found->exit_code != 0 ||
            !file_exists("/usr/lib/nginx/modules/ngx_http_lua_module.so"))
            return fail(Reason::NotFound,
                        "nginx or its Lua is missing on this machine: apt-get install nginx-light "
                        "libnginx-mod-http-lua, or say --ingress-ports off");
    }
    if (!file_exists("/usr/lib/cni/ptp"))
        return fail(Reason::NotFound,
                    "the CNI plugins are missing on this machine: apt-get install "
                    "containernetworking-plugins");
    if (auto made = make_directories(root); !made)
        return std::unexpected{std::move(made).error().in(concat("--root ", root))};
    struct statvfs disk {};
    if (::statvfs(root.c_str(), &disk) == 0 &&
        uint64_t{disk.f_bavail} * disk.f_frsize < disk_bytes_min) {
        return fail(
            Reason::ServiceUnavailable,
            concat("the disk of ", root, " has only ",
                   uint64_t{disk.f_bavail} * disk.f_frsize >> 20,
                   " MiB left, a cluster needs 200 at least; free some, or use another --root"));
    }
    return {};
}

// The end of a part's log, for an error that a person reads.
std::string last_lines(const std::string& path, size_t count) {
    const auto text = read_file(path);
    if (!text) return {};
    auto lines = split(trim(*text), '\n');
    if (lines.size() > count)
        lines.erase(lines.begin(), lines.end() - static_cast<std::ptrdiff_t>(count));
    std::string out;
    for (const auto line : lines) append(out, "\n    ", line);
    return out;
}

Result<> start_supervisor(const Cluster& cluster) {
    TRY_OK(make_directories(cluster.path("log"), 0750));
    TRY_OK(make_directories(cluster.path("run"), 0755));
    TRY_OK(make_directories(cluster.path("bin"), 0755));
    const auto program = cluster.path("bin/skiff-supervisor");
    TRY_OK(write_file_atomic(program, supervisor_program(), 0755, Sync::No));
    std::vector<std::string> arguments{program,
                                       concat("--root=", cluster.root),
                                       concat("--skiff=", own_executable()),
                                       concat("--port=", cluster.port),
                                       concat("--agent-port=", cluster.agent_port),
                                       concat("--dns-address=", dns_address(cluster))};
    if (cluster.runtime_endpoint.empty())
        arguments.push_back(
            concat("--containerd-config=", agent::containerd_paths(cluster.root).config));
    SpawnOptions options{.arguments = std::move(arguments),
                         .environment = {},
                         .log_path = cluster.path("log/supervisor.log"),
                         .descriptors = {},
                         .pid_file = {}};
    TRY(const auto pid, spawn(options));
    TRY(const auto process, open_process(pid));
    const auto taken = [&] {
        return running(cluster.supervisor_pid_file()).has_value() ||
               wait_for_exit(process, Duration::zero());
    };
    ApiProbe::wait_until(taken, supervisor_time);
    if (running(cluster.supervisor_pid_file())) return {};
    return fail(Reason::InternalError, concat("the supervisor did not start; its log ends:",
                                              last_lines(options.log_path, 3)));
}

Result<> wait_for_cluster(const Cluster& cluster, ApiProbe& probe, Progress& progress) {
    progress.begin("API server");
    if (!ApiProbe::wait_until([&] { return probe.ready(); }, api_time)) {
        return fail(Reason::Timeout,
                    concat("the API server did not answer within 30 s; its log ends:",
                           last_lines(cluster.path("log/server.log"), 5)));
    }
    progress.done("ready");
    progress.begin(concat("node ", cluster.node_name));
    const auto ready = [&] { return probe.node_ready(cluster.node_name).value_or(false); };
    if (!ApiProbe::wait_until(ready, node_time)) {
        return fail(Reason::Timeout, concat("node ", cluster.node_name,
                                            " was not Ready within 60 s; the agent's log ends:",
                                            last_lines(cluster.path("log/agent.log"), 5)));
    }
    progress.done("Ready");
    return {};
}

void tell_caller(const Cluster& cluster, const Pki& pki, Progress& progress) {
    const auto who = caller();
    if (!who) return progress.say(concat("kubeconfig: ", cluster.admin_kubeconfig()));
    if (const auto path = merge_context(*who, cluster, pki); path)
        progress.say(concat("kubectl: context '", cluster.context_name(), "' is in ", *path));
    else
        progress.say(concat("kubectl: ", path.error().message, "; use --kubeconfig ",
                            cluster.admin_kubeconfig()));
}

Result<> up(const Flags& flags) {
    Progress progress{os_clock()};
    const auto root = absolute_path(flags.text("root", default_root));
    const auto known = load_cluster(root);
    TRY_OK(
        check_machine(root, known ? known->has_ingress() : flags.text("ingress-ports") != "off"));
    ClusterWishes wishes{.root = root,
                         .pod_cidr = flags.text("pod-cidr"),
                         .service_cidr = flags.text("service-cidr"),
                         .node_name = flags.text("node-name"),
                         .runtime_endpoint = flags.text("container-runtime-endpoint"),
                         .compat = flags.text("compat"),
                         .legacy_versions = flags.text("legacy-versions"),
                         .ingress_ports = flags.text("ingress-ports"),
                         .certificate_life = flags.text("certificate-life")};
    TRY(wishes.port, flags.port("port", 0));
    TRY(auto machine, lock_machine());
    TRY(const auto cluster, ensure_cluster(wishes, os_random()));
    TRY(const auto pki, ensure_pki(cluster, os_clock()));
    TRY_OK(write_file_atomic(cluster.admin_kubeconfig(), kubeconfig_text(cluster, pki), 0600));
    TRY(const auto probe, ApiProbe::make(cluster, pki));
    if (running(cluster.supervisor_pid_file())) {
        if (probe->ready() && probe->node_ready(cluster.node_name).value_or(false)) {
            // An `up` that was interrupted may not have come to the context, and it ages.
            const auto who = caller();
            if (who && !has_context(*who, cluster, pki)) tell_caller(cluster, pki, progress);
            progress.say(concat("The cluster at ", root, " is up already; nothing was changed."));
            return {};
        }
        progress.say(concat("The cluster at ", root, " is starting already; waiting for it."));
    } else {
        progress.say(concat("Starting the cluster ", cluster.id, " at ", root, " (API port ",
                            cluster.port, ")"));
        if (cluster.has_ingress() && !known &&
            (cluster.ingress_http_port != 80 || cluster.ingress_https_port != 443))
            progress.say(concat("Ingresses are served on the ports ", cluster.ingress_http_port,
                                " and ", cluster.ingress_https_port, "."));
        TRY_OK(write_node_files(cluster));
        TRY(const auto token, make_bootstrap_token(cluster, os_clock(), os_random()));
        TRY_OK(start_supervisor(cluster));
    }
    machine = {};
    TRY_OK(wait_for_cluster(cluster, *probe, progress));
    tell_caller(cluster, pki, progress);
    progress.say(concat("The cluster is up after ", seconds_text(progress.total()), "."));
    return {};
}

}   // namespace

int run_up(const std::vector<std::string>& arguments) {
    const auto flags = Flags::parse(arguments, up_flags);
    if (!flags) return complain(flags.error().message);
    if (const auto done = up(*flags); !done) return complain(done.error().message);
    return 0;
}

}   // namespace skiff::cmd
