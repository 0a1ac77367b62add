#include "agent/agent.h"

#include <algorithm>
#include <atomic>

#include "agent/container_events.h"
#include "agent/identity.h"
#include "agent/image_collector.h"
#include "agent/imported_images.h"
#include "agent/log_rotation.h"
#include "agent/node_reporter.h"
#include "agent/pods.h"
#include "agent/server.h"
#include "base/guarded.h"
#include "base/log.h"
#include "base/text.h"
#include "client/https_transport.h"
#include "net/listen.h"
#include "net/server.h"

namespace skiff::agent {

namespace {

constexpr Duration retry_first = 20ms;
constexpr Duration retry_most = 1s;

}   // namespace

class Agent::Core {
  public:
    Core(AgentOptions options, Random& random, Executor& executor, net::Loop& loop)
        : options_{std::move(options)},
          random_{random},
          executor_{executor},
          loop_{loop},
          grpc_{net::make_grpc_client(executor, loop, {.unix_path = options_.runtime_socket})},
          cri_{make_cri(*grpc_)},
          strand_{executor} {}

    ~Core() {
        stopping_ = true;
        server_.reset();
        follow_.reset();
        informer_.reset();
        reporter_.reset();
    }

    Result<> start() {
        read_node();
        // The runtime starts by itself meanwhile: two waits at once.
        const auto runtime = executor_.make_waiter();
        executor_.post([this, runtime] {
            wait_for_runtime();
            runtime->notify();
        });
        TRY_OK(get_identity());
        if (options_.identified) options_.identified(*transport_);
        make_parts();
        const auto reported = executor_.make_waiter();
        begin_reporting(reported);
        begin_pods();
        // A serving certificate is given for the addresses that the API knows of the node.
        reported->wait();
        TRY_OK(serve());
        runtime->wait();
        return {};
    }

    void stop() { stopping_ = true; }

  private:
    // ---- identity ------------------------------------------------------------------------------

    IdentityOptions identity_options() const {
        return {.folder = options_.root + "/agent/pki",
                .node_name = options_.node_name,
                .addresses = server_addresses()};
    }
    std::vector<std::string> server_addresses() const {
        auto addresses = options_.addresses;
        if (std::ranges::find(addresses, "127.0.0.1") == addresses.end())
            addresses.push_back("127.0.0.1");
        return addresses;
    }
    net::Endpoint api(std::shared_ptr<net::TlsContext> tls) const {
        return {.host = options_.api_host, .port = options_.api_port, .tls = std::move(tls)};
    }
    std::unique_ptr<client::Transport> transport_with(std::shared_ptr<net::TlsContext> tls,
                                                      std::string token) {
        client::HttpsOptions https;
        https.servers = {api(std::move(tls))};
        https.user_agent = concat("skiff-agent/", options_.version);
        if (!token.empty()) https.bearer_token = [token = std::move(token)] { return token; };
        return client::make_https_transport(loop_, std::move(https));
    }

    Result<> get_identity() {
        auto own =
            load_certificate(identity_options(), CertificateKind::Client, executor_.clock().now());
        if (!own) {
            TRY(own, bootstrap());
        }
        TRY(client_tls_, net::make_client_tls(options_.ca_pem, own->certificate_pem, own->key_pem));
        transport_ = transport_with(client_tls_, "");
        client_ = std::make_unique<client::Client>(executor_, *transport_, "kubelet");
        plan_renewal(CertificateKind::Client, own->certificate_pem);
        return {};
    }

    // The one time that a token is used. Waits for an API that is not there yet.
    Result<net::KeyPair> bootstrap() {
        Duration wait = retry_first;
        for (;;) {
            const std::string token = options_.bootstrap_token ? options_.bootstrap_token() : "";
            Result<net::KeyPair> got =
                fail(Reason::Unauthorized, "there is no bootstrap token and no certificate");
            if (!token.empty()) {
                TRY(auto tls, net::make_client_tls(options_.ca_pem));
                const auto transport = transport_with(std::move(tls), token);
                client::Client client{executor_, *transport, "kubelet"};
                got = request_certificate(identity_options(), CertificateKind::Client, client);
            }
            if (got || stopping_) return got;
            if (wait >= retry_most)
                log_warn("no certificate yet", {{"error", got.error().message}});
            pause(wait);
            wait = std::min(wait * 2, retry_most);
        }
    }

    void plan_renewal(CertificateKind kind, const std::string& certificate_pem) {
        const auto at = renewal_time(certificate_pem);
        const Duration delay =
            at ? std::max<Duration>(*at - executor_.clock().now(), 1s) : Duration{1h};
        strand_.after(delay, [this, kind] { renew(kind); });
    }

    void renew(CertificateKind kind) {
        const auto fresh = request_certificate(identity_options(), kind, *client_);
        if (!fresh) {
            log_warn("certificate not renewed", {{"error", fresh.error().message}});
            strand_.after(1min, [this, kind] { renew(kind); });
            return;
        }
        auto& tls = kind == CertificateKind::Client ? client_tls_ : server_tls_;
        if (const auto used = tls->use(fresh->certificate_pem, fresh->key_pem); !used) {
            log_error("renewed certificate not usable", {{"error", used.error().message}});
        }
        plan_renewal(kind, fresh->certificate_pem);
    }

    // ---- the runtime ---------------------------------------------------------------------------

    void pause(Duration time) {
        executor_.make_waiter()->wait_until(executor_.clock().monotonic() + time);
    }

    void wait_for_runtime() {
        Duration wait = retry_first;
        while (!stopping_) {
            const auto ready = cri_->version();
            if (ready) {
                if (!options_.own_runtime) return;
                const auto image = ensure_pause_image(executor_, *cri_, options_.runtime_socket,
                                                      options_.root + "/agent");
                if (image) return;
                log_warn("pause image not made", {{"error", image.error().message}});
            }
            pause(wait);
            wait = std::min(wait * 2, retry_most);
        }
    }

    // ---- what the pods need --------------------------------------------------------------------

    void read_node() {
        const auto machine = read_machine(options_.root);
        node_.cluster_id = options_.cluster_id;
        node_.node_name = options_.node_name;
        node_.log_root = options_.log_root;
        node_.seccomp_folder = options_.root + "/agent/seccomp";
        node_.addresses = {
            options_.addresses.begin(),
            options_.addresses.begin() + std::min<long>(1, std::ssize(options_.addresses))};
        node_.dns.host = parse_resolv_conf(read_file("/etc/resolv.conf").value_or(""));
        node_.dns.cluster_servers = options_.cluster_dns;
        node_.dns.cluster_domain = options_.cluster_domain;
        node_.host_hosts = read_file("/etc/hosts").value_or("");
        node_.memory_bytes = machine.memory_bytes;
        node_.allocatable_cpu_milli = machine.cpus * 1000;
        node_.allocatable_memory_bytes = machine.memory_bytes;
    }

    void make_parts() {
        images_ = std::make_unique<Images>(executor_, *cri_, imported_images_path(options_.root));
        collector_ = std::make_unique<ImageCollector>(*cri_, imported_images_path(options_.root),
                                                      disk_space);
        configs_ = watch_configs(executor_, random_, *transport_);
        pod_api_ = make_pod_api(*client_);
        events_ = make_event_recorder(executor_, *transport_, options_.node_name);
        checks_ = std::make_unique<Checks>(executor_, loop_, *cri_);
        hooks_ = std::make_unique<HookRunner>(*checks_);
        pods_ = std::make_unique<Pods>(
            PodParts{executor_, *cri_, *images_, *configs_, *pod_api_, *events_, *hooks_, cgroups_,
                     host_ports_, node_, options_.root, options_.network},
            *checks_, [this](const std::string& id) { followers_.ended(id); });
    }

    void begin_reporting(const std::shared_ptr<Waiter>& reported) {
        NodeIdentity identity{.name = options_.node_name,
                              .addresses = node_.addresses,
                              .pod_cidr = options_.pod_cidr,
                              .labels = options_.labels,
                              .version = options_.version};
        if (const auto port = net::port_of(options_.listener)) identity.agent_port = *port;
        reporter_ = std::make_unique<NodeReporter>(
            ReporterParts{.client = *client_,
                          .cri = *cri_,
                          .root = options_.root,
                          .identity = std::move(identity),
                          .reported = [reported] { reported->notify(); }});
        reporter_->start();
    }

    // Everything of the informer runs on one strand: nothing is passed on before what runs already
    // was matched with what should.
    void begin_pods() {
        client::InformerOptions only_here;
        only_here.query.field_selector = concat("spec.nodeName=", options_.node_name);
        informer_ =
            std::make_unique<client::Informer<Pod>>(executor_, random_, *transport_, only_here);
        informer_->on_change([this](const SharedPod& old, const SharedPod& now) {
            if (adopted_) pods_->changed(old, now);
        });
        informer_->on_synced([this] { adopt(); });
        informer_->start();
    }

    void adopt() {
        wait_for_runtime();
        while (!stopping_) {
            const auto done = pods_->adopt(informer_->all());
            if (done) break;
            log_warn("what runs already is not known yet", {{"error", done.error().message}});
            pause(retry_most);
        }
        adopted_ = true;
        strand_.post([this] { rotate_logs(); });
        strand_.post([this] { collect_images(); });
        reporter_->look_again();
        follow_ = follow_container_events(
            executor_, random_, *grpc_,
            {.event = [this](const ContainerEvent& event) { pods_->event(event); },
             .resync =
                 [this] {
                     pods_->resync();
                     reporter_->look_again();
                 }});
    }

    void rotate_logs() {
        std::vector<std::pair<std::string, std::string>> logs;
        for (const auto& worker : pods_->all()) {
            for (auto& log : worker->running_logs()) logs.push_back(std::move(log));
        }
        strand_.after(rotation_.look(logs, executor_.clock().now()), [this] { rotate_logs(); });
    }

    void collect_images() {
        const auto event = collector_->look(executor_.clock().now());
        if (event) {
            const client::ObjectReference node{.api_version = "v1",
                                               .kind = "Node",
                                               .name_space = {},
                                               .name = options_.node_name,
                                               .uid = options_.node_name,
                                               .resource_version = {},
                                               .field_path = {}};
            events_->tell(node, *event);
        }
        strand_.after(collector_->limits().period, [this] { collect_images(); });
    }

    // ---- the node's port -----------------------------------------------------------------------

    Result<> serve() {
        auto own =
            load_certificate(identity_options(), CertificateKind::Serving, executor_.clock().now());
        Duration wait = retry_first;
        while (!own) {
            auto got = request_certificate(identity_options(), CertificateKind::Serving, *client_);
            if (got) {
                own = *std::move(got);
                break;
            }
            if (stopping_) return std::unexpected{std::move(got).error()};
            log_warn("no serving certificate yet", {{"error", got.error().message}});
            pause(wait);
            wait = std::min(wait * 2, retry_most);
        }
        TRY(server_tls_, net::make_server_tls(own->certificate_pem, own->key_pem, options_.ca_pem));
        handlers_ = std::make_unique<AgentServer>(
            ServerParts{.executor = executor_,
                        .cri = *cri_,
                        .followers = followers_,
                        .pods = [this]() -> Pods* { return adopted_ ? pods_.get() : nullptr; },
                        .metrics = [this] { return metrics(); },
                        .node_name = options_.node_name});
        TRY(server_, net::make_server({&loop_}, std::move(options_.listener), server_tls_,
                                      handlers_->handler()));
        plan_renewal(CertificateKind::Serving, own->certificate_pem);
        return {};
    }

    std::string metrics() {
        size_t containers = 0;
        const auto workers = adopted_ ? pods_->all() : std::vector<std::shared_ptr<PodWorker>>{};
        for (const auto& worker : workers) containers += worker->running_logs().size();
        return concat("# TYPE kubelet_running_pods gauge\nkubelet_running_pods ", workers.size(),
                      "\n# TYPE kubelet_running_containers gauge\nkubelet_running_containers ",
                      containers, "\n# TYPE kubelet_node_name gauge\nkubelet_node_name{node=\"",
                      options_.node_name, "\"} 1\n");
    }

    AgentOptions options_;
    Random& random_;
    Executor& executor_;
    net::Loop& loop_;
    std::atomic<bool> stopping_ = false;
    std::atomic<bool> adopted_ = false;
    NodeFacts node_;
    Cgroups cgroups_;
    HostPorts host_ports_{options_.cluster_id};
    LogFollowers followers_;

    std::unique_ptr<net::GrpcClient> grpc_;
    std::unique_ptr<Cri> cri_;
    LogRotation rotation_{*cri_};
    std::shared_ptr<net::TlsContext> client_tls_;
    std::shared_ptr<net::TlsContext> server_tls_;
    std::unique_ptr<client::Transport> transport_;
    std::unique_ptr<client::Client> client_;
    std::unique_ptr<Images> images_;
    std::unique_ptr<ImageCollector> collector_;
    std::unique_ptr<ConfigSource> configs_;
    std::unique_ptr<PodApi> pod_api_;
    std::unique_ptr<EventRecorder> events_;
    std::unique_ptr<Checks> checks_;
    std::unique_ptr<HookRunner> hooks_;
    std::unique_ptr<Pods> pods_;
    std::unique_ptr<NodeReporter> reporter_;
    std::unique_ptr<client::Informer<Pod>> informer_;
    std::unique_ptr<ContainerEvents> follow_;
    std::unique_ptr<AgentServer> handlers_;
    std::unique_ptr<net::Server> server_;
    Strand strand_;
};

Agent::Agent(AgentOptions options, Random& random, Executor& executor, net::Loop& loop)
    : core_{std::make_unique<Core>(std::move(options), random, executor, loop)} {}
Agent::~Agent() = default;
Result<> Agent::start() { return core_->start(); }
void Agent::stop() { core_->stop(); }

}   // namespace skiff::agent
