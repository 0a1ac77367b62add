// The columns of jobs, schedules, autoscalers, budgets and cluster-wide settings.
#include <algorithm>
#include <string>

#include "api/json_fields.h"
#include "api/printers_families.h"
#include "api/selectors.h"
#include "base/text.h"

namespace skiff::api {
namespace {

using codec::Arena;
using codec::Json;

constexpr size_t metrics_shown_max = 2;

bool has_condition(const Json& object, std::string_view type) {
    return std::ranges::any_of(field(object, "status", "conditions").items(), [&](const Json& c) {
        return text_of(c, "type") == type && text_of(c, "status") == "True";
    });
}

Json job_status(const Json& job, WallTime, Arena&) {
    for (const std::string_view end : {"Complete", "Failed"})
        if (has_condition(job, end)) return Json::borrowed(end);
    if (present(field(job, "metadata", "deletionTimestamp"))) return Json::borrowed("Terminating");
    for (const std::string_view state : {"Suspended", "FailureTarget", "SuccessCriteriaMet"})
        if (has_condition(job, state)) return Json::borrowed(state);
    return Json::borrowed("Running");
}

Json job_completions(const Json& job, WallTime, Arena& arena) {
    const int64_t done = int_or(field(job, "status", "succeeded"), 0);
    const Json& wanted = field(job, "spec", "completions");
    if (present(wanted)) return Json::string(arena, concat(done, "/", int_or(wanted, 0)));
    const int64_t parallel = int_or(field(job, "spec", "parallelism"), 0);
    if (parallel > 1) return Json::string(arena, concat(done, "/1 of ", parallel));
    return Json::string(arena, concat(done, "/1"));
}

Json job_duration(const Json& job, WallTime now, Arena& arena) {
    const auto start = parse_rfc3339(text_of(job, "status", "startTime"));
    if (!start) return Json::borrowed("");
    const auto end = parse_rfc3339(text_of(job, "status", "completionTime"));
    return Json::string(arena, human_duration((end ? *end : now) - *start));
}

Json cronjob_time_zone(const Json& cron, WallTime, Arena&) {
    return text_or_none(text_of(cron, "spec", "timeZone"));
}

Json cronjob_suspend(const Json& cron, WallTime, Arena&) {
    const Json& suspend = field(cron, "spec", "suspend");
    if (!suspend.is_bool()) return Json::borrowed("<unset>");
    return Json::borrowed(truth(suspend) ? "True" : "False");
}

Json cronjob_active(const Json& cron, WallTime, Arena&) {
    return Json::integer(static_cast<int64_t>(field(cron, "status", "active").size()));
}

Json cronjob_last_schedule(const Json& cron, WallTime now, Arena& arena) {
    const auto last = text_of(cron, "status", "lastScheduleTime");
    if (last.empty()) return text_or_none({});
    return Json::string(arena, age_of(last, now));
}

Json of_containers(const Json& cron, std::string_view name, Arena& arena) {
    std::string text;
    for (const Json& container :
         field(cron, "spec", "jobTemplate", "spec", "template", "spec", "containers").items())
        append(text, text.empty() ? "" : ",", text_of(container, name));
    return Json::string(arena, text);
}

Json cronjob_containers(const Json& cron, WallTime, Arena& arena) {
    return of_containers(cron, "name", arena);
}

Json cronjob_images(const Json& cron, WallTime, Arena& arena) {
    return of_containers(cron, "image", arena);
}

Json cronjob_selector(const Json& cron, WallTime, Arena& arena) {
    const Json& selector = field(cron, "spec", "jobTemplate", "spec", "selector");
    if (!present(selector)) return text_or_none({});
    const auto parsed = LabelSelector::from_object(selector);
    return Json::string(arena, parsed ? parsed->text() : "<error>");
}

std::string_view or_unknown(std::string_view text) { return text.empty() ? "<unknown>" : text; }

std::string percent(const Json& number) {
    return present(number) ? concat(int_or(number, 0), "%") : "<unknown>";
}

// "cpu: 10%/80%": what is, and what should be.
std::string metric_text(const Json& metric, const Json& status) {
    const auto type = text_of(metric, "type");
    const std::string_view member = type == "ContainerResource" ? "containerResource"
                                    : type == "External"        ? "external"
                                    : type == "Object"          ? "object"
                                    : type == "Pods"            ? "pods"
                                                                : "resource";
    const Json& target = field(metric, member, "target");
    const Json& current = field(status, member, "current");
    std::string name;
    if (member == "resource" || member == "containerResource")
        name = concat(text_of(metric, member, "name"), ": ");
    if (present(field(target, "averageUtilization")))
        return concat(name, percent(field(current, "averageUtilization")), "/",
                      percent(field(target, "averageUtilization")));
    const Json& older = field(metric, member, "targetAverageUtilization");   // v2beta1
    if (present(older))
        return concat(name, percent(field(status, member, "currentAverageUtilization")), "/",
                      percent(older));
    const bool average = present(field(target, "averageValue"));
    const std::string_view value = average ? "averageValue" : "value";
    const bool marked = average && (member == "external" || member == "object");
    return concat(name, or_unknown(text_of(current, value)), "/", text_of(target, value),
                  marked ? " (avg)" : "");
}

Json hpa_targets(const Json& scaler, WallTime, Arena& arena) {
    const Json& only = field(scaler, "spec", "targetCPUUtilizationPercentage");   // v1
    if (present(only))
        return Json::string(
            arena,
            concat("cpu: ", percent(field(scaler, "status", "currentCPUUtilizationPercentage")),
                   "/", percent(only)));
    const auto metrics = field(scaler, "spec", "metrics").items();
    const auto current = field(scaler, "status", "currentMetrics").items();
    const Json none;
    std::string text;
    for (size_t i = 0; i < std::min(metrics.size(), metrics_shown_max); ++i)
        append(text, i ? ", " : "",
               metric_text(metrics[i], i < current.size() ? current[i] : none));
    if (metrics.size() > metrics_shown_max)
        append(text, " + ", metrics.size() - metrics_shown_max, " more...");
    return Json::string(arena, text.empty() ? "<none>" : text);
}

Json hpa_min_pods(const Json& scaler, WallTime, Arena& arena) {
    const Json& least = field(scaler, "spec", "minReplicas");
    if (!present(least)) return Json::borrowed("<unset>");
    return Json::string(arena, concat(int_or(least, 0)));
}

Json int_or_percent(const Json& value, Arena& arena) {
    if (value.is_string()) return value;
    if (!present(value)) return Json::borrowed("N/A");
    return Json::string(arena, concat(int_or(value, 0)));
}

Json pdb_min_available(const Json& budget, WallTime, Arena& arena) {
    return int_or_percent(field(budget, "spec", "minAvailable"), arena);
}

Json pdb_max_unavailable(const Json& budget, WallTime, Arena& arena) {
    return int_or_percent(field(budget, "spec", "maxUnavailable"), arena);
}

Json priorityclass_default(const Json& priority, WallTime, Arena&) {
    return Json::boolean(truth(field(priority, "globalDefault")));
}

Json bundle_signer(const Json& bundle, WallTime, Arena&) {
    return text_or_none(text_of(bundle, "spec", "signerName"));
}

Json count_of(const Json& list) { return Json::integer(static_cast<int64_t>(list.size())); }

Json webhook_count(const Json& configuration, WallTime, Arena&) {
    return count_of(field(configuration, "webhooks"));
}

Json policy_validations(const Json& policy, WallTime, Arena&) {
    return count_of(field(policy, "spec", "validations"));
}

Json policy_mutations(const Json& policy, WallTime, Arena&) {
    return count_of(field(policy, "spec", "mutations"));
}

Json policy_param_kind(const Json& policy, WallTime, Arena& arena) {
    const Json& kind = field(policy, "spec", "paramKind");
    if (!present(kind)) return Json::borrowed("<unset>");
    return Json::string(arena, concat(text_of(kind, "apiVersion"), "/", text_of(kind, "kind")));
}

Json binding_param_ref(const Json& binding, WallTime, Arena& arena) {
    const Json& reference = field(binding, "spec", "paramRef");
    if (!present(reference)) return Json::borrowed("<unset>");
    const auto name = text_of(reference, "name");
    if (name.empty()) return Json::borrowed("*");
    const auto space = text_of(reference, "namespace");
    return Json::string(arena, concat(space, space.empty() ? "" : "/", name));
}

Json flow_distinguisher(const Json& flow, WallTime, Arena&) {
    return text_or_none(text_of(flow, "spec", "distinguisherMethod", "type"));
}

Json flow_missing_level(const Json& flow, WallTime, Arena&) {
    for (const Json& condition : field(flow, "status", "conditions").items())
        if (text_of(condition, "type") == "Dangling")
            return Json::borrowed(text_of(condition, "status"));
    return Json::borrowed("?");
}

Json number_or_none(const Json& number) {
    return present(number) ? number : Json::borrowed("<none>");
}

Json level_shares(const Json& level, WallTime, Arena&) {
    const Json& older = field(level, "spec", "limited", "assuredConcurrencyShares");
    if (present(older)) return older;
    return number_or_none(field(level, "spec", "limited", "nominalConcurrencyShares"));
}

Json level_queues(const Json& level, WallTime, Arena&) {
    return number_or_none(field(level, "spec", "limited", "limitResponse", "queuing", "queues"));
}

Json level_hand_size(const Json& level, WallTime, Arena&) {
    return number_or_none(field(level, "spec", "limited", "limitResponse", "queuing", "handSize"));
}

Json level_queue_length(const Json& level, WallTime, Arena&) {
    return number_or_none(
        field(level, "spec", "limited", "limitResponse", "queuing", "queueLengthLimit"));
}

constexpr NamedPrinter printers[] = {
    {"binding_param_ref", binding_param_ref},
    {"bundle_signer", bundle_signer},
    {"cronjob_active", cronjob_active},
    {"cronjob_containers", cronjob_containers},
    {"cronjob_images", cronjob_images},
    {"cronjob_last_schedule", cronjob_last_schedule},
    {"cronjob_selector", cronjob_selector},
    {"cronjob_suspend", cronjob_suspend},
    {"cronjob_time_zone", cronjob_time_zone},
    {"flow_distinguisher", flow_distinguisher},
    {"flow_missing_level", flow_missing_level},
    {"hpa_min_pods", hpa_min_pods},
    {"hpa_targets", hpa_targets},
    {"job_completions", job_completions},
    {"job_duration", job_duration},
    {"job_status", job_status},
    {"level_hand_size", level_hand_size},
    {"level_queue_length", level_queue_length},
    {"level_queues", level_queues},
    {"level_shares", level_shares},
    {"pdb_max_unavailable", pdb_max_unavailable},
    {"pdb_min_available", pdb_min_available},
    {"policy_mutations", policy_mutations},
    {"policy_param_kind", policy_param_kind},
    {"policy_validations", policy_validations},
    {"priorityclass_default", priorityclass_default},
    {"webhook_count", webhook_count},
};

}   // namespace

std::span<const NamedPrinter> batch_printers() { return printers; }

}   // namespace skiff::api
