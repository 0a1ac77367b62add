// What a deployment does next: create a replica set, resize some, tell its state. Pure;
// deployment_controller.h is the shell. A plan is one step; what it writes wakes the next.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "client/informer.h"
#include "client/plan.h"
#include "controllers/deployment_status.h"

namespace skiff::controllers {

using ReplicaSets = std::vector<client::Shared<view::ReplicaSet>>;

struct DeploymentFacts {
    const view::Deployment& deployment;
    const ReplicaSets& sets;   // its own
    // Replica sets that still have pods, also such as are on their way out (Recreate waits).
    std::vector<std::string> uids_with_pods;
};

client::Plan plan_deployment(const DeploymentFacts& facts, WallTime now);

// The set whose template is the deployment's; of several the oldest. Null: there is none yet.
client::Shared<view::ReplicaSet> newest_set(const view::Deployment& deployment,
                                            const ReplicaSets& sets);
std::string new_set_name(const view::Deployment& deployment);

// The plan's creation of a replica set failed. `taken` by what is not ours: another name next time.
client::Plan plan_name_taken(const view::Deployment& deployment);
client::Plan plan_create_failed(const view::Deployment& deployment, std::string_view why,
                                WallTime now);

}   // namespace skiff::controllers
