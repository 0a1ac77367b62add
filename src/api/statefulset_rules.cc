// Stateful sets, daemon sets, and the revisions that both keep.
#include <algorithm>

#include "api/json_fields.h"
#include "api/kind_rules.h"
#include "api/workload_checks.h"
#include "base/text.h"

namespace skiff::api {
namespace {

using codec::Arena;
using codec::Json;

// Claims in a set carry their kind and are what a claim by itself would be.
void default_claims(Json& spec, Arena& arena) {
    Json* claims = spec.find("volumeClaimTemplates");
    if (!claims) return;
    for (Json& claim : claims->items()) {
        if (!claim.is_object()) continue;
        if (!claim.find("apiVersion"))
            claim.set_borrowed(arena, "apiVersion", Json::borrowed("v1"));
        if (!claim.find("kind"))
            claim.set_borrowed(arena, "kind", Json::borrowed("PersistentVolumeClaim"));
        Json& claim_spec = claim.make_object(arena, "spec");
        if (!present(field(claim_spec, "volumeMode")))
            claim_spec.set_borrowed(arena, "volumeMode", Json::borrowed("Filesystem"));
        Json& status = claim.make_object(arena, "status");
        if (text_of(status, "phase").empty())
            status.set_borrowed(arena, "phase", Json::borrowed("Pending"));
    }
}

void default_stateful_set(Json& set, Arena& arena) {
    default_template(set, arena);
    Json* spec = set.find("spec");
    if (!spec || !spec->is_object()) return;
    default_claims(*spec, arena);
    Json* strategy = spec->find("updateStrategy");
    if (!strategy || text_of(*strategy, "type") != "RollingUpdate") return;
    Json& rolling = strategy->make_object(arena, "rollingUpdate");
    if (!present(field(rolling, "partition")))
        rolling.set_borrowed(arena, "partition", Json::integer(0));
}

void prepare_stateful_set(Json& set, const Json* old, Arena& arena) {
    if (!old) clear_status(set, {"replicas", "availableReplicas"}, arena);
}

void validate_stateful_strategy(const Json& strategy, const FieldPath& path, Causes& causes) {
    const auto type = text_of(strategy, "type");
    const Json& rolling = field(strategy, "rollingUpdate");
    const FieldPath rolling_path = path.child("rollingUpdate");
    if (type == "OnDelete" && present(rolling))
        add_invalid(causes, rolling_path, rolling,
                    "only allowed for updateStrategy 'RollingUpdate'");
    const Json& unavailable = field(rolling, "maxUnavailable");
    if (type != "RollingUpdate" || !present(unavailable)) return;
    const FieldPath unavailable_path = rolling_path.child("maxUnavailable");
    validate_int_or_percent(unavailable, unavailable_path, causes);
    if (int_or_percent_value(unavailable) == 0)
        add_invalid(causes, unavailable_path, unavailable, "cannot be 0");
    validate_not_over_100_percent(unavailable, unavailable_path, causes);
}

constexpr std::string_view changeable[] = {
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
};

// Equal but for what an update may change.
bool same_identity(const Json& spec, const Json& old) {
    const auto fixed = [](std::string_view name) {
        return std::ranges::find(changeable, name) == std::end(changeable);
    };
    const auto covers = [&](const Json& left, const Json& right) {
        return std::ranges::all_of(left.members(), [&](const Json::Member& member) {
            const Json* other = right.find(member.key);
            return !fixed(member.key) || (other ? *other == member.value : blank(member.value));
        });
    };
    return covers(spec, old) && covers(old, spec);
}

void validate_stateful_set(const Json& set, const Json* old, Causes& causes) {
    const FieldPath path{"spec"};
    const Json& spec = field(set, "spec");
    validate_stateful_strategy(field(spec, "updateStrategy"), path.child("updateStrategy"), causes);
    validate_template_selector(spec, "statefulset", path, causes);
    validate_running_template(field(spec, "template"), "StatefulSet", path.child("template"),
                              causes);
    if (old && !same_identity(spec, field(*old, "spec")))
        add_forbidden(causes, path,
                      "updates to statefulset spec for fields other than 'replicas', 'ordinals', "
                      "'template', 'updateStrategy', 'revisionHistoryLimit', "
                      "'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden");
}

void validate_stateful_status(const Json& set, const Json* old, Causes& causes) {
    const FieldPath path{"status"};
    const Json& status = field(set, "status");
    validate_not_negative(status,
                          {"replicas", "readyReplicas", "currentReplicas", "updatedReplicas",
                           "availableReplicas", "observedGeneration"},
                          path, causes);
    for (const std::string_view name :
         {"readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas"})
        validate_no_more_than(status, name, "replicas", "cannot be greater than status.replicas",
                              path, causes);
    validate_no_more_than(status, "availableReplicas", "readyReplicas",
                          "cannot be greater than status.readyReplicas", path, causes);
    validate_collision_count(status, old ? &field(*old, "status") : nullptr, path, causes);
}

void default_daemon_set(Json& set, Arena& arena) {
    default_template(set, arena);
    Json* strategy = set.at_path({"spec", "updateStrategy"});
    if (!strategy || text_of(*strategy, "type") != "RollingUpdate") return;
    Json& rolling = strategy->make_object(arena, "rollingUpdate");
    if (!present(field(rolling, "maxUnavailable")))
        rolling.set_borrowed(arena, "maxUnavailable", Json::integer(1));
    if (!present(field(rolling, "maxSurge")))
        rolling.set_borrowed(arena, "maxSurge", Json::integer(0));
}

void prepare_daemon_set(Json& set, const Json* old, Arena& arena) {
    if (!old)
        clear_status(set,
                     {"currentNumberScheduled", "numberMisscheduled", "desiredNumberScheduled",
                      "numberReady"},
                     arena);
}

void validate_daemon_strategy(const Json& strategy, const FieldPath& path, Causes& causes) {
    if (text_of(strategy, "type") != "RollingUpdate") return;
    const Json& rolling = field(strategy, "rollingUpdate");
    const FieldPath rolling_path = path.child("rollingUpdate");
    const FieldPath unavailable = rolling_path.child("maxUnavailable");
    const FieldPath surge = rolling_path.child("maxSurge");
    validate_int_or_percent(field(rolling, "maxUnavailable"), unavailable, causes);
    validate_int_or_percent(field(rolling, "maxSurge"), surge, causes);
    validate_not_over_100_percent(field(rolling, "maxUnavailable"), unavailable, causes);
    validate_not_over_100_percent(field(rolling, "maxSurge"), surge, causes);
    const bool has_unavailable = int_or_percent_value(field(rolling, "maxUnavailable")) != 0;
    const bool has_surge = int_or_percent_value(field(rolling, "maxSurge")) != 0;
    if (has_unavailable && has_surge)
        add_invalid(causes, surge, field(rolling, "maxSurge"),
                    "may not be set when maxUnavailable is non-zero");
    if (!has_unavailable && !has_surge)
        add_required(causes, unavailable, "cannot be 0 when maxSurge is 0");
}

void validate_daemon_set(const Json& set, const Json*, Causes& causes) {
    const FieldPath path{"spec"};
    const Json& spec = field(set, "spec");
    validate_template_selector(spec, "daemonset", path, causes);
    validate_running_template(field(spec, "template"), "DaemonSet", path.child("template"), causes);
    validate_daemon_strategy(field(spec, "updateStrategy"), path.child("updateStrategy"), causes);
}

void validate_daemon_status(const Json& set, const Json* old, Causes& causes) {
    const FieldPath path{"status"};
    const Json& status = field(set, "status");
    validate_not_negative(
        status,
        {"currentNumberScheduled", "numberMisscheduled", "desiredNumberScheduled", "numberReady",
         "observedGeneration", "updatedNumberScheduled", "numberAvailable", "numberUnavailable"},
        path, causes);
    validate_collision_count(status, old ? &field(*old, "status") : nullptr, path, causes);
}

void validate_revision(const Json& revision, const Json* old, Causes& causes) {
    const FieldPath data{"data"};
    if (!present(field(revision, "data"))) add_required(causes, data, "data is mandatory");
    if (old && !(field(revision, "data") == field(*old, "data")))
        add_invalid(causes, data, field(revision, "data"), immutable_message);
}

}   // namespace

const Rules statefulset_rules{
    .defaults = default_stateful_set,
    .prepare = prepare_stateful_set,
    .validate = validate_stateful_set,
    .validate_status = validate_stateful_status,
};

const Rules daemonset_rules{
    .defaults = default_daemon_set,
    .prepare = prepare_daemon_set,
    .validate = validate_daemon_set,
    .validate_status = validate_daemon_status,
};

const Rules controllerrevision_rules{.validate = validate_revision};

}   // namespace skiff::api
