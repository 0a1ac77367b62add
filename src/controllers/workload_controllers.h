// The controllers of workloads, with the caches that they share.
#pragma once

#include "controllers/deployment_controller.h"
#include "controllers/ownership.h"
#include "controllers/replica_controller.h"

namespace skiff::controllers {

class WorkloadControllers {
  public:
    // `pods` is started and stopped by its owner.
    WorkloadControllers(Executor& executor, Random& random, const ControllersOptions& options,
                        client::Transport& reader, client::Informer<view::Pod>& pods)
        : replica_sets_{executor, random, reader},
          replication_controllers_{executor, random, reader},
          replica_set_controller_{executor,      random, options, "replicaset-controller",
                                  replica_sets_, pods},
          replication_controller_{
              executor, random, options, "replication-controller", replication_controllers_, pods},
          deployments_{executor, random, options, replica_sets_, pods} {
        index_orphans(pods);
        index_orphans(replica_sets_);
    }

    void start() {
        replica_set_controller_.start();
        replication_controller_.start();
        deployments_.start();
        replica_sets_.start();
        replication_controllers_.start();
    }
    void stop() {   // nothing wakes a controller any more
        replica_sets_.stop();
        replication_controllers_.stop();
    }

  private:
    client::Informer<view::ReplicaSet> replica_sets_;
    client::Informer<view::ReplicationController> replication_controllers_;
    ReplicaController<view::ReplicaSet> replica_set_controller_;
    ReplicaController<view::ReplicationController> replication_controller_;
    DeploymentController deployments_;
};

}   // namespace skiff::controllers
