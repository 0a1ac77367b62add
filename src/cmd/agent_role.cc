#include "cmd/agent_role.h"

#include <cstdio>
#include <cstdlib>

#include "agent/agent.h"
#include "base/log.h"
#include "base/text.h"
#include "cmd/addresses.h"
#include "cmd/bootstrap_token.h"
#include "cmd/cluster.h"
#include "cmd/flags.h"
#include "cmd/node_dns.h"
#include "cmd/node_ingress.h"
#include "cmd/node_network.h"
#include "cmd/node_storage.h"
#include "cmd/progress.h"
#include "cmd/signals.h"
#include "net/listen.h"
#include "net/server.h"

namespace skiff::cmd {
namespace {

const std::vector<FlagSpec> agent_flags{
    {"root", "DIR", "all state of the cluster (default /var/lib/skiff)"},
    {"bind-address", "ADDRESS", "which address the node's port listens on (default 127.0.0.1)"},
    {"listen-fd", "N", "an inherited listening socket instead"},
    {"dns-fds", "N,N", "inherited sockets of the cluster's DNS: UDP, TCP"},
};

Result<Fd> node_listener(const Flags& flags, const Cluster& cluster) {
    const auto inherited = flags.text("listen-fd");
    if (inherited.empty())
        return net::listen_tcp(flags.text("bind-address", "127.0.0.1"), cluster.agent_port);
    const auto number = parse_number<int>(inherited);
    if (!number) return fail(Reason::Invalid, "--listen-fd must be a number");
    return Fd{*number};
}

std::pair<Fd, Fd> dns_sockets(const Flags& flags) {
    const auto text = flags.text("dns-fds");
    const auto [udp, tcp] = cut(text, ',');
    const auto first = parse_number<int>(udp);
    const auto second = tcp ? parse_number<int>(*tcp) : std::nullopt;
    if (!first || !second) return {};
    return {Fd{*first}, Fd{*second}};
}

Result<agent::AgentOptions> agent_options(const Flags& flags, const Cluster& cluster) {
    agent::AgentOptions options{.root = cluster.root,
                                .cluster_id = cluster.id,
                                .node_name = cluster.node_name,
                                .pod_cidr = cluster.pod_cidr,
                                .api_port = cluster.port,
                                .runtime_socket = cluster.containerd_socket(),
                                .own_runtime = cluster.runtime_endpoint.empty()};
    options.addresses = machine_addresses();
    if (options.addresses.empty()) options.addresses.emplace_back("127.0.0.1");
    TRY(options.ca_pem, read_file(cluster.path("server/pki/ca.crt")));
    options.bootstrap_token = [cluster] {
        const auto token = load_bootstrap_token(cluster);
        return token ? token->token : std::string{};   // a used one still reads what it asked for
    };
    TRY(options.listener, node_listener(flags, cluster));
    return options;
}

Result<> serve(const Flags& flags) {
    TRY(const auto cluster, load_cluster(flags.text("root", default_root)));
    TRY(auto options, agent_options(flags, cluster));
    auto& clock = os_clock();
    const auto executor = make_thread_pool(clock, {.threads_max = 256, .name = "agent"});
    net::LoopThread loop{clock, "agent-loop"};
    NodeNetwork network{cluster, *executor, os_random(), loop.loop()};
    NodeDns dns{cluster, *executor, os_random()};
    auto [dns_udp, dns_tcp] = dns_sockets(flags);
    dns.open(std::move(dns_udp), std::move(dns_tcp));
    options.cluster_dns = {dns_address(cluster)};
    ComponentCertificates certificates{cluster, *executor};
    const auto ingress = start_ingress(cluster, certificates, *executor, os_random(), loop.loop());
    if (ingress)
        network.also_release([&ingress](const std::string& pod_uid, Duration timeout) {
            ingress->wait_until_dropped(pod_uid, timeout);
        });
    const auto storage = start_storage(cluster, certificates, *executor, os_random(), loop.loop());
    options.network = network.hooks();
    options.identified = [&network, &dns](client::Transport& transport) {
        network.begin(transport);
        dns.begin(transport);
    };
    agent::Agent agent{std::move(options), os_random(), *executor, loop.loop()};
    executor->post([&agent] {
        const auto done = agent.start();
        if (done) return;
        log_error("the agent cannot go on", {{"error", done.error().message}});
        std::_Exit(1);   // the supervisor tries again
    });
    const int signal = wait_for_end_signal();
    log_info("ending", {{"signal", signal}});
    // Nothing has to be finished: containers go on and the next agent adopts them, exactly as after
    // a kill; waiting here for those being ended would take as long as their grace.
    std::_Exit(0);
}

}   // namespace

int run_agent(const std::vector<std::string>& arguments) {
    block_end_signals();
    const auto flags = Flags::parse(arguments, agent_flags);
    if (!flags) return complain(flags.error().message);
    const auto done = serve(*flags);
    if (done) return 0;
    log_error("the agent cannot go on", {{"error", done.error().message}});
    return complain(done.error().message);
}

}   // namespace skiff::cmd
