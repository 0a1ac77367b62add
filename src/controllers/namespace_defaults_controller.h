// What every active namespace has: the service account `default` and the config map
// kube-root-ca.crt. Both come back when they are deleted or changed.
#pragma once

#include "client/informer.h"
#include "client/work_queue.h"
#include "controllers/component.h"
#include "controllers/namespace.h"

namespace skiff::controllers {

inline constexpr std::string_view default_account = "default";
inline constexpr std::string_view root_ca_config_map = "kube-root-ca.crt";

// Pure: what is missing in the namespace. Null: it is not there.
client::Plan plan_account(const view::Namespace& name_space, const view::ServiceAccount* account);
client::Plan plan_root_ca(const view::Namespace& name_space, const view::ConfigMap* config_map,
                          const std::string& ca_pem);

class NamespaceDefaultsController {
  public:
    NamespaceDefaultsController(Executor& executor, Random& random,
                                const ControllersOptions& options,
                                client::Informer<view::Namespace>& namespaces);
    ~NamespaceDefaultsController() {
        account_informer_.stop();
        config_map_informer_.stop();
    }
    void start();

  private:
    Result<client::Requeue> reconcile_account(const client::ObjectKey& key);
    Result<client::Requeue> reconcile_root_ca(const client::ObjectKey& key);

    Component accounts_;
    Component root_ca_;
    std::string root_ca_pem_;
    client::Informer<view::Namespace>& namespaces_;
    client::Informer<view::ServiceAccount> account_informer_;
    client::Informer<view::ConfigMap> config_map_informer_;
    client::WorkQueue account_queue_;
    client::WorkQueue root_ca_queue_;
};

}   // namespace skiff::controllers
