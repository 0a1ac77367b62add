// For tests: a containerd of its own, with root, state, socket and pod network in a temp dir, and
// an image of Debian's busybox made here. Needs root, containerd, runc, CNI's plugins and
// busybox-static; missing() says what is not there.
#pragma once

#include <memory>
#include <string>

#include "agent/cri.h"
#include "base/executor.h"
#include "net/loop.h"

namespace skiff::agent {

class ContainerdFixture {
  public:
    static std::string missing();   // "" when a test can run
    explicit ContainerdFixture(const std::string& network = "ptp");
    ~ContainerdFixture();   // removes every pod, then everything else

    Result<> start();   // until it answers
    void kill();        // SIGKILL, as a crash
    Cri& cri() { return *cri_; }
    net::GrpcClient& client() { return *client_; }
    Executor& executor() { return *executor_; }
    net::Loop& loop() { return loop_.loop(); }
    const std::string& folder() const { return folder_; }
    std::string log_tail() const;

    // A pod named `name` with its log folder; cgroup parent is this fixture's own.
    cri::PodSandboxConfig pod(const std::string& name) const;
    // busybox with a shell command.
    static cri::ContainerConfig shell(const std::string& name, const std::string& script);
    static constexpr const char* image = "docker.io/library/busybox:latest";

  private:
    Result<> make_image();
    void write_config(const std::string& network);

    std::string folder_;
    std::string cgroup_;
    pid_t pid_ = -1;
    std::unique_ptr<Executor> executor_;
    net::LoopThread loop_;
    std::unique_ptr<net::GrpcClient> client_;
    std::unique_ptr<Cri> cri_;
};

}   // namespace skiff::agent
