#include "controllers/cluster_role_aggregation_controller.h"

#include <algorithm>

#include "api/selectors.h"
#include "base/text.h"

namespace skiff::controllers {
namespace {

using client::ObjectKey;
using client::Plan;
using client::Requeue;
using Role = view::ClusterRole;

std::vector<api::LabelSelector> selectors_of(const Role& role) {
    std::vector<api::LabelSelector> selectors;
    const auto rule = codec::parse_json(role.aggregationRule);
    const auto* list = rule ? rule->root.find("clusterRoleSelectors") : nullptr;
    if (!list) return selectors;
    for (const auto& item : list->items())
        if (auto selector = api::LabelSelector::from_object(item))
            selectors.push_back(std::move(*selector));
    return selectors;
}

}   // namespace

Plan plan_aggregation(const Role& role, const std::vector<std::shared_ptr<const Role>>& all) {
    Plan plan;
    if (role.aggregationRule.empty()) return plan;
    const auto selectors = selectors_of(role);
    auto chosen = all;
    std::erase_if(chosen, [&](const auto& other) {
        return other->metadata.name == role.metadata.name ||
               std::ranges::none_of(selectors, [&](const auto& selector) {
                   return selector.matches(other->metadata.labels);
               });
    });
    std::ranges::sort(chosen, {}, [](const auto& other) { return other->metadata.name; });
    std::vector<std::string> rules;
    for (const auto& other : chosen)
        for (const auto& rule : other->rules)
            if (std::ranges::find(rules, rule) == rules.end()) rules.push_back(rule);
    if (rules == role.rules) return plan;
    std::string body = R"({"rules":[)";
    for (size_t i = 0; i < rules.size(); ++i) append(body, i ? "," : "", rules[i]);
    body += "]}";
    auto& write = plan.patch<Role>({.name_space = {}, .name = role.metadata.name}, std::move(body),
                                   {}, client::PatchType::Merge);
    write.uid = role.metadata.uid;
    write.resource_version = role.metadata.resourceVersion;
    return plan;
}

ClusterRoleAggregationController::ClusterRoleAggregationController(
    Executor& executor, Random& random, const ControllersOptions& options)
    : component_{executor, options, "clusterrole-aggregation-controller"},
      roles_{executor, random, *component_.transport},
      queue_{executor,
             [this](const ObjectKey& key) { return reconcile(key); },
             {.name = "cluster role aggregation"}} {
    component_.plans.observe(client::resource_of<Role>(), roles_.core());
    roles_.on_change([this](const auto&, const auto&) { wake_gatherers(); });
}

void ClusterRoleAggregationController::start() {
    roles_.on_synced([this] { queue_.start(); });
    roles_.start();
}

// Any role may carry a label that one of the few gatherers looks for.
void ClusterRoleAggregationController::wake_gatherers() {
    for (const auto& role : roles_.all())
        if (!role->aggregationRule.empty())
            queue_.add({.name_space = {}, .name = role->metadata.name});
}

Result<Requeue> ClusterRoleAggregationController::reconcile(const ObjectKey& key) {
    return component_.plans.reconcile(key, [&]() -> Result<Plan> {
        const auto role = roles_.find(key);
        return role ? plan_aggregation(*role, roles_.all()) : Plan{};
    });
}

}   // namespace skiff::controllers
