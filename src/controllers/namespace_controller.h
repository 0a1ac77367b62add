// Namespaces: the four that a cluster begins with, and the emptying of those being deleted.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "client/informer.h"
#include "client/work_queue.h"
#include "controllers/component.h"
#include "controllers/discovery.h"
#include "controllers/namespace.h"

namespace skiff::controllers {

// What an emptying has left behind, and what went wrong.
struct NamespaceContent {
    std::map<std::string, size_t> resources;    // "deployments.apps", "pods."
    std::map<std::string, size_t> finalizers;   // of what is left
    std::vector<std::string> failures;
    std::string discovery_failure;

    bool empty() const {
        return resources.empty() && failures.empty() && discovery_failure.empty();
    }
};
// The conditions that tell why a namespace takes its time, where they are not told yet.
client::Plan plan_conditions(const view::Namespace& object, const NamespaceContent& content,
                             WallTime now);

// What is to be done about a namespace now. Pure.
enum class NamespaceStep : uint8_t { Nothing, Empty, Finalize };
NamespaceStep next_step(const view::Namespace& object, std::optional<bool> empty);

class NamespaceController {
  public:
    NamespaceController(Executor& executor, Random& random, const ControllersOptions& options,
                        client::Informer<view::Namespace>& namespaces);
    void start();

  private:
    Result<client::Requeue> reconcile(const client::ObjectKey& key);
    Result<client::Requeue> ensure_initial();
    NamespaceContent empty(const std::string& name);   // and what is left then
    Result<> empty(const std::string& name, const ServedKind& kind, NamespaceContent& content);
    Result<> finalize(const view::Namespace& object);

    Component component_;
    client::Informer<view::Namespace>& namespaces_;
    Clock& clock_;
    client::WorkQueue queue_;
};

}   // namespace skiff::controllers
