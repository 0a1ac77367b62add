// The shell around replicas.h, for ReplicaSet and ReplicationController.
#pragma once

#include "client/informer.h"
#include "client/work_queue.h"
#include "controllers/component.h"
#include "controllers/replicas.h"

namespace skiff::controllers {

template <class V>
class ReplicaController {
  public:
    // `pods` with index_orphans(); `objects` is started by its owner, as `pods` is.
    ReplicaController(Executor& executor, Random& random, const ControllersOptions& options,
                      std::string_view name, client::Informer<V>& objects,
                      client::Informer<view::Pod>& pods);
    void start();

  private:
    void pod_changed(const PodPtr& old, const PodPtr& now);
    Result<client::Requeue> reconcile(const client::ObjectKey& key);
    Result<client::Plan> plan(const V& object, const ReplicaOwner& owner, Pods& mine);
    Pods related_to(const V& object) const;

    Component component_;
    client::EventRecorder events_;
    Clock& clock_;
    client::Informer<V>& objects_;
    client::Informer<view::Pod>& pods_;
    client::WorkQueue queue_;
};

extern template class ReplicaController<view::ReplicaSet>;
extern template class ReplicaController<view::ReplicationController>;

}   // namespace skiff::controllers
