// Cluster roles that gather the rules of others by their labels (aggregationRule): admin, edit and
// view, and whatever a user makes in that manner.
#pragma once

#include "client/informer.h"
#include "client/work_queue.h"
#include "controllers/cluster_role.h"
#include "controllers/component.h"

namespace skiff::controllers {

// Pure: `role` with the rules of all that its selectors choose, in the order of their names, each
// rule once. Empty when it has them already or gathers none.
client::Plan plan_aggregation(const view::ClusterRole& role,
                              const std::vector<std::shared_ptr<const view::ClusterRole>>& all);

class ClusterRoleAggregationController {
  public:
    ClusterRoleAggregationController(Executor& executor, Random& random,
                                     const ControllersOptions& options);
    ~ClusterRoleAggregationController() { roles_.stop(); }
    void start();

  private:
    Result<client::Requeue> reconcile(const client::ObjectKey& key);
    void wake_gatherers();

    Component component_;
    client::Informer<view::ClusterRole> roles_;
    client::WorkQueue queue_;
};

}   // namespace skiff::controllers
