// The shell around deployment.h.
#pragma once

#include "client/informer.h"
#include "client/work_queue.h"
#include "controllers/component.h"
#include "controllers/deployment.h"
#include "controllers/pod_facts.h"

namespace skiff::controllers {

class DeploymentController {
  public:
    // `sets` with index_orphans(); they and `pods` are started by their owner.
    DeploymentController(Executor& executor, Random& random, const ControllersOptions& options,
                         client::Informer<view::ReplicaSet>& sets,
                         client::Informer<view::Pod>& pods);
    ~DeploymentController() { deployments_.stop(); }
    void start();

  private:
    using SetPtr = client::Shared<view::ReplicaSet>;
    using DeploymentPtr = client::Shared<view::Deployment>;
    void set_changed(const SetPtr& old, const SetPtr& now);
    void pod_gone(const view::Pod& pod);
    Result<client::Requeue> reconcile(const client::ObjectKey& key);
    Result<client::Plan> plan(const view::Deployment& deployment);
    Result<client::Requeue> create_failed(const client::ObjectKey& key,
                                          const view::Deployment& deployment, const Error& error);

    Component component_;
    client::EventRecorder events_;
    Clock& clock_;
    client::Informer<view::ReplicaSet>& sets_;
    client::Informer<view::Pod>& pods_;
    client::Informer<view::Deployment> deployments_;
    client::WorkQueue queue_;
};

}   // namespace skiff::controllers
