// The caller's ~/.kube/config: a context for the cluster is put in by `up` and taken out by
// `reset`; whatever else stands there stays.
#pragma once

#include <optional>
#include <string>

#include <sys/types.h>

#include "cmd/cluster.h"
#include "cmd/pki.h"

namespace skiff::cmd {

// Who called: SUDO_USER when there is one, else ourselves.
struct Caller {
    std::string name;
    std::string home;
    uid_t uid = 0;
    gid_t gid = 0;
};
std::optional<Caller> caller();   // none when the account has no home

// Sets cluster, user and context, and the current context where none was set or it was ours.
// The file and folders made for it belong to the caller. Returns the file's path.
Result<std::string> merge_context(const Caller& caller, const Cluster& cluster, const Pki& pki);
// With the administrator's certificate of today.
bool has_context(const Caller& caller, const Cluster& cluster, const Pki& pki);
Result<bool> remove_context(const Caller& caller,
                            const Cluster& cluster);   // false: it was not there

}   // namespace skiff::cmd
