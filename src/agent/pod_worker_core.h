// The inside of a pod worker (see pod_worker.h): what it knows, and its steps. What it decides and
// reports is in pod_worker.cc, what it has done by the runtime in pod_worker_runtime.cc.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agent/pod_status.h"
#include "agent/pod_worker.h"
#include "base/guarded.h"

namespace skiff::agent {

class PodWorker::Core : public std::enable_shared_from_this<Core> {
  public:
    Core(WorkerParts parts, SharedPod pod, PodRecord record, bool gone)
        : parts_{std::move(parts)},
          pod_{std::move(pod)},
          record_{std::move(record)},
          gone_{gone},
          uid_{pod_->metadata.uid},
          memory_{memory_of(*pod_)},
          strand_{parts_.pod.executor} {
        shown_.use([&](Shown& shown) {
            shown.pod = pod_;
            shown.gone = gone_;
        });
    }

    void post(std::function<void(Core&)> task);
    void begin();
    void update(SharedPod pod);
    void deleted(SharedPod last);
    void event(const ContainerEvent& event);
    void resync();

    struct Shown {   // for other threads
        SharedPod pod;
        PodRecord record;
        std::map<std::string, Waiting> waiting;
        bool gone = false;
    };
    const Guarded<Shown>& shown() const { return shown_; }
    Guarded<Shown>& shown() { return shown_; }

  private:
    enum class Volumes { None, Making, Ready };

    // A chain of starts under way. A long pull must not hold up the end of the pod: until the
    // container is being created, whoever closes the gate first has it.
    struct Chain {
        // Open and Hooking: it may be abandoned, in Hooking once `hooking_` tells the container.
        enum Gate : int { Open, Creating, Hooking, Closed };
        std::atomic<int> gate = Open;
        std::set<std::string> names;
    };

    PodParts& parts() { return parts_.pod; }
    WallTime now() { return parts().executor.clock().now(); }

    void run_beside(std::function<void()> work) { parts().executor.post(std::move(work)); }

    PodFacts facts();

    // ---- the step ------------------------------------------------------------------------------

    void step();
    void set_wake();
    void woken();
    void schedule_relist();
    void tell_waiting();

    // ---- configuration and volumes -------------------------------------------------------------

    void want_configs();
    void config_changed();

    std::vector<std::string> addresses() const {
        const auto* sandbox = record_.sandbox();
        return sandbox ? sandbox->addresses : std::vector<std::string>{};
    }

    void make_volumes_now();
    void volumes_made(Result<VolumesMade> made);

    // Making them again changes only what has changed. A failure keeps what is there.
    void refresh_volumes_now();

    // ---- the sandbox ---------------------------------------------------------------------------

    void create_sandbox();
    void sandbox_made(Result<SandboxMade> made);
    void stop_sandbox(const std::string& id);
    void refresh_sandbox(const std::string& id, bool ended);

    // ---- containers ----------------------------------------------------------------------------

    void start_chain();

    void not_admitted(const std::shared_ptr<Chain>& chain, const std::vector<StartOrder>& orders,
                      const Error& error);

    std::string target_of(const StartContainer& start) const;

    // True: a chain was under way and will create nothing any more.
    bool abandon_chain();
    void hook_begins(const std::shared_ptr<Chain>& chain, const ContainerRecord& record);
    void started(const Chain& chain, const std::string& name, StartResult result);
    void kill_one(const KillContainer& kill);
    void refresh_container(const std::string& id, const std::string& sandbox_id, bool ended);
    void refreshed(const std::string& id, Result<ContainerRecord> fresh);
    void remove_one(const std::string& id);

    // ---- probes --------------------------------------------------------------------------------

    void sync_probes();

    // ---- the status ----------------------------------------------------------------------------

    void push_status();
    void send_status();
    void status_written(std::string patch, Result<> done);

    // ---- the end -------------------------------------------------------------------------------

    // Nothing runs any more: the last status is written, then the object goes, then what is left.
    void finish();
    void cleaned(const Result<>& done);

    WorkerParts parts_;
    SharedPod pod_;
    PodRecord record_;
    bool gone_ = false;
    const std::string uid_;

    PodPlan plan_;
    std::map<std::string, ProbeVerdict> verdicts_;
    std::map<std::string, Backoff> restarts_;
    std::map<std::string, Backoff> start_backoffs_;
    std::map<std::string, StartFailure> failures_;
    std::optional<ContainerRecord> hooking_;   // runs, but its postStart is not done yet
    std::set<std::string> busy_;
    std::map<std::string, WallTime> killing_;
    std::map<std::string, std::string> waiting_told_;
    std::map<std::string, std::unique_ptr<ContainerProbes>> probes_;   // by container id
    std::shared_ptr<Chain> chain_;
    std::set<std::string> ended_early_;   // containers of the chain, by id
    cri::PodSandboxConfig sandbox_config_;

    Volumes volumes_ = Volumes::None;
    std::map<std::string, std::string> volume_paths_;
    std::optional<WallTime> volumes_refresh_at_;
    WallTime volumes_retry_at_{};
    Backoff volumes_backoff_{.first = 500ms, .most = 30s};

    StatusMemory memory_;
    std::string status_sent_;
    std::string status_next_;
    bool status_in_flight_ = false;
    bool finishing_ = false;
    bool cleaning_ = false;
    std::atomic<bool> finished_ = false;
    TimerId wake_ = TimerId::None;
    Guarded<Shown> shown_;
    Strand strand_;
};

}   // namespace skiff::agent
