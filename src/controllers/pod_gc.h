// Pods that nobody else would ever end: of nodes that are gone, and finished ones beyond a number.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "controllers/component.h"
#include "controllers/namespace.h"
#include "controllers/pod_facts.h"

namespace skiff::controllers {

struct PodGcSettings {
    Duration every = std::chrono::seconds{20};
    // A node that was just made may not be seen yet: so long its pods are left alone.
    Duration quarantine = std::chrono::seconds{40};
    size_t finished_max = 12500;   // --terminated-pod-gc-threshold
};

// The pods' nodes that have been missing for as long as the quarantine lasts. Pure bookkeeping.
class MissingNodes {
  public:
    std::set<std::string> due(const Pods& pods, const std::set<std::string>& nodes, MonoTime now,
                              Duration quarantine);

  private:
    std::map<std::string, MonoTime> since_;
};

// `gone`: nodes that the API server itself does not have. Pure.
client::Plan plan_pod_gc(const Pods& pods, const std::set<std::string>& gone, size_t finished_max,
                         WallTime now);

class PodGc {
  public:
    PodGc(Executor& executor, Random& random, const ControllersOptions& options,
          client::Informer<view::Pod>& pods, PodGcSettings settings = {});
    ~PodGc() { nodes_.stop(); }
    void start();

  private:
    Result<client::Requeue> reconcile(const client::ObjectKey& key);
    Result<std::set<std::string>> gone_nodes();

    PodGcSettings settings_;
    Clock& clock_;
    Component component_;
    client::Informer<view::Pod>& pods_;
    client::Informer<view::Node> nodes_;
    MissingNodes missing_;   // of the one reconcile
    client::WorkQueue queue_;
};

}   // namespace skiff::controllers
