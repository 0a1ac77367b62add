// Decides, never acts: what to do next with one pod, from its spec, what the runtime shows, the
// probes' verdicts and the time. The pod worker carries a plan out and asks again; what is under
// way is told by `busy`, so that nothing is started or stopped twice.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agent/backoff.h"
#include "agent/pod_record.h"
#include "agent/pod_types.h"

namespace skiff::agent {

// What the probes say of one running container.
struct ProbeVerdict {
    bool started = true;   // the startup probe succeeded, or there is none
    bool ready = true;     // the readiness probe succeeds, or there is none
    std::string restart;   // "liveness" or "startup": that probe failed for good
};

// A start that failed before the container ran.
struct StartFailure {
    std::string reason;   // "ErrImagePull", "CreateContainerConfigError", …
    std::string message;
    WallTime at{};
    WallTime retry_at{};
    bool image = false;       // of the image: shown as ImagePullBackOff while it waits
    bool transient = false;   // the runtime was away: nobody's fault, tried again soon
};
Backoff backoff_of(const StartFailure& failure);   // how long until it is tried again

struct PodFacts {
    const Pod& pod;
    const PodRecord& record;
    WallTime now{};
    bool gone = false;                                     // no longer in the API
    const std::map<std::string, ProbeVerdict>& probes;     // by container id
    const std::map<std::string, Backoff>& restarts;        // by container name
    const std::map<std::string, StartFailure>& failures;   // by container name; "" the sandbox
    const std::set<std::string>& busy;                     // names being started; "" the sandbox
    const std::map<std::string, WallTime>& killing;   // container id: when it is killed at last
};

struct StartContainer {
    Role role = Role::Main;
    size_t index = 0;   // in its list of the spec
    std::string name;
    unsigned restart_count = 0;
    std::string replaces;   // a container that was made but never ran; removed first
    bool operator==(const StartContainer&) const = default;
};
struct KillContainer {
    std::string id;
    std::string name;
    int64_t grace_seconds = 0;
    std::string message;   // of the event Killing
    bool operator==(const KillContainer&) const = default;
};
struct Waiting {
    std::string reason;
    std::string message;
    bool operator==(const Waiting&) const = default;
};

enum class Ending : uint8_t {
    No,
    Completed,   // every container ended and none will be restarted
    Deadline,    // activeDeadlineSeconds
    Deleted,     // deletionTimestamp, or gone from the API
};

struct PodPlan {
    Ending ending = Ending::No;
    bool create_sandbox = false;
    unsigned sandbox_attempt = 0;
    std::vector<std::string> stop_sandboxes;
    std::vector<StartContainer> start;        // in this order, one after the other
    std::vector<KillContainer> kill;          // all at once
    std::vector<std::string> remove;          // dead containers and sandboxes nobody needs
    std::map<std::string, Waiting> waiting;   // by container name: why it does not run
    std::optional<WallTime> wake_at;          // ask again then, at the latest
    bool stopped = false;                     // nothing of it runs any more
};

PodPlan plan_pod(const PodFacts& facts);

// Whether the spec lets nothing run again: decides Succeeded or Failed.
bool pod_has_ended(const PodFacts& facts);

// The hash that tells a container whose definition changed from one that did not: what may be
// changed in a running pod is the image only.
std::string container_hash(const Container& container);

inline constexpr const char* deadline_reason = "DeadlineExceeded";
inline constexpr const char* deadline_message =
    "Pod was active on the node longer than the specified deadline";

}   // namespace skiff::agent
