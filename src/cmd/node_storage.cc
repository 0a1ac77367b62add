#include "cmd/node_storage.h"

#include "agent/local_path.h"
#include "base/log.h"
#include "client/https_transport.h"

namespace skiff::cmd {
namespace {

class RunningStorage final : public NodeStorage {
  public:
    RunningStorage(const Cluster& cluster, std::shared_ptr<net::TlsContext> tls, Executor& executor,
                   Random& random, net::Loop& loop)
        : transport_{client::make_https_transport(
              loop,
              {.servers = {{.host = "127.0.0.1", .port = cluster.port, .tls = std::move(tls)}},
               .bearer_token = {},
               .user_agent = "skiff-local-path"})},
          provisioner_{{.node_name = cluster.node_name,
                        .folder = cluster.path("volumes"),
                        .note = cluster.path("volumes.class"),
                        // A claim of 2017 without a class means a volume without one.
                        .class_is_default = cluster.compat != "2017"},
                       executor,
                       random,
                       *transport_} {
        provisioner_.start();
    }

  private:
    std::unique_ptr<client::Transport> transport_;
    agent::LocalPathProvisioner provisioner_;
};

}   // namespace

std::unique_ptr<NodeStorage> start_storage(const Cluster& cluster,
                                           ComponentCertificates& certificates, Executor& executor,
                                           Random& random, net::Loop& loop) {
    auto tls = certificates.tls_for("local-path-provisioner");
    if (tls)
        return std::make_unique<RunningStorage>(cluster, std::move(*tls), executor, random, loop);
    log_error("no folders for claims are made", {{"error", tls.error().message}});
    return nullptr;
}

}   // namespace skiff::cmd
