// Which pods each service with a selector has, kept up to date event by event: a pod's change costs
// as much as it has labels, not as there are services; a service's costs one look at its namespace.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>

#include "base/guarded.h"
#include "client/informer.h"
#include "controllers/backends.h"

namespace skiff::controllers {

class ServicePods {
  public:
    using Changed = std::function<void(const client::ObjectKey& service)>;

    // Before the informers start. `changed` is told of services whose pods are no longer the same;
    // what the service itself asks for is for others to watch.
    ServicePods(client::Informer<view::Service>& services, client::Informer<view::Pod>& pods,
                Changed changed);

    // May hold pods that match no more: backends_of looks again.
    PodList pods_of(const client::ObjectKey& service) const;

  private:
    void service_changed(const client::Shared<view::Service>& old,
                         const client::Shared<view::Service>& now);
    void pod_changed(const client::Shared<view::Pod>& old, const client::Shared<view::Pod>& now);
    std::vector<client::ObjectKey> services_of(const view::Pod& pod) const;

    client::Informer<view::Service>& services_;
    client::Informer<view::Pod>& pods_;
    Changed changed_;
    Guarded<std::map<client::ObjectKey, std::set<std::string>>> members_;   // pods' names
};

}   // namespace skiff::controllers
