#include "cmd/node_ingress.h"

#include <algorithm>

#include <pwd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/log.h"
#include "base/os.h"
#include "base/text.h"
#include "client/https_transport.h"
#include "cmd/addresses.h"
#include "ingress/controller.h"

namespace skiff::cmd {
namespace {

constexpr long workers_max = 4;
constexpr rlim_t open_files_max = 65536;

// Who owns nothing on this machine.
std::string worker_user() {
    for (const char* name : {"www-data", "nobody"})
        if (::getpwnam(name)) return name;
    return {};
}

unsigned long open_files() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1024;
    return static_cast<unsigned long>(std::min(limit.rlim_max, open_files_max));
}

ingress::ControllerOptions controller_options(const Cluster& cluster) {
    const auto addresses = machine_addresses();
    ingress::ControllerOptions options;
    options.conf = {.folder = cluster.ingress_folder(),
                    .error_log = cluster.ingress_log(),
                    .access_log = {},
                    .user = worker_user(),
                    .http_port = cluster.ingress_http_port,
                    .https_port = cluster.ingress_https_port};
    options.conf.workers =
        static_cast<unsigned>(std::clamp(::sysconf(_SC_NPROCESSORS_ONLN), 1L, workers_max));
    options.conf.open_files = open_files();
    options.conf.ipv6 = file_exists("/proc/net/if_inet6");
    options.nginx = {.folder = cluster.ingress_folder(), .log = cluster.ingress_log()};
    options.host = cluster.node_name;
    options.address = addresses.empty() ? "127.0.0.1" : addresses.front();
    options.node = cluster.node_name;
    options.state_file = cluster.ingress_state();
    options.makes_class = true;
    return options;
}

class RunningIngress final : public NodeIngress {
  public:
    RunningIngress(const Cluster& cluster, std::shared_ptr<net::TlsContext> tls, Executor& executor,
                   Random& random, net::Loop& loop)
        : transport_{client::make_https_transport(
              loop,
              {.servers = {{.host = "127.0.0.1", .port = cluster.port, .tls = std::move(tls)}},
               .bearer_token = {},
               .user_agent = "skiff-ingress"})},
          controller_{controller_options(cluster), executor, random, loop, *transport_} {
        controller_.start();
    }

    void wait_until_dropped(const std::string& pod_uid, Duration timeout) override {
        controller_.wait_until_dropped(pod_uid, timeout);
    }

  private:
    std::unique_ptr<client::Transport> transport_;
    ingress::Controller controller_;
};

}   // namespace

std::unique_ptr<NodeIngress> start_ingress(const Cluster& cluster,
                                           ComponentCertificates& certificates, Executor& executor,
                                           Random& random, net::Loop& loop) {
    if (!cluster.has_ingress()) return nullptr;
    auto tls = certificates.tls_for("ingress-controller");
    if (tls)
        return std::make_unique<RunningIngress>(cluster, std::move(*tls), executor, random, loop);
    log_error("ingresses are not served", {{"error", tls.error().message}});
    return nullptr;
}

}   // namespace skiff::cmd
