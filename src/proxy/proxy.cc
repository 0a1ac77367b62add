#include "proxy/proxy.h"

#include <set>

#include "base/log.h"
#include "base/text.h"
#include "client/informer.h"
#include "proxy/dropped_endpoints.h"
#include "proxy/flows.h"
#include "proxy/kernel_table.h"

namespace skiff::proxy {

namespace {

constexpr Duration look_period = 30s;   // whether the tables are still there
constexpr Duration retry = 1s;
constexpr std::string_view zone_label = "topology.kubernetes.io/zone";

template <class V>
client::ObjectKey key_of(const V& object) {
    return {.name_space = object.metadata.namespace_.str(), .name = object.metadata.name};
}

client::InformerOptions only(const std::string& node) {
    return {.name_space = {},
            .query = {.label_selector = {}, .field_selector = concat("metadata.name=", node)}};
}

class ProxyOfNode final : public Proxy {
  public:
    ProxyOfNode(Executor& executor, Random& random, net::Loop& loop, client::Transport& transport,
                ServiceRulesOptions options, NetfilterSocket socket)
        : node_name_{options.node.name},
          dropped_{executor},
          socket_{std::move(socket)},
          rules_{std::move(options)},
          table_{
              socket_, rules_.rules(),
              [this](NetfilterSocket& from) { return kept_clients(from, rules_.rules().table()); }},
          health_{loop},
          services_{executor, random, transport},
          slices_{executor, random, transport},
          node_{executor, random, transport, only(node_name_)},
          strand_{executor} {}

    ~ProxyOfNode() override {
        services_.stop();
        slices_.stop();
        node_.stop();
        strand_.close();
    }

    void start() override {
        services_.on_change([this](const auto& old, const auto& now) {
            strand_.post([this, key = key_of(now ? *now : *old), now] {
                rules_.set_service(key, now);
                changed();
            });
        });
        slices_.on_change([this](const auto& old, const auto& now) {
            strand_.post([this, key = key_of(now ? *now : *old), now] {
                rules_.set_slice(key, now);
                pending_slices_[key] = now;
                changed();
            });
        });
        node_.on_change([this](const auto&, const auto& now) {
            if (!now || now->metadata.name != node_name_) return;
            strand_.post([this, zone = now->metadata.labels.get(zone_label).str()] {
                rules_.set_zone(zone);
                changed();
            });
        });
        const auto known = [this] { strand_.post([this] { synced(); }); };
        services_.on_synced(known);
        slices_.on_synced(known);
        node_.on_synced(known);
        services_.start();
        slices_.start();
        node_.start();
    }

    void wait_until_dropped(const std::string& pod_uid, Duration timeout) override {
        dropped_.wait(pod_uid, timeout);
    }

  private:
    void synced() {
        if (++synced_ < 3) return;
        ready_ = true;
        commit();
        strand_.after(look_period, [this] { look(); });
    }

    // What comes in a burst goes out at once: behind what is queued already.
    void changed() {
        if (!ready_ || committing_) return;
        committing_ = true;
        strand_.post([this] { commit(); });
    }

    void commit() {
        committing_ = false;
        const auto done = table_.commit();
        if (!done) {
            log_error("the rules of services are not in force", {{"error", done.error().message}});
            strand_.after(retry, [this] { changed(); });
            return;
        }
        if (const auto gen = generation(socket_)) generation_ = *gen;
        forget_what_is_gone();
        for (const auto& [service, health] : rules_.take_health_ports())
            health_.set(service, health);
        for (const auto& [key, slice] : std::exchange(pending_slices_, {}))
            dropped_.in_force(key, slice.get());
        if (!std::exchange(begun_, true)) dropped_.begun();
    }

    void forget_what_is_gone() {
        const auto stale = rules_.take_stale_flows();
        const auto clients = forget_clients(socket_, rules_.rules().table(), stale);
        const auto connections = forget_connections(socket_, stale);
        for (const auto* done : {&clients, &connections})
            if (!*done)
                log_warn("old connections are not forgotten", {{"error", done->error().message}});
    }

    // Somebody may have flushed all tables of the machine.
    void look() {
        const auto gen = generation(socket_);
        if (gen && *gen != generation_) {
            generation_ = *gen;
            if (table_.lost()) {
                log_warn("the rules of services were removed; they are made anew", {});
                commit();
            }
        }
        health_.try_again();
        strand_.after(look_period, [this] { look(); });
    }

    const std::string node_name_;
    DroppedEndpoints dropped_;
    // On the strand.
    NetfilterSocket socket_;
    ServiceRules rules_;
    KernelTable table_;
    HealthChecks health_;
    std::map<client::ObjectKey, SharedSlice> pending_slices_;   // not in force yet
    uint32_t generation_ = 0;
    unsigned synced_ = 0;
    bool ready_ = false;
    bool committing_ = false;
    bool begun_ = false;

    client::Informer<view::Service> services_;
    client::Informer<view::EndpointSlice> slices_;
    client::Informer<view::Node> node_;
    Strand strand_;
};

}   // namespace

Result<std::unique_ptr<Proxy>> make_proxy(Executor& executor, Random& random, net::Loop& loop,
                                          client::Transport& transport,
                                          ServiceRulesOptions options) {
    TRY(auto socket, NetfilterSocket::open());
    return std::make_unique<ProxyOfNode>(executor, random, loop, transport, std::move(options),
                                         std::move(socket));
}

}   // namespace skiff::proxy
