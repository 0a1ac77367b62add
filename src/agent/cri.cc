#include "agent/cri.h"

#include "agent/cri_fields.h"
#include "base/text.h"

namespace skiff::agent {
namespace {

constexpr Duration stop_patience_max = 2min;   // beyond a container's own grace, as upstream

// Most requests are an id and perhaps one more word.
std::string id_request(const std::string& id, bool verbose = false) {
    std::string out;
    codec::ProtoWriter writer{out};
    writer.text(1, id);
    if (verbose) writer.boolean(2, true);
    return out;
}

// Most answers that matter are one string in field 1.
Result<std::string> first_text(std::string_view message) {
    std::string text;
    codec::ProtoReader reader{message};
    while (reader.next())
        if (reader.number() == 1) text = reader.text();
    TRY_OK(reader.finish());
    return text;
}

class GrpcCri : public Cri {
  public:
    GrpcCri(net::GrpcClient& client, CriTimeouts timeouts) : client_{client}, timeouts_{timeouts} {}

    Result<VersionResponse> version() override {
        return runtime_as<VersionResponse>("Version", {});
    }
    Result<StatusResponse> status(bool verbose) override {
        std::string request;
        if (verbose) codec::ProtoWriter{request}.boolean(1, true);
        return runtime_as<StatusResponse>("Status", request);
    }
    Result<> update_runtime_config(const std::string& pod_cidr) override {
        const UpdateRuntimeConfigRequest request{.runtime_config = {.network_config = {pod_cidr}}};
        return runtime_done("UpdateRuntimeConfig", encoded(request));
    }
    Result<CgroupDriver> cgroup_driver() override {
        TRY(const auto answer, runtime_as<RuntimeConfigResponse>("RuntimeConfig", {}));
        return answer.linux.cgroup_driver;
    }

    Result<std::string> run_pod_sandbox(const PodSandboxConfig& config,
                                        const std::string& runtime_handler) override {
        const RunPodSandboxRequest request{config, runtime_handler};
        TRY(const auto answer, runtime("RunPodSandbox", encoded(request), timeouts_.sandbox));
        return first_text(answer);
    }
    Result<> stop_pod_sandbox(const std::string& id) override {
        return runtime_done("StopPodSandbox", id_request(id));
    }
    Result<> remove_pod_sandbox(const std::string& id) override {
        return runtime_done("RemovePodSandbox", id_request(id));
    }
    Result<PodSandboxStatusResponse> pod_sandbox_status(const std::string& id,
                                                        bool verbose) override {
        return runtime_as<PodSandboxStatusResponse>("PodSandboxStatus", id_request(id, verbose));
    }
    Result<std::vector<PodSandbox>> list_pod_sandboxes(const PodSandboxFilter& filter) override {
        const ListPodSandboxRequest request{filter};
        TRY(auto answer, runtime_as<ListPodSandboxResponse>("ListPodSandbox", encoded(request)));
        return std::move(answer.items);
    }

    Result<std::string> create_container(const std::string& sandbox_id,
                                         const ContainerConfig& config,
                                         const PodSandboxConfig& sandbox) override {
        const CreateContainerRequest request{sandbox_id, config, sandbox};
        TRY(const auto answer, runtime("CreateContainer", encoded(request), timeouts_.sandbox));
        return first_text(answer);
    }
    Result<> start_container(const std::string& id) override {
        return runtime_done("StartContainer", id_request(id));
    }
    Result<> stop_container(const std::string& id, std::chrono::seconds grace) override {
        const StopContainerRequest request{id, grace.count()};
        TRY_OK(runtime("StopContainer", encoded(request), grace + stop_patience_max));
        return {};
    }
    Result<> remove_container(const std::string& id) override {
        return runtime_done("RemoveContainer", id_request(id));
    }
    Result<ContainerStatusResponse> container_status(const std::string& id, bool verbose) override {
        return runtime_as<ContainerStatusResponse>("ContainerStatus", id_request(id, verbose));
    }
    Result<std::vector<Container>> list_containers(const ContainerFilter& filter) override {
        const ListContainersRequest request{filter};
        TRY(auto answer, runtime_as<ListContainersResponse>("ListContainers", encoded(request)));
        return std::move(answer.containers);
    }
    Result<> update_container_resources(const UpdateContainerResourcesRequest& request) override {
        return runtime_done("UpdateContainerResources", encoded(request));
    }
    Result<> reopen_container_log(const std::string& id) override {
        return runtime_done("ReopenContainerLog", id_request(id));
    }

    Result<ExecSyncResponse> exec_sync(const std::string& id,
                                       const std::vector<std::string>& command,
                                       std::chrono::seconds timeout) override {
        const ExecSyncRequest request{id, command, timeout.count()};
        // The runtime keeps the time; ours is for a runtime that does not answer at all.
        const Duration patience = timeout.count() ? timeout + timeouts_.call : Duration::zero();
        TRY(const auto answer, runtime("ExecSync", encoded(request), patience));
        return decoded<ExecSyncResponse>(answer);
    }
    Result<std::string> exec(const ExecRequest& request) override {
        TRY(const auto answer, runtime("Exec", encoded(request), timeouts_.call));
        return first_text(answer);
    }
    Result<std::string> attach(const AttachRequest& request) override {
        TRY(const auto answer, runtime("Attach", encoded(request), timeouts_.call));
        return first_text(answer);
    }
    Result<std::string> port_forward(const std::string& sandbox_id,
                                     const std::vector<int32_t>& ports) override {
        const PortForwardRequest request{sandbox_id, ports};
        TRY(const auto answer, runtime("PortForward", encoded(request), timeouts_.call));
        return first_text(answer);
    }

    Result<ContainerStats> container_stats(const std::string& id) override {
        TRY(auto answer, runtime_as<ContainerStatsResponse>("ContainerStats", id_request(id)));
        return std::move(answer.stats);
    }
    Result<std::vector<ContainerStats>> list_container_stats(
        const ContainerStatsFilter& filter) override {
        TRY(auto answer, runtime_as<ListContainerStatsResponse>(
                             "ListContainerStats", encoded(ListContainerStatsRequest{filter})));
        return std::move(answer.stats);
    }
    Result<PodSandboxStats> pod_sandbox_stats(const std::string& id) override {
        TRY(auto answer, runtime_as<PodSandboxStatsResponse>("PodSandboxStats", id_request(id)));
        return std::move(answer.stats);
    }
    Result<std::vector<PodSandboxStats>> list_pod_sandbox_stats(
        const PodSandboxStatsFilter& filter) override {
        TRY(auto answer, runtime_as<ListPodSandboxStatsResponse>(
                             "ListPodSandboxStats", encoded(ListPodSandboxStatsRequest{filter})));
        return std::move(answer.stats);
    }

    Result<std::vector<Image>> list_images(const std::string& image) override {
        const ListImagesRequest request{.filter = {.image = {.image = image}}};
        TRY(const auto bytes, images("ListImages", encoded(request), timeouts_.call));
        TRY(auto answer, decoded<ListImagesResponse>(bytes));
        return std::move(answer.images);
    }
    Result<ImageStatusResponse> image_status(const ImageSpec& image, bool verbose) override {
        const ImageStatusRequest request{image, verbose};
        TRY(const auto answer, images("ImageStatus", encoded(request), timeouts_.call));
        return decoded<ImageStatusResponse>(answer);
    }
    Result<std::string> pull_image(const ImageSpec& image, const std::optional<AuthConfig>& auth,
                                   const PodSandboxConfig& sandbox, Duration timeout) override {
        const PullImageRequest request{image, auth, sandbox};
        const Duration patience = timeout > Duration::zero() ? timeout : timeouts_.pull;
        TRY(const auto answer, images("PullImage", encoded(request), patience));
        return first_text(answer);
    }
    Result<> remove_image(const ImageSpec& image) override {
        TRY_OK(images("RemoveImage", encoded(RemoveImageRequest{image}), timeouts_.call));
        return {};
    }
    Result<ImageFsInfoResponse> image_fs_info() override {
        TRY(const auto answer, images("ImageFsInfo", {}, timeouts_.call));
        return decoded<ImageFsInfoResponse>(answer);
    }

  private:
    Result<std::string> runtime(std::string_view method, std::string_view request,
                                Duration timeout) {
        return client_.call(concat("/runtime.v1.RuntimeService/", method), request, timeout);
    }
    Result<std::string> images(std::string_view method, std::string_view request,
                               Duration timeout) {
        return client_.call(concat("/runtime.v1.ImageService/", method), request, timeout);
    }
    Result<> runtime_done(std::string_view method, std::string_view request) {
        TRY_OK(runtime(method, request, timeouts_.call));
        return {};
    }
    template <class Answer>
    Result<Answer> runtime_as(std::string_view method, std::string_view request) {
        TRY(const auto bytes, runtime(method, request, timeouts_.call));
        return decoded<Answer>(bytes);
    }

    net::GrpcClient& client_;
    CriTimeouts timeouts_;
};

}   // namespace

std::unique_ptr<Cri> make_cri(net::GrpcClient& client, CriTimeouts timeouts) {
    return std::make_unique<GrpcCri>(client, timeouts);
}

std::unique_ptr<net::GrpcClient::Stream> stream_cri_events(
    net::GrpcClient& client, std::function<void(const cri::ContainerEventResponse&)> event,
    std::function<void(Result<>)> end) {
    net::GrpcClient::StreamSink sink{
        .message =
            [event = std::move(event)](std::string_view bytes) {
                if (const auto message = decoded<ContainerEventResponse>(bytes)) event(*message);
            },
        .end = std::move(end),
    };
    auto stream =
        client.stream("/runtime.v1.RuntimeService/GetContainerEvents", {}, std::move(sink));
    stream->half_close();
    return stream;
}

}   // namespace skiff::agent
