#include "cmd/node_dns.h"

#include "base/ipv4.h"
#include "base/log.h"
#include "base/text.h"
#include "dns/loopback.h"
#include "net/listen.h"

namespace skiff::cmd {
namespace {

constexpr uint16_t dns_port = 53;
constexpr Duration retry_time = std::chrono::seconds{1};
constexpr Duration resolvers_age_max = std::chrono::seconds{5};
constexpr const char* resolv_conf = "/etc/resolv.conf";

dns::ServerOptions options_of(const Cluster& cluster) {
    dns::ServerOptions options;
    options.zone.own_address = parse_ipv4(dns_address(cluster)).value_or(0);
    for (const auto& text : {cluster.service_cidr, cluster.pod_cidr})
        if (const auto range = parse_ipv4_range(text)) options.zone.ranges.push_back(*range);
    // The host's resolvers may change under us (DHCP, VPNs): read again when somebody asks.
    struct Known {
        std::vector<dns::Resolver> resolvers;
        std::optional<MonoTime> read;
    };
    options.resolvers = [known = std::make_shared<Known>(), own = dns_address(cluster)] {
        const auto now = os_clock().monotonic();
        if (known->read && now - *known->read < resolvers_age_max) return known->resolvers;
        known->read = now;
        if (const auto text = read_file(resolv_conf)) {
            known->resolvers = dns::resolvers_of(*text);
            std::erase_if(known->resolvers,   // never in a circle
                          [&](const dns::Resolver& one) { return one.address == own; });
        }
        return known->resolvers;
    };
    return options;
}

}   // namespace

std::string dns_address(const Cluster& cluster) {
    const auto range = parse_ipv4_range(cluster.service_cidr);
    return range ? ipv4_text(range->base + 10) : std::string{};
}

NodeDns::NodeDns(const Cluster& cluster, Executor& executor, Random& random)
    : address_{dns_address(cluster)},
      executor_{executor},
      loop_{os_clock(), "dns-loop"},
      server_{options_of(cluster), executor, random, loop_.loop()} {}

Result<> NodeDns::try_open() {
    const auto number = parse_ipv4(address_);
    if (!number) return fail(Reason::Invalid, "the service range gives no address for DNS");
    TRY_OK(dns::add_to_loopback(*number));
    if (!udp_) {
        TRY(udp_, net::listen_udp(address_, dns_port));
        TRY(tcp_, net::listen_tcp(address_, dns_port));
    }
    server_.listen(std::move(udp_), std::move(tcp_));
    return {};
}

void NodeDns::open(Fd udp, Fd tcp) {
    if (udp && tcp) {
        udp_ = std::move(udp);
        tcp_ = std::move(tcp);
    }
    open();
}

void NodeDns::open() {
    const auto done = try_open();
    if (done) return log_info("DNS is served", {{"address", address_}});
    log_warn("DNS is not served yet", {{"error", done.error().message}});
    executor_.after(retry_time, [this] { open(); });
}

}   // namespace skiff::cmd
