#include "cmd/node_network.h"

#include "base/log.h"
#include "base/text.h"

namespace skiff::cmd {
namespace {

constexpr Duration release_time_max = 2s;
constexpr Duration admit_time_max = 5s;     // then the start is tried again
constexpr proxy::Address dns_number = 10;   // of the service range: src/dns serves there

Result<proxy::Cidr> range_of(const std::string& text) {
    const auto range = proxy::parse_cidr(text);
    if (range) return *range;
    return fail(Reason::Invalid, concat("'", text, "' is no range of IPv4 addresses"));
}

Result<proxy::ServiceRulesOptions> options_of(const Cluster& cluster) {
    proxy::ServiceRulesOptions options{.cluster_id = cluster.id,
                                       .node = {.name = cluster.node_name}};
    TRY(options.pod_range, range_of(cluster.pod_cidr));
    TRY(options.service_range, range_of(cluster.service_cidr));
    options.node.dns_address = options.service_range.address + dns_number;
    return options;
}

}   // namespace

NodeNetwork::NodeNetwork(const Cluster& cluster, Executor& executor, Random& random,
                         net::Loop& loop)
    : executor_{executor}, random_{random}, loop_{loop}, options_{options_of(cluster)} {}

Result<> NodeNetwork::make(client::Transport& transport) {
    TRY(const auto options, options_);
    TRY(own_proxy_, proxy::make_proxy(executor_, random_, loop_, transport, options));
    TRY(own_policies_,
        proxy::make_policies(executor_, random_, transport, options.cluster_id, options.node.name));
    own_proxy_->start();
    own_policies_->start();
    proxy_ = own_proxy_.get();
    policies_ = own_policies_.get();
    return {};
}

void NodeNetwork::begin(client::Transport& transport) {
    if (const auto made = make(transport); !made)
        log_error("services have no way to their pods here", {{"error", made.error().message}});
}

agent::NetworkHooks NodeNetwork::hooks() {
    return {.admit = [this](const agent::PodOnNetwork& pod) -> Result<> {
                auto* policies = policies_.load();
                if (!policies)
                    return fail(Reason::ServiceUnavailable, "the node has no network policies");
                return policies->admit({.name_space = pod.name_space, .name = pod.name}, pod.uid,
                                       pod.address, admit_time_max);
            },
            .release =
                [this](const std::string& pod_uid) {
                    const auto& clock = executor_.clock();
                    const MonoTime deadline = clock.monotonic() + release_time_max;
                    if (auto* proxy = proxy_.load())
                        proxy->wait_until_dropped(pod_uid, release_time_max);
                    if (also_release_) also_release_(pod_uid, deadline - clock.monotonic());
                }};
}

}   // namespace skiff::cmd
