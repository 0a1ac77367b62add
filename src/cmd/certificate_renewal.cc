#include "cmd/certificate_renewal.h"

#include <algorithm>

#include "base/log.h"
#include "base/os.h"
#include "cmd/kubeconfig.h"

namespace skiff::cmd {
namespace {

constexpr Duration longest_wait = 1h;   // a clock that was set is noticed by then
constexpr Duration shortest_wait = 1s;

// How often to look whether a certificate is there that should be: many times in what is left.
Duration look_again(const Cluster& cluster) {
    return std::clamp<Duration>(cluster.certificate_life / 50, shortest_wait, longest_wait);
}

}   // namespace

ServerCertificates::ServerCertificates(const Cluster& cluster, Executor& executor,
                                       std::shared_ptr<net::TlsContext> serving,
                                       std::shared_ptr<net::TlsContext> to_nodes)
    : cluster_{cluster},
      serving_{std::move(serving)},
      to_nodes_{std::move(to_nodes)},
      strand_{executor} {}

void ServerCertificates::start(const Pki& current) { plan(current.renew_at); }

void ServerCertificates::plan(WallTime at) {
    const Duration left = at - strand_.executor().clock().now();
    strand_.after(std::clamp(left, shortest_wait, longest_wait), [this, at] {
        if (strand_.executor().clock().now() < at) return plan(at);
        renew();
    });
}

void ServerCertificates::renew() {
    auto& clock = strand_.executor().clock();
    const auto use = [&](const Pki& pki) -> Result<> {
        TRY_OK(serving_->use(pki.server.certificate_pem, pki.server.key_pem));
        TRY_OK(to_nodes_->use(pki.node_client.certificate_pem, pki.node_client.key_pem));
        return write_file_atomic(cluster_.admin_kubeconfig(), kubeconfig_text(cluster_, pki), 0600);
    };
    const auto pki = ensure_pki(cluster_, clock);
    const auto used = pki ? use(*pki) : std::unexpected{pki.error()};
    if (!used) {
        log_error("certificates are not renewed", {{"error", used.error().message}});
        return plan(clock.now() + look_again(cluster_));
    }
    log_info("certificates are renewed");
    plan(pki->renew_at);
}

ComponentCertificates::ComponentCertificates(const Cluster& cluster, Executor& executor)
    : cluster_{cluster}, strand_{executor} {}

Result<std::shared_ptr<net::TlsContext>> ComponentCertificates::tls_for(
    const std::string& account) {
    TRY(const auto ca, cluster_ca(cluster_));
    TRY(const auto pair, component_certificate(cluster_, account));
    const auto followed = std::make_shared<Followed>();
    followed->account = account;
    TRY(followed->tls, net::make_client_tls(ca, pair.certificate_pem, pair.key_pem));
    followed->certificate_pem = pair.certificate_pem;
    strand_.post([this, followed] { look(followed); });
    return followed->tls;
}

void ComponentCertificates::look(const std::shared_ptr<Followed>& followed) {
    const auto pair = component_certificate(cluster_, followed->account);
    if (!pair) {
        log_warn("no certificate to renew with",
                 {{"account", followed->account}, {"error", pair.error().message}});
    } else if (pair->certificate_pem != followed->certificate_pem) {
        const auto used = followed->tls->use(pair->certificate_pem, pair->key_pem);
        if (used)
            followed->certificate_pem = pair->certificate_pem;
        else   // half of it was new: the other half comes
            log_warn("a new certificate is not usable",
                     {{"account", followed->account}, {"error", used.error().message}});
    }
    strand_.after(look_again(cluster_), [this, followed] { look(followed); });
}

}   // namespace skiff::cmd
