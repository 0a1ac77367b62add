// The container runtime as the agent calls it: CRI (runtime.v1) over gRPC. Every call blocks the
// calling task and fails with the runtime's own message; NotFound is what the runtime does not
// know. Nothing is retried here.
#pragma once

#include <functional>
#include <memory>

#include "agent/cri_status.h"
#include "base/result.h"
#include "base/time.h"
#include "net/grpc.h"

namespace skiff::agent {

struct CriTimeouts {
    Duration call = std::chrono::minutes{2};      // upstream's runtime-request-timeout
    Duration sandbox = std::chrono::minutes{4};   // run a sandbox, create a container
    Duration pull = std::chrono::minutes{30};
};

// An interface, so that the hollow agent and tests can stand in for a runtime.
class Cri {
  public:
    virtual ~Cri() = default;

    virtual Result<cri::VersionResponse> version() = 0;
    virtual Result<cri::StatusResponse> status(bool verbose = false) = 0;
    virtual Result<> update_runtime_config(const std::string& pod_cidr) = 0;
    virtual Result<cri::CgroupDriver> cgroup_driver() = 0;   // before 2.0: MethodNotAllowed

    virtual Result<std::string> run_pod_sandbox(const cri::PodSandboxConfig& config,
                                                const std::string& runtime_handler = {}) = 0;
    // Stopping and removing what is stopped or gone succeeds.
    virtual Result<> stop_pod_sandbox(const std::string& id) = 0;
    virtual Result<> remove_pod_sandbox(const std::string& id) = 0;
    virtual Result<cri::PodSandboxStatusResponse> pod_sandbox_status(const std::string& id,
                                                                     bool verbose = false) = 0;
    virtual Result<std::vector<cri::PodSandbox>> list_pod_sandboxes(
        const cri::PodSandboxFilter& filter = {}) = 0;

    virtual Result<std::string> create_container(const std::string& sandbox_id,
                                                 const cri::ContainerConfig& config,
                                                 const cri::PodSandboxConfig& sandbox) = 0;
    virtual Result<> start_container(const std::string& id) = 0;
    // Returns when it has stopped: after `grace` it is killed.
    virtual Result<> stop_container(const std::string& id, std::chrono::seconds grace) = 0;
    virtual Result<> remove_container(const std::string& id) = 0;
    virtual Result<cri::ContainerStatusResponse> container_status(const std::string& id,
                                                                  bool verbose = false) = 0;
    virtual Result<std::vector<cri::Container>> list_containers(
        const cri::ContainerFilter& filter = {}) = 0;
    virtual Result<> update_container_resources(
        const cri::UpdateContainerResourcesRequest& request) = 0;
    virtual Result<> reopen_container_log(const std::string& id) = 0;

    // Timeout when the command was killed for taking longer; zero: no limit.
    virtual Result<cri::ExecSyncResponse> exec_sync(const std::string& id,
                                                    const std::vector<std::string>& command,
                                                    std::chrono::seconds timeout) = 0;
    // URLs on the runtime's streaming server.
    virtual Result<std::string> exec(const cri::ExecRequest& request) = 0;
    virtual Result<std::string> attach(const cri::AttachRequest& request) = 0;
    virtual Result<std::string> port_forward(const std::string& sandbox_id,
                                             const std::vector<int32_t>& ports) = 0;

    virtual Result<cri::ContainerStats> container_stats(const std::string& id) = 0;
    virtual Result<std::vector<cri::ContainerStats>> list_container_stats(
        const cri::ContainerStatsFilter& filter = {}) = 0;
    virtual Result<cri::PodSandboxStats> pod_sandbox_stats(const std::string& id) = 0;
    virtual Result<std::vector<cri::PodSandboxStats>> list_pod_sandbox_stats(
        const cri::PodSandboxStatsFilter& filter = {}) = 0;

    virtual Result<std::vector<cri::Image>> list_images(const std::string& image = {}) = 0;
    // The image is absent when the runtime does not have it.
    virtual Result<cri::ImageStatusResponse> image_status(const cri::ImageSpec& image,
                                                          bool verbose = false) = 0;
    // The reference to create containers with. `timeout` zero: CriTimeouts::pull.
    virtual Result<std::string> pull_image(const cri::ImageSpec& image,
                                           const std::optional<cri::AuthConfig>& auth,
                                           const cri::PodSandboxConfig& sandbox,
                                           Duration timeout = Duration::zero()) = 0;
    virtual Result<> remove_image(const cri::ImageSpec& image) = 0;
    virtual Result<cri::ImageFsInfoResponse> image_fs_info() = 0;
};

// The client must outlive it.
std::unique_ptr<Cri> make_cri(net::GrpcClient& client, CriTimeouts timeouts = {});

// CRI's own event stream (GetContainerEvents; MethodNotAllowed before containerd 1.7). The sink is
// called on the client's loop. container_events.h is what agents use.
std::unique_ptr<net::GrpcClient::Stream> stream_cri_events(
    net::GrpcClient& client, std::function<void(const cri::ContainerEventResponse&)> event,
    std::function<void(Result<>)> end);

}   // namespace skiff::agent
