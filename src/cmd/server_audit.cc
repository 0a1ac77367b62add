#include "cmd/server_audit.h"

#include "base/os.h"
#include "base/rotating_file.h"
#include "base/text.h"

namespace skiff::cmd {

std::string audit_log_path(const Cluster& cluster) { return cluster.path("log/audit.log"); }
std::string audit_policy_path(const Cluster& cluster) {
    return cluster.path("server/audit-policy.yaml");
}

Result<std::shared_ptr<apiserver::AuditLog>> open_audit(const Cluster& cluster, Executor& executor,
                                                        Random& random) {
    auto policy = apiserver::AuditPolicy::builtin();
    const auto path = audit_policy_path(cluster);
    if (file_exists(path)) {
        TRY(const auto text, read_file(path));
        auto own = apiserver::AuditPolicy::parse(text);
        if (!own) return fail(Reason::Invalid, concat(path, ": ", own.error().message));
        policy = std::move(*own);
    }
    TRY_OK(make_directories(cluster.path("log")));
    const auto file = std::make_shared<RotatingFile>(
        RotatingFileOptions{.path = audit_log_path(cluster)}, executor.clock());
    return std::make_shared<apiserver::AuditLog>(
        std::move(policy), [file](std::string_view lines) { return file->append(lines); }, executor,
        random);
}

}   // namespace skiff::cmd
