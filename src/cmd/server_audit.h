// The server's audit log: log/audit.log below --root, by the policy in server/audit-policy.yaml
// where there is one, else by the built-in one.
#pragma once

#include <memory>

#include "apiserver/audit.h"
#include "cmd/cluster.h"

namespace skiff::cmd {

std::string audit_log_path(const Cluster& cluster);
std::string audit_policy_path(const Cluster& cluster);
// Invalid when the policy is: a server that would tell other things than wished does not start.
Result<std::shared_ptr<apiserver::AuditLog>> open_audit(const Cluster& cluster, Executor& executor,
                                                        Random& random);

}   // namespace skiff::cmd
