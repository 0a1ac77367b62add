// Deployments.
#include "api/json_fields.h"
#include "api/kind_rules.h"
#include "api/workload_checks.h"
#include "base/text.h"

namespace skiff::api {
namespace {

using codec::Arena;
using codec::Json;

void default_deployment(Json& deployment, Arena& arena) {
    default_template(deployment, arena);
    Json* strategy = deployment.at_path({"spec", "strategy"});
    if (!strategy || text_of(*strategy, "type") != "RollingUpdate") return;
    Json& rolling = strategy->make_object(arena, "rollingUpdate");
    for (const std::string_view name : {"maxUnavailable", "maxSurge"})
        if (!present(field(rolling, name)))
            rolling.set_borrowed(arena, name, Json::borrowed("25%"));
}

void prepare(Json& deployment, const Json* old, Arena& arena) {
    if (!old) clear_status(deployment, {}, arena);
}

void validate_rolling_update(const Json& rolling, const FieldPath& path, Causes& causes) {
    const FieldPath unavailable = path.child("maxUnavailable");
    validate_int_or_percent(field(rolling, "maxUnavailable"), unavailable, causes);
    validate_int_or_percent(field(rolling, "maxSurge"), path.child("maxSurge"), causes);
    if (int_or_percent_value(field(rolling, "maxUnavailable")) == 0 &&
        int_or_percent_value(field(rolling, "maxSurge")) == 0)
        add_invalid(causes, unavailable, field(rolling, "maxUnavailable"),
                    "may not be 0 when `maxSurge` is 0");
    validate_not_over_100_percent(field(rolling, "maxUnavailable"), unavailable, causes);
}

void validate_strategy(const Json& strategy, const FieldPath& path, Causes& causes) {
    const auto type = text_of(strategy, "type");
    const Json& rolling = field(strategy, "rollingUpdate");
    const FieldPath rolling_path = path.child("rollingUpdate");
    if (type == "Recreate" && present(rolling))
        add_forbidden(causes, rolling_path,
                      "may not be specified when strategy `type` is 'Recreate'");
    else if (type == "RollingUpdate")
        validate_rolling_update(rolling, rolling_path, causes);
}

void validate(const Json& deployment, const Json*, Causes& causes) {
    const FieldPath path{"spec"};
    const Json& spec = field(deployment, "spec");
    validate_template_selector(spec, "deployment", path, causes);
    validate_running_template(field(spec, "template"), "ReplicaSet", path.child("template"),
                              causes);
    validate_strategy(field(spec, "strategy"), path.child("strategy"), causes);
    const Json& deadline = field(spec, "progressDeadlineSeconds");
    if (present(deadline) && int_or(deadline, 0) <= int_or(field(spec, "minReadySeconds"), 0))
        add_invalid(causes, path.child("progressDeadlineSeconds"), deadline,
                    "must be greater than minReadySeconds");
}

void validate_status(const Json& deployment, const Json* old, Causes& causes) {
    const FieldPath path{"status"};
    const Json& status = field(deployment, "status");
    constexpr std::string_view too_many = "cannot be greater than status.replicas";
    validate_not_negative(status,
                          {"observedGeneration", "replicas", "updatedReplicas", "readyReplicas",
                           "availableReplicas", "unavailableReplicas", "terminatingReplicas"},
                          path, causes);
    for (const std::string_view name : {"updatedReplicas", "readyReplicas", "availableReplicas"})
        validate_no_more_than(status, name, "replicas", too_many, path, causes);
    validate_no_more_than(status, "availableReplicas", "readyReplicas",
                          "cannot be greater than readyReplicas", path, causes);
    validate_collision_count(status, old ? &field(*old, "status") : nullptr, path, causes);
}

}   // namespace

const Rules deployment_rules{
    .defaults = default_deployment,
    .prepare = prepare,
    .validate = validate,
    .validate_status = validate_status,
};

}   // namespace skiff::api
