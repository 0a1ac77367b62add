// What a deployment says of itself: counts and conditions. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "controllers/deployment_sizes.h"

namespace skiff::controllers {

using DeploymentStatus = view::Deployment::DeploymentStatus;
using DeploymentCondition = view::Deployment::DeploymentCondition;

const DeploymentCondition* condition_of(const DeploymentStatus& status, std::string_view type);
// As upstream: the same status and reason change nothing; the same status keeps its time.
void set_condition(DeploymentStatus& status, std::string_view type, std::string_view is,
                   std::string_view reason, std::string message, WallTime now);
void remove_condition(DeploymentStatus& status, std::string_view type);

bool has_deadline(const view::Deployment& deployment);
bool is_complete(const view::Deployment& deployment, const DeploymentStatus& status);

// Paused, or no longer paused.
void tell_pause(const view::Deployment& deployment, DeploymentStatus& status, WallTime now);
// Counts and Available; `status` comes with the conditions as they are to be.
void count(const view::Deployment& deployment, const std::vector<const view::ReplicaSet*>& all,
           const view::ReplicaSet* newest, DeploymentStatus& status, WallTime now);
// Progressing and ReplicaFailure of a rollout, after count().
void tell_progress(const view::Deployment& deployment,
                   const std::vector<const view::ReplicaSet*>& all, const view::ReplicaSet* newest,
                   DeploymentStatus& status, WallTime now);
// When the deadline is to be looked at again; absent: there is nothing to wait for.
std::optional<Duration> until_deadline(const view::Deployment& deployment,
                                       const DeploymentStatus& status, WallTime now);

std::string status_patch(const DeploymentStatus& status);   // a merge patch

}   // namespace skiff::controllers
