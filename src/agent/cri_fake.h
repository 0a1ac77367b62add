// For tests: a runtime that can do nothing; a test overrides what it needs.
#pragma once

#include "agent/cri.h"

namespace skiff::agent {

class FakeCri : public Cri {
  public:
    Result<cri::VersionResponse> version() override { return no(); }
    Result<cri::StatusResponse> status(bool) override { return no(); }
    Result<> update_runtime_config(const std::string&) override { return no(); }
    Result<cri::CgroupDriver> cgroup_driver() override { return no(); }
    Result<std::string> run_pod_sandbox(const cri::PodSandboxConfig&, const std::string&) override {
        return no();
    }
    Result<> stop_pod_sandbox(const std::string&) override { return no(); }
    Result<> remove_pod_sandbox(const std::string&) override { return no(); }
    Result<cri::PodSandboxStatusResponse> pod_sandbox_status(const std::string&, bool) override {
        return no();
    }
    Result<std::vector<cri::PodSandbox>> list_pod_sandboxes(const cri::PodSandboxFilter&) override {
        return no();
    }
    Result<std::string> create_container(const std::string&, const cri::ContainerConfig&,
                                         const cri::PodSandboxConfig&) override {
        return no();
    }
    Result<> start_container(const std::string&) override { return no(); }
    Result<> stop_container(const std::string&, std::chrono::seconds) override { return no(); }
    Result<> remove_container(const std::string&) override { return no(); }
    Result<cri::ContainerStatusResponse> container_status(const std::string&, bool) override {
        return no();
    }
    Result<std::vector<cri::Container>> list_containers(const cri::ContainerFilter&) override {
        return no();
    }
    Result<> update_container_resources(const cri::UpdateContainerResourcesRequest&) override {
        return no();
    }
    Result<> reopen_container_log(const std::string&) override { return no(); }
    Result<cri::ExecSyncResponse> exec_sync(const std::string&, const std::vector<std::string>&,
                                            std::chrono::seconds) override {
        return no();
    }
    Result<std::string> exec(const cri::ExecRequest&) override { return no(); }
    Result<std::string> attach(const cri::AttachRequest&) override { return no(); }
    Result<std::string> port_forward(const std::string&, const std::vector<int32_t>&) override {
        return no();
    }
    Result<cri::ContainerStats> container_stats(const std::string&) override { return no(); }
    Result<std::vector<cri::ContainerStats>> list_container_stats(
        const cri::ContainerStatsFilter&) override {
        return no();
    }
    Result<cri::PodSandboxStats> pod_sandbox_stats(const std::string&) override { return no(); }
    Result<std::vector<cri::PodSandboxStats>> list_pod_sandbox_stats(
        const cri::PodSandboxStatsFilter&) override {
        return no();
    }
    Result<std::vector<cri::Image>> list_images(const std::string&) override { return no(); }
    Result<cri::ImageStatusResponse> image_status(const cri::ImageSpec&, bool) override {
        return no();
    }
    Result<std::string> pull_image(const cri::ImageSpec&, const std::optional<cri::AuthConfig>&,
                                   const cri::PodSandboxConfig&, Duration) override {
        return no();
    }
    Result<> remove_image(const cri::ImageSpec&) override { return no(); }
    Result<cri::ImageFsInfoResponse> image_fs_info() override { return no(); }

  private:
    static std::unexpected<Error> no() {
        return fail(Reason::MethodNotAllowed, "not in this test");
    }
};

}   // namespace skiff::agent
