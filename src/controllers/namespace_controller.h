// Namespaces: the four that a cluster begins with, and the emptying of those being deleted.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "client/informer.h"
#include "client/work_queue.h"
#include "controllers/component.h"
#include "controllers/namespace.h"

namespace skiff::controllers {

// A resource that lives in namespaces and can be emptied, as discovery tells.
struct NamespacedResource {
    std::string group;
    std::string version;
    std::string plural;
    auto operator<=>(const NamespacedResource&) const = default;
};
// Out of an APIResourceList's text: namespaced, no subresource, with list and deletecollection.
Result<std::vector<NamespacedResource>> namespaced_resources(std::string_view resource_list);
// A stored object shows under every version of its resource: one version of each is enough.
std::vector<NamespacedResource> one_version_each(std::vector<NamespacedResource> resources);

// What is to be done about a namespace now. Pure.
enum class NamespaceStep : uint8_t { Nothing, Empty, Finalize };
NamespaceStep next_step(const view::Namespace& object, std::optional<size_t> left);

class NamespaceController {
  public:
    NamespaceController(Executor& executor, Random& random, const ControllersOptions& options,
                        client::Informer<view::Namespace>& namespaces);
    void start();

  private:
    Result<client::Requeue> reconcile(const client::ObjectKey& key);
    Result<client::Requeue> ensure_initial();
    Result<std::vector<NamespacedResource>> discover();
    Result<size_t> empty(const std::string& name);   // how many objects are left
    Result<> finalize(const view::Namespace& object);

    Component component_;
    client::Informer<view::Namespace>& namespaces_;
    client::WorkQueue queue_;
};

}   // namespace skiff::controllers
