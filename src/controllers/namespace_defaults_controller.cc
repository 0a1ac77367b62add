#include "controllers/namespace_defaults_controller.h"

#include "base/text.h"

namespace skiff::controllers {
namespace {

using client::ObjectKey;
using client::Plan;
using client::Requeue;

bool active(const view::Namespace& name_space) {
    return !name_space.metadata.deletionTimestamp && name_space.status.phase != "Terminating";
}

ObjectKey key_of(const view::Namespace& name_space) {
    return {.name_space = {}, .name = name_space.metadata.name};
}

}   // namespace

Plan plan_account(const view::Namespace& name_space, const view::ServiceAccount* account) {
    Plan plan;
    if (account || !active(name_space)) return plan;
    view::ServiceAccount wanted;
    wanted.metadata.name = default_account;
    wanted.metadata.namespace_ = name_space.metadata.name;
    plan.create(wanted,
                {.name_space = name_space.metadata.name, .name = std::string{default_account}})
        .if_absent = true;
    return plan;
}

Plan plan_root_ca(const view::Namespace& name_space, const view::ConfigMap* config_map,
                  const std::string& ca_pem) {
    Plan plan;
    if (!active(name_space)) return plan;
    view::ConfigMap wanted;
    wanted.metadata.name = root_ca_config_map;
    wanted.metadata.namespace_ = name_space.metadata.name;
    wanted.data["ca.crt"] = ca_pem;
    const ObjectKey key{.name_space = name_space.metadata.name,
                        .name = std::string{root_ca_config_map}};
    if (!config_map)
        plan.create(wanted, key).if_absent = true;
    else if (!(config_map->data == wanted.data))
        plan.update(wanted, key);
    return plan;
}

NamespaceDefaultsController::NamespaceDefaultsController(
    Executor& executor, Random& random, const ControllersOptions& options,
    client::Informer<view::Namespace>& namespaces)
    : accounts_{executor, options, "service-account-controller"},
      root_ca_{executor, options, "root-ca-controller"},
      root_ca_pem_{options.root_ca_pem},
      namespaces_{namespaces},
      account_informer_{executor,
                        random,
                        *accounts_.transport,
                        {.name_space = {},
                         .query = {.label_selector = {},
                                   .field_selector = concat("metadata.name=", default_account)}}},
      config_map_informer_{
          executor,
          random,
          *root_ca_.transport,
          {.name_space = {},
           .query = {.label_selector = {},
                     .field_selector = concat("metadata.name=", root_ca_config_map)}}},
      account_queue_{executor,
                     [this](const ObjectKey& key) { return reconcile_account(key); },
                     {.name = "service accounts"}},
      root_ca_queue_{executor,
                     [this](const ObjectKey& key) { return reconcile_root_ca(key); },
                     {.name = "root ca"}} {
    accounts_.plans.observe(client::resource_of<view::ServiceAccount>(), account_informer_.core());
    root_ca_.plans.observe(client::resource_of<view::ConfigMap>(), config_map_informer_.core());
    namespaces_.on_change([this](const auto&, const auto& now) {
        if (!now) return;
        account_queue_.add(key_of(*now));
        root_ca_queue_.add(key_of(*now));
    });
    account_informer_.on_change([this](const auto& old, const auto& now) {
        if (old && !now)
            account_queue_.add({.name_space = {}, .name = old->metadata.namespace_.str()});
    });
    config_map_informer_.on_change([this](const auto& old, const auto& now) {
        root_ca_queue_.add(
            {.name_space = {}, .name = (now ? now : old)->metadata.namespace_.str()});
    });
}

void NamespaceDefaultsController::start() {
    account_informer_.on_synced([this] { account_queue_.start(); });
    config_map_informer_.on_synced([this] { root_ca_queue_.start(); });
    account_informer_.start();
    config_map_informer_.start();
}

Result<Requeue> NamespaceDefaultsController::reconcile_account(const ObjectKey& key) {
    return accounts_.plans.reconcile(key, [&]() -> Result<Plan> {
        const auto name_space = namespaces_.find(key);
        if (!name_space) return Plan{};
        const auto account =
            account_informer_.find({.name_space = key.name, .name = std::string{default_account}});
        return plan_account(*name_space, account.get());
    });
}

Result<Requeue> NamespaceDefaultsController::reconcile_root_ca(const ObjectKey& key) {
    return root_ca_.plans.reconcile(key, [&]() -> Result<Plan> {
        const auto name_space = namespaces_.find(key);
        if (!name_space) return Plan{};
        const auto config_map = config_map_informer_.find(
            {.name_space = key.name, .name = std::string{root_ca_config_map}});
        return plan_root_ca(*name_space, config_map.get(), root_ca_pem_);
    });
}

}   // namespace skiff::controllers
