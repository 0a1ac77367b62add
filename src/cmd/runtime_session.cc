#include "cmd/runtime_session.h"

#include <atomic>

#include "agent/containerd_config.h"
#include "agent/pod_record.h"
#include "base/guarded.h"
#include "base/text.h"
#include "cmd/api_probe.h"

namespace skiff::cmd {
namespace {

constexpr auto start_time = std::chrono::seconds{20};

}   // namespace

RuntimeSession::RuntimeSession()
    : executor_{make_thread_pool(os_clock(), {.threads_max = 32, .name = "runtime"})},
      loop_{std::make_unique<net::LoopThread>(os_clock(), "runtime-loop")} {}

RuntimeSession::~RuntimeSession() {
    cri_.reset();
    client_.reset();
    if (started_) stop_process(*started_, std::chrono::seconds{10});
}

Result<std::unique_ptr<RuntimeSession>> RuntimeSession::open(const Cluster& cluster) {
    std::unique_ptr<RuntimeSession> session{new RuntimeSession};
    session->cluster_id_ = cluster.id;
    session->client_ = net::make_grpc_client(
        *session->executor_, session->loop_->loop(),
        {.host = "localhost", .port = 0, .unix_path = cluster.containerd_socket()});
    session->cri_ = agent::make_cri(*session->client_, {.call = std::chrono::seconds{20}});
    if (session->cri_->version()) return session;
    if (!cluster.runtime_endpoint.empty())
        return fail(Reason::ServiceUnavailable,
                    concat("the containerd at ", cluster.runtime_endpoint, " does not answer"));
    const auto config = agent::containerd_paths(cluster.root).config;
    if (!file_exists(config))
        return fail(Reason::NotFound, concat(config, " is missing: was this cluster ever up?"));
    TRY(const auto pid, spawn({.arguments = {"containerd", "--config", config},
                               .environment = {},
                               .log_path = cluster.path("log/containerd.log"),
                               .descriptors = {},
                               .pid_file = {}}));
    TRY(session->started_, open_process(pid));
    if (ApiProbe::wait_until([&] { return session->cri_->version().has_value(); }, start_time))
        return session;
    return fail(Reason::Timeout, concat("containerd did not start within 20 s; see ",
                                        cluster.path("log/containerd.log")));
}

Result<std::vector<agent::cri::PodSandbox>> RuntimeSession::sandboxes() {
    return cri_->list_pod_sandboxes({.label_selector = {{agent::label_cluster, cluster_id_}}});
}

Result<size_t> RuntimeSession::end_pods(std::chrono::seconds grace, Removal removal) {
    TRY(const auto sandboxes, this->sandboxes());
    TRY(const auto containers, cri_->list_containers());
    struct Progress {
        std::atomic<size_t> left;
        Guarded<std::optional<Error>> first_error;
    };
    const auto progress = std::make_shared<Progress>();
    progress->left = sandboxes.size();
    const auto all_done = executor_->make_waiter();
    for (const auto& sandbox : sandboxes) {
        std::vector<std::string> own;
        for (const auto& container : containers)
            if (container.pod_sandbox_id == sandbox.id) own.push_back(container.id);
        executor_->post(
            [this, id = sandbox.id, own = std::move(own), grace, removal, progress, all_done] {
                const auto end = [&]() -> Result<> {
                    for (const auto& container : own)
                        if (auto done = cri_->stop_container(container, grace);
                            !done && done.error().reason != Reason::NotFound)
                            return done;
                    TRY_OK(cri_->stop_pod_sandbox(id));
                    return removal == Removal::Remove ? cri_->remove_pod_sandbox(id) : Result<>{};
                };
                if (auto done = end(); !done)
                    progress->first_error.use([&](auto& first) {
                        if (!first) first = done.error();
                    });
                if (progress->left.fetch_sub(1) == 1) all_done->notify();
            });
    }
    if (!sandboxes.empty()) all_done->wait();
    auto problem = progress->first_error.use([](auto& first) { return first; });
    if (problem) return std::unexpected{std::move(*problem).in("ending the pods")};
    return sandboxes.size();
}

}   // namespace skiff::cmd
