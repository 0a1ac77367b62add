#include "cmd/server.h"

#include <algorithm>
#include <cstdio>

#include <sys/socket.h>

#include "apiserver/api_server.h"
#include "apiserver/default_objects.h"
#include "apiserver/default_policy.h"
#include "apiserver/event_expiry.h"
#include "base/ipv4.h"
#include "base/log.h"
#include "base/text.h"
#include "cmd/addresses.h"
#include "cmd/bootstrap_token.h"
#include "cmd/certificate_renewal.h"
#include "cmd/encryption.h"
#include "cmd/flags.h"
#include "cmd/pki.h"
#include "cmd/progress.h"
#include "cmd/server_audit.h"
#include "cmd/signals.h"
#include "controllers/controllers.h"
#include "net/listen.h"
#include "net/server.h"
#include "scheduler/scheduler.h"
#include "store/engine.h"

namespace skiff::cmd {
namespace {

constexpr auto drain_time = std::chrono::seconds{5};

const std::vector<FlagSpec> server_flags{
    {"root", "DIR", "all state of the cluster (default /var/lib/skiff)"},
    {"port", "PORT", "where the API is served (default: as the cluster was made, 6443)"},
    {"bind-address", "ADDRESS", "which address it listens on (default 0.0.0.0)"},
    {"listen-fd", "N", "an inherited listening socket instead"},
};

Result<std::unique_ptr<store::Store>> open_database(const Cluster& cluster, Executor& executor,
                                                    const store::StaleKeys& stale) {
    TRY_OK(make_directories(cluster.path("server"), 0700));
    TRY(auto engine, store::open_sqlite({.path = cluster.database(), .vfs = {}}));
    TRY(auto keys, ensure_encryption_keys(cluster, os_random()));
    engine =
        store::seal_engine(std::move(engine), secrets_cipher(std::move(keys), os_random()), stale);
    store::StoreOptions options;
    options.describe = &apiserver::ApiServer::describe;
    options.fatal = [](const Error& error) {
        log_error("the store's state on disk is not known any more; ending",
                  {{"error", error.message}});
        std::_Exit(70);
    };
    return store::open_store(std::move(engine), executor, std::move(options));
}

Result<Fd> listener_of(const Flags& flags, const Cluster& cluster) {
    const auto inherited = flags.text("listen-fd");
    if (inherited.empty()) {
        TRY(const auto port, flags.port("port", cluster.port));
        return net::listen_tcp(flags.text("bind-address", "0.0.0.0"), port);
    }
    const auto number = parse_number<int>(inherited);
    if (!number) return fail(Reason::Invalid, "--listen-fd must be a number");
    return Fd{*number};
}

apiserver::User component(std::string_view name) {
    apiserver::User user{.name = std::string{name}, .uid = {}, .groups = {}, .extra = {}};
    if (name == "system:apiserver") user.groups = {"system:masters"};   // the server itself
    if (name.starts_with("system:serviceaccount:"))
        user.groups = {"system:serviceaccounts", "system:serviceaccounts:kube-system"};
    return user;
}

// What a machine that would join must know: where the API is and who signs for it.
std::string cluster_info(const Pki& pki, std::string_view address) {
    return concat(
        "apiVersion: v1\nkind: Config\nclusters:\n- name: \"\"\n  cluster:\n    server: "
        "https://",
        address, "\n    certificate-authority-data: ", base64(pki.ca.certificate_pem),
        "\ncontexts: null\ncurrent-context: \"\"\npreferences: {}\nusers: null\n");
}

controllers::ControllersOptions controllers_options(apiserver::ApiServer& api,
                                                    const Cluster& cluster, const Pki& pki,
                                                    Clock& clock, uint16_t port) {
    controllers::ControllersOptions options;
    options.transport_as = [&api](std::string_view user) {
        return api.transport_as(component(user));
    };
    options.root_ca_pem = pki.ca.certificate_pem;
    options.automatic_token_secrets = cluster.compat == "2017";
    options.secret_token = [&api](const controllers::TokenSecretOf& of) {
        return api.secret_token({of.name_space, of.account, of.account_uid, of.secret});
    };
    if (const auto range = parse_ipv4_range(cluster.service_cidr))
        options.cluster_services = {.api_address = primary_address(),
                                    .api_port = port,
                                    .api_service_address = ipv4_text(range->base + 1),
                                    .dns_address = ipv4_text(range->base + 10)};
    options.sign = [&cluster, &pki, &clock](
                       const std::string& csr,
                       const controllers::CertificateUse& use) -> Result<std::string> {
        const auto now = clock.now();
        if (use.client_auth) TRY_OK(use_bootstrap_token(cluster));
        const auto life = std::min(use.life, cluster.certificate_life);
        return net::sign_csr(pki.ca, csr,
                             {.server_auth = use.server_auth,
                              .client_auth = use.client_auth,
                              .not_before = now - backdating(life),
                              .not_after = now + life});
    };
    options.inspect =
        [](const std::string& csr) -> Result<controllers::ControllersOptions::CsrFacts> {
        TRY(auto parsed, net::parse_csr(csr));
        return controllers::ControllersOptions::CsrFacts{
            .common_name = std::move(parsed.subject.common_name),
            .organizations = std::move(parsed.subject.organizations),
            .dns_names = std::move(parsed.subject.dns_names),
            .addresses = std::move(parsed.subject.addresses)};
    };
    return options;
}

Result<> serve(const Flags& flags) {
    TRY(const auto cluster, load_cluster(flags.text("root", default_root)));
    auto& clock = os_clock();
    auto& random = os_random();
    TRY(const auto pki, ensure_pki(cluster, clock));
    const auto executor = make_thread_pool(clock, {.threads_max = 16, .name = "server"});
    const auto stale = std::make_shared<std::set<std::string, std::less<>>>();
    TRY(const auto store, open_database(cluster, *executor, stale));
    TRY(const auto audit, open_audit(cluster, *executor, random));
    TRY(auto node_tls, net::make_client_tls(pki.ca.certificate_pem, pki.node_client.certificate_pem,
                                            pki.node_client.key_pem));
    apiserver::ApiServerOptions options{.service_account_key_pem = pki.service_account_key_pem,
                                        .service_cidr = cluster.service_cidr,
                                        .tokens = {},
                                        .node_tls = node_tls};
    options.external_address = concat(primary_address(), ":", cluster.port);
    options.legacy_versions = cluster.legacy_versions != "off";
    options.token_authenticators.push_back(bootstrap_authenticator(cluster, clock));
    options.node_addresses[cluster.node_name] = "127.0.0.1";
    apiserver::ApiServer api{*store, clock, random, *executor, std::move(options)};

    api.use_audit(audit);

    net::LoopThread first{clock, "api-loop-0"};
    net::LoopThread second{clock, "api-loop-1"};
    TRY(auto tls, net::make_server_tls(pki.server.certificate_pem, pki.server.key_pem,
                                       pki.ca.certificate_pem));
    ServerCertificates certificates{cluster, *executor, tls, node_tls};
    certificates.start(pki);
    TRY(auto listener, listener_of(flags, cluster));
    TRY(auto server, net::make_server({&first.loop(), &second.loop()}, std::move(listener), tls,
                                      api.handler(), {}));
    if (const auto done = reseal(*executor, *store, *stale); !done)
        log_error("not every Secret is sealed anew", {{"error", done.error().message}});
    api.set_usage_fetch(apiserver::fetch_usage_over(first.loop()));
    api.set_ready(true);
    log_info("the API is served",
             {{"port", server->port()}, {"revision", store->revision().value}});

    // Before anyone works with them; a cluster that has them all reads them only.
    const auto self = api.transport_as(component("system:apiserver"));
    client::Client policy{*executor, *self, "skiff"};
    if (const auto done =
            apiserver::ensure_default_policy(policy, {.compat_2017 = cluster.compat == "2017"});
        !done)
        log_error("the default roles are not complete", {{"error", done.error().message}});
    const apiserver::DefaultObjects objects{
        .client_ca_pem = pki.ca.certificate_pem,
        .cluster_info = cluster_info(pki, concat(primary_address(), ":", server->port()))};
    if (const auto done = apiserver::ensure_default_objects(policy, objects); !done)
        log_error("the default objects are not complete", {{"error", done.error().message}});

    auto controllers = controllers::make_controllers(
        *executor, random, controllers_options(api, cluster, pki, clock, server->port()));
    const auto scheduler_transport = api.transport_as(component("system:kube-scheduler"));
    auto scheduler = scheduler::make_scheduler(*executor, random, *scheduler_transport);
    apiserver::EventExpiry event_expiry{api.registry()};
    event_expiry.start();
    api.registry().quotas().start();
    controllers->start();
    scheduler->start();

    const int signal = wait_for_end_signal();
    log_info("ending", {{"signal", signal}});
    api.set_ready(false);
    api.set_usage_fetch({});
    scheduler.reset();
    controllers.reset();
    const auto drained = executor->make_waiter();
    server->drain(drain_time, [drained] { drained->notify(); });
    drained->wait_until(clock.monotonic() + drain_time + std::chrono::seconds{1});
    server.reset();
    return {};
}

}   // namespace

int run_server(const std::vector<std::string>& arguments) {
    block_end_signals();
    const auto flags = Flags::parse(arguments, server_flags);
    if (!flags) return complain(flags.error().message);
    const auto done = serve(*flags);
    if (done) return 0;
    log_error("the server cannot go on", {{"error", done.error().message}});
    std::fprintf(stderr, "skiff server: %s\n", done.error().message.c_str());
    return 1;
}

}   // namespace skiff::cmd
