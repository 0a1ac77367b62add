// The container runtime as the command line uses it: connects to the cluster's containerd, and
// starts it for the time of the command when it does not run.
#pragma once

#include <memory>
#include <optional>

#include "agent/cri.h"
#include "base/executor.h"
#include "cmd/cluster.h"
#include "cmd/process.h"
#include "net/loop.h"

namespace skiff::cmd {

class RuntimeSession {
  public:
    static Result<std::unique_ptr<RuntimeSession>> open(const Cluster& cluster);
    ~RuntimeSession();   // stops what it started
    agent::Cri& cri() { return *cri_; }
    Executor& executor() { return *executor_; }
    // The sandboxes of this cluster's pods.
    Result<std::vector<agent::cri::PodSandbox>> sandboxes();

    // Ends every container of the cluster's pods, `grace` each, all at once; removes them too when
    // asked. Returns how many pods there were.
    enum class Removal : bool { Keep, Remove };
    Result<size_t> end_pods(std::chrono::seconds grace, Removal removal);

  private:
    RuntimeSession();
    std::string cluster_id_;   // a user's containerd may hold pods that are not ours
    std::unique_ptr<Executor> executor_;
    std::unique_ptr<net::LoopThread> loop_;
    std::unique_ptr<net::GrpcClient> client_;
    std::unique_ptr<agent::Cri> cri_;
    std::optional<Process> started_;
};

}   // namespace skiff::cmd
