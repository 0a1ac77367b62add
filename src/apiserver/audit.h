// The audit log: who did what, as audit.k8s.io/v1 Events, a line of JSON each. Events are gathered
// in memory, bounded, and written behind the requests' backs. What cannot be kept is dropped and
// counted. No body of a Secret and no token is ever told, whatever the policy says.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "apiserver/audit_policy.h"
#include "base/executor.h"
#include "base/random.h"
#include "net/http.h"

namespace skiff::apiserver {

class Call;

// What the audit log knows of one request while that runs.
struct AuditEntry {
    AuditDecision decision;
    std::string id;
    WallTime received;
    User user;   // who was authenticated
    std::map<std::string, std::string> annotations;
    std::string object_name;      // where the path names none
    std::string request_object;   // JSON; from level Request on
};

struct AuditStatistics {
    uint64_t events = 0;
    uint64_t dropped = 0;
    std::string problem;   // why the last ones were; "" when all is well again
};

class AuditLog {
  public:
    // Writes lines somewhere, all or none of them; called by one task at a time.
    using Sink = std::function<Result<>(std::string_view lines)>;
    AuditLog(AuditPolicy policy, Sink sink, Executor& executor, Random& random);
    ~AuditLog();   // what waits is written

    // Before authorization; null when the policy tells nothing of this.
    std::shared_ptr<AuditEntry> begin(const User& user, const RequestInfo& info,
                                      const net::Request& request);
    void tell(const Call& call, const AuditEntry& entry, AuditStage stage,
              const net::Response* response);
    // An event made before its time comes: its stage is reached now.
    void tell_now(std::string event);
    AuditStatistics statistics() const;

  private:
    struct State;
    AuditPolicy policy_;
    Executor& executor_;
    Random& random_;
    std::shared_ptr<State> state_;
};

// The answer is looked at on its way out: events are told, a stream tells once more at its end.
void audit_answer(const std::shared_ptr<AuditLog>& log, const Call& call, net::Response& response);
// One event's line. Pure.
std::string audit_event(const Call& call, const AuditEntry& entry, AuditStage stage,
                        const net::Response* response, WallTime now);

}   // namespace skiff::apiserver
