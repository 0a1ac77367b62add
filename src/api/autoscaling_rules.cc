// Autoscalers and disruption budgets: how many pods there may be.
#include <string>

#include "api/json_fields.h"
#include "api/kind_rules.h"
#include "api/pod_validation.h"
#include "api/workload_checks.h"
#include "base/text.h"

namespace skiff::api {
namespace {

using codec::Arena;
using codec::Json;

constexpr int64_t period_seconds_max = 1800;

// A metric or policy written as text, which stays readable beside what it means.
Json parsed(std::string_view text, Arena& arena) {
    auto value = codec::parse_json_into(arena, text);
    ASSERT(value.has_value());
    return *value;
}

void default_rules(Json& behavior, std::string_view name, std::string_view window,
                   std::string_view policies, Arena& arena) {
    Json& rules = behavior.make_object(arena, name);
    if (!window.empty() && !present(field(rules, "stabilizationWindowSeconds")))
        rules.set_borrowed(arena, "stabilizationWindowSeconds", parsed(window, arena));
    if (!present(field(rules, "selectPolicy")))
        rules.set_borrowed(arena, "selectPolicy", Json::borrowed("Max"));
    if (blank(field(rules, "policies")))
        rules.set_borrowed(arena, "policies", parsed(policies, arena));
}

void default_autoscaler(Json& scaler, Arena& arena) {
    Json* spec = scaler.find("spec");
    if (!spec || !spec->is_object()) return;
    if (blank(field(*spec, "metrics")))
        spec->set_borrowed(
            arena, "metrics",
            parsed(
                R"([{"type":"Resource","resource":{"name":"cpu","target":{"type":"Utilization","averageUtilization":80}}}])",
                arena));
    Json* behavior = spec->find("behavior");
    if (!behavior || !behavior->is_object()) return;
    default_rules(
        *behavior, "scaleUp", "0",
        R"([{"type":"Pods","value":4,"periodSeconds":15},{"type":"Percent","value":100,"periodSeconds":15}])",
        arena);
    default_rules(*behavior, "scaleDown", "",
                  R"([{"type":"Percent","value":100,"periodSeconds":15}])", arena);
}

void prepare_autoscaler(Json& scaler, const Json* old, Arena& arena) {
    if (old) return;
    Json& status = scaler.set_borrowed(arena, "status", Json::object());
    status.set_borrowed(arena, "desiredReplicas", Json::integer(0));
    status.set_borrowed(arena, "currentMetrics", Json{});
}

void validate_policies(const Json& rules, const FieldPath& path, Causes& causes) {
    const auto policies = field(rules, "policies").items();
    if (policies.empty())
        add_required(causes, path.child("policies"), "must specify at least one Policy");
    const auto select = text_of(rules, "selectPolicy");
    if (!select.empty() && select != "Max" && select != "Min" && select != "Disabled")
        add_not_supported(causes, path.child("selectPolicy"), select, {"Disabled", "Max", "Min"});
    for (size_t i = 0; i < policies.size(); ++i) {
        const FieldPath policy = path.child("policies", i);
        const auto type = text_of(policies[i], "type");
        if (type != "Pods" && type != "Percent")
            add_not_supported(causes, policy.child("type"), type, {"Percent", "Pods"});
        if (const int64_t value = int_or(field(policies[i], "value"), 0); value <= 0)
            add_invalid(causes, policy.child("value"), value, "must be greater than zero");
        const int64_t period = int_or(field(policies[i], "periodSeconds"), 0);
        if (period <= 0)
            add_invalid(causes, policy.child("periodSeconds"), period, "must be greater than zero");
        if (period > period_seconds_max)
            add_invalid(causes, policy.child("periodSeconds"), period,
                        concat("must be less than or equal to ", period_seconds_max));
    }
}

void validate_metric(const Json& metric, const FieldPath& path, Causes& causes) {
    constexpr std::pair<std::string_view, std::string_view> types[] = {
        {"ContainerResource", "containerResource"},
        {"External", "external"},
        {"Object", "object"},
        {"Pods", "pods"},
        {"Resource", "resource"}};
    const auto type = text_of(metric, "type");
    if (type.empty()) return;   // required, says the table
    std::string_view wanted;
    for (const auto& [name, member] : types)
        if (name == type) wanted = member;
    if (wanted.empty())
        return add_not_supported(causes, path.child("type"), type,
                                 {"ContainerResource", "External", "Object", "Pods", "Resource"});
    if (!present(field(metric, wanted)))
        add_required(causes, path.child(wanted),
                     "must populate information for the given metric source");
    for (const auto& [name, member] : types)
        if (member != wanted && present(field(metric, member)))
            add_forbidden(causes, path.child(member), "must populate the given metric source only");
    const FieldPath source = path.child(wanted);
    const FieldPath target_path = source.child("target");
    const Json& target = field(metric, wanted, "target");
    if (!present(field(target, "averageUtilization")) && !present(field(target, "averageValue")) &&
        !present(field(target, "value")) && present(field(metric, wanted)))
        add_required(causes, target_path.child("averageUtilization"),
                     "must set either a target raw value or a target utilization");
    if (const Json& percent = field(target, "averageUtilization");
        present(percent) && int_or(percent, 0) < 1)
        add_invalid(causes, target_path.child("averageUtilization"), percent,
                    "must be greater than 0");
}

void validate_autoscaler(const Json& scaler, const Json*, Causes& causes) {
    const FieldPath path{"spec"};
    const Json& spec = field(scaler, "spec");
    const int64_t most = int_or(field(spec, "maxReplicas"), 0);
    const int64_t least = int_or(field(spec, "minReplicas"), 1);
    if (least < 1)
        add_invalid(causes, path.child("minReplicas"), least, "must be greater than or equal to 1");
    if (most < 1) add_invalid(causes, path.child("maxReplicas"), most, "must be greater than 0");
    if (most < least)
        add_invalid(causes, path.child("maxReplicas"), most,
                    "must be greater than or equal to `minReplicas`");
    const auto metrics = field(spec, "metrics").items();
    for (size_t i = 0; i < metrics.size(); ++i)
        validate_metric(metrics[i], path.child("metrics", i), causes);
    const FieldPath behavior = path.child("behavior");
    for (const std::string_view name : {"scaleUp", "scaleDown"})
        if (const Json& rules = field(spec, "behavior", name); present(rules))
            validate_policies(rules, behavior.child(name), causes);
}

void prepare_budget(Json& budget, const Json* old, Arena& arena) {
    if (!old)
        clear_status(budget,
                     {"disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods"},
                     arena);
}

void validate_budget(const Json& budget, const Json*, Causes& causes) {
    const FieldPath path{"spec"};
    const Json& spec = field(budget, "spec");
    if (present(field(spec, "minAvailable")) && present(field(spec, "maxUnavailable")))
        add_invalid(causes, path, spec, "minAvailable and maxUnavailable cannot be both set");
    for (const std::string_view name : {"minAvailable", "maxUnavailable"}) {
        validate_int_or_percent(field(spec, name), path.child(name), causes);
        validate_not_over_100_percent(field(spec, name), path.child(name), causes);
    }
    const auto policy = text_of(spec, "unhealthyPodEvictionPolicy");
    if (!policy.empty() && policy != "AlwaysAllow" && policy != "IfHealthyBudget")
        add_not_supported(causes, path.child("unhealthyPodEvictionPolicy"), policy,
                          {"AlwaysAllow", "IfHealthyBudget"});
    const FieldPath selector = path.child("selector");
    validate_label_selector(field(spec, "selector"), selector, causes);
}

void validate_budget_status(const Json& budget, const Json*, Causes& causes) {
    const FieldPath path{"status"};
    validate_not_negative(
        field(budget, "status"),
        {"disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods"}, path, causes);
}

}   // namespace

const Rules horizontalpodautoscaler_rules{
    .defaults = default_autoscaler,
    .prepare = prepare_autoscaler,
    .validate = validate_autoscaler,
};

const Rules poddisruptionbudget_rules{
    .prepare = prepare_budget,
    .validate = validate_budget,
    .validate_status = validate_budget_status,
};

}   // namespace skiff::api
