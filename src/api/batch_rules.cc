// Jobs, and the schedules that make them.
#include <algorithm>
#include <string>

#include "api/json_fields.h"
#include "api/kind_rules.h"
#include "api/names.h"
#include "api/pod_defaults.h"
#include "api/pod_validation.h"
#include "api/selectable.h"
#include "api/workload_checks.h"
#include "base/text.h"

namespace skiff::api {
namespace {

using codec::Arena;
using codec::Json;

constexpr int64_t indexed_parallelism_max = 100000;
constexpr size_t cronjob_name_bytes_max = 52;   // leaves room for the names of its jobs
constexpr std::string_view uid_label = "batch.kubernetes.io/controller-uid";
constexpr std::string_view name_label = "batch.kubernetes.io/job-name";

void default_job(Json& job, Arena& arena) {
    default_template(job, arena);
    Json* found = job.find("spec");
    if (!found || !found->is_object()) return;
    Json& spec = *found;
    const auto set_if_absent = [&](std::string_view name, Json value) {
        if (!present(field(spec, name))) spec.set_borrowed(arena, name, value);
    };
    const bool bounded = present(field(spec, "completions"));
    const bool parallel = present(field(spec, "parallelism"));
    if (!bounded && !parallel) set_if_absent("completions", Json::integer(1));
    set_if_absent("parallelism", Json::integer(1));
    const bool by_index = present(field(spec, "backoffLimitPerIndex"));
    set_if_absent("backoffLimit", Json::integer(by_index ? 2147483647 : 6));
    set_if_absent("manualSelector", Json::boolean(false));
    const bool policy = present(field(spec, "podFailurePolicy"));
    set_if_absent("podReplacementPolicy",
                  Json::borrowed(policy ? "Failed" : "TerminatingOrFailed"));
    if (Json* rules = spec.at_path({"podFailurePolicy", "rules"}))
        for (Json& rule : rules->items())
            if (Json* patterns = rule.find("onPodConditions"))
                for (Json& pattern : patterns->items())
                    if (text_of(pattern, "status").empty())
                        pattern.set_borrowed(arena, "status", Json::borrowed("True"));
    const Json labels = field(spec, "template", "metadata", "labels");
    Json& metadata = job.make_object(arena, "metadata");
    if (blank(field(metadata, "labels")) && !blank(labels))
        metadata.set_borrowed(arena, "labels", labels.deep_copy(arena));
}

// A job's pods carry its uid and name; what the user did not choose selects by the uid.
void generate_selector(Json& job, Arena& arena) {
    const Json uid = field(job, "metadata", "uid");
    const Json name = field(job, "metadata", "name");
    Json& spec = job.make_object(arena, "spec");
    Json& labels = spec.make_object(arena, "template")
                       .make_object(arena, "metadata")
                       .make_object(arena, "labels");
    const auto add = [&](std::string_view key, const Json& value) {
        if (!present(field(labels, key))) labels.set_borrowed(arena, key, value);
    };
    add("controller-uid", uid);
    add(uid_label, uid);
    add("job-name", name);
    add(name_label, name);
    Json& chosen = spec.make_object(arena, "selector").make_object(arena, "matchLabels");
    if (!present(field(chosen, uid_label))) chosen.set_borrowed(arena, uid_label, uid);
}

void prepare_job(Json& job, const Json* old, Arena& arena) {
    if (old) return;
    clear_status(job, {}, arena);
    if (!truth(field(job, "spec", "manualSelector"))) generate_selector(job, arena);
}

void validate_ending_template(const Json& spec, const FieldPath& path, Causes& causes) {
    const FieldPath pod_template = path.child("template");
    validate_template(field(spec, "template"), pod_template, causes);
    const FieldPath pod_spec = pod_template.child("spec");
    const FieldPath policy_path = pod_spec.child("restartPolicy");
    const auto policy = text_of(spec, "template", "spec", "restartPolicy");
    if (policy != "OnFailure" && policy != "Never")
        add_required(causes, policy_path, R"(valid values: "OnFailure", "Never")");
    else if (policy != "Never" && present(field(spec, "podFailurePolicy")))
        add_invalid(causes, policy_path, policy,
                    R"(only "Never" is supported when podFailurePolicy is specified)");
}

void validate_indexes(const Json& spec, const FieldPath& path, Causes& causes) {
    const auto mode = text_of(spec, "completionMode");
    if (mode != "Indexed") {
        if (mode != "NonIndexed")
            add_not_supported(causes, path.child("completionMode"), mode,
                              {"Indexed", "NonIndexed"});
        for (const std::string_view name :
             {"backoffLimitPerIndex", "maxFailedIndexes", "successPolicy"})
            if (present(field(spec, name)))
                add_invalid(causes, path.child(name), field(spec, name),
                            "requires indexed completion mode");
        return;
    }
    if (!present(field(spec, "completions")))
        add_required(causes, path.child("completions"), "when completion mode is Indexed");
    const Json& parallelism = field(spec, "parallelism");
    if (int_or(parallelism, 0) > indexed_parallelism_max)
        add_invalid(causes, path.child("parallelism"), parallelism,
                    concat("must be less than or equal to ", indexed_parallelism_max,
                           " when completion mode is Indexed"));
    if (present(field(spec, "maxFailedIndexes")) && !present(field(spec, "backoffLimitPerIndex")))
        add_required(causes, path.child("backoffLimitPerIndex"),
                     "when maxFailedIndexes is specified");
}

void validate_failure_policy(const Json& spec, const FieldPath& path, Causes& causes) {
    const FieldPath policy = path.child("podFailurePolicy");
    const auto rules = field(spec, "podFailurePolicy", "rules").items();
    for (size_t i = 0; i < rules.size(); ++i) {
        const FieldPath rule = policy.child("rules", i);
        const bool codes = present(field(rules[i], "onExitCodes"));
        const bool conditions = !blank(field(rules[i], "onPodConditions"));
        if (codes && conditions)
            add_invalid(causes, rule, rules[i],
                        "specifying both OnExitCodes and OnPodConditions is not supported");
        if (!codes && !conditions)
            add_invalid(causes, rule, rules[i],
                        "specifying one of OnExitCodes and OnPodConditions is required");
        if (text_of(rules[i], "action") == "FailIndex" &&
            !present(field(spec, "backoffLimitPerIndex")))
            add_invalid(causes, rule.child("action"), "FailIndex",
                        "requires the "
                        "backoffLimitPerIndex to be set");
    }
}

void validate_job_spec(const Json& spec, const FieldPath& path, Causes& causes) {
    validate_ending_template(spec, path, causes);
    validate_indexes(spec, path, causes);
    validate_failure_policy(spec, path, causes);
    const auto replacement = text_of(spec, "podReplacementPolicy");
    const FieldPath replacement_path = path.child("podReplacementPolicy");
    if (present(field(spec, "podFailurePolicy")) && !replacement.empty() && replacement != "Failed")
        add_not_supported(causes, replacement_path, replacement, {"Failed"});
    else if (!replacement.empty() && replacement != "Failed" &&
             replacement != "TerminatingOrFailed")
        add_not_supported(causes, replacement_path, replacement, {"Failed", "TerminatingOrFailed"});
}

// A job that waits and has not begun may still get another place to run.
bool may_be_rescheduled(const Json& old) {
    return truth(field(old, "spec", "suspend")) && !present(field(old, "status", "startTime"));
}

void validate_job_update(const Json& spec, const Json& old, const FieldPath& path, Causes& causes) {
    const Json& before = field(old, "spec");
    const auto same = [&](std::string_view name) {
        return field(spec, name) == field(before, name);
    };
    for (const std::string_view name : {"selector", "completionMode", "podFailurePolicy",
                                        "backoffLimitPerIndex", "managedBy", "successPolicy"})
        if (!same(name))
            add_invalid(causes, path.child(name), field(spec, name), immutable_message);
    const bool elastic = text_of(spec, "completionMode") == "Indexed" &&
                         field(spec, "completions") == field(spec, "parallelism");
    if (!same("completions") && !elastic)
        add_invalid(causes, path.child("completions"), field(spec, "completions"),
                    immutable_message);
    if (!same("template") && !may_be_rescheduled(old))
        add_invalid(causes, path.child("template"), field(spec, "template"), immutable_message);
}

void validate_job(const Json& job, const Json* old, Causes& causes) {
    const FieldPath path{"spec"};
    const Json& spec = field(job, "spec");
    if (present(field(spec, "selector")))
        validate_template_selector(spec, "job", path, causes);
    else
        add_required(causes, path.child("selector"));
    validate_job_spec(spec, path, causes);
    if (old) validate_job_update(spec, *old, path, causes);
}

void validate_job_status(const Json& job, const Json*, Causes& causes) {
    const FieldPath path{"status"};
    validate_not_negative(field(job, "status"),
                          {"active", "succeeded", "failed", "ready", "terminating"}, path, causes);
}

std::string job_selectable(const Json& job, std::string_view name) {
    if (name == "status.successful") {
        const std::string count = text_at_path(job, "status.succeeded");
        return count.empty() ? "0" : count;
    }
    return text_at_path(job, name);
}

void default_cron_job(Json& cron, Arena& arena) {
    Json* pods = cron.at_path({"spec", "jobTemplate", "spec", "template", "spec"});
    if (pods && pods->is_object()) default_pod_spec(*pods, arena);
}

void prepare_cron_job(Json& cron, const Json* old, Arena& arena) {
    if (!old) clear_status(cron, {}, arena);
}

bool is_cron_field(std::string_view text) {
    return !text.empty() && std::ranges::all_of(text, [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
               c == '*' || c == '/' || c == ',' || c == '-' || c == '?';
    });
}

// "" or what is wrong with a schedule.
std::string check_schedule(std::string_view schedule) {
    if (schedule.find("TZ") != schedule.npos)
        return "cannot use TZ or CRON_TZ in schedule, use timeZone field instead";
    if (schedule.starts_with('@')) {
        constexpr std::string_view known[] = {"@yearly", "@annually", "@monthly", "@weekly",
                                              "@daily",  "@midnight", "@hourly"};
        if (std::ranges::find(known, schedule) != std::end(known) ||
            schedule.starts_with("@every "))
            return {};
        return concat("unrecognized descriptor: ", schedule);
    }
    std::vector<std::string> parts;
    for (const auto part : split(schedule, ' '))
        if (!trim(part).empty()) parts.emplace_back(trim(part));
    if (parts.size() != 5)
        return concat("expected exactly 5 fields, found ", parts.size(), ": [", join(parts, " "),
                      "]");
    for (const auto& part : parts)
        if (!is_cron_field(part)) return concat("failed to parse int from ", part);
    return {};
}

void validate_cron_job(const Json& cron, const Json*, Causes& causes) {
    const FieldPath path{"spec"};
    const Json& spec = field(cron, "spec");
    const auto schedule = text_of(spec, "schedule");
    if (!schedule.empty())
        add_unless_ok(causes, path.child("schedule"), schedule, check_schedule(schedule));
    const Json& zone = field(spec, "timeZone");
    if (zone.is_string() && (zone.text().empty() || lower(zone.text()) == "local"))
        add_invalid(causes, path.child("timeZone"), zone,
                    zone.text().empty() ? "timeZone must be nil or non-empty string"
                                        : "timeZone must be an explicit time zone");
    const FieldPath job = path.child("jobTemplate");
    const FieldPath job_path = job.child("spec");
    const Json& job_spec = field(spec, "jobTemplate", "spec");
    if (present(field(job_spec, "selector")))
        add_forbidden(causes, job_path.child("selector"), "`selector` will be auto-generated");
    if (truth(field(job_spec, "manualSelector")))
        add_not_supported(causes, job_path.child("manualSelector"), "true", {"nil", "false"});
    validate_ending_template(job_spec, job_path, causes);
    const auto name = text_of(cron, "metadata", "name");
    const FieldPath metadata{"metadata"};
    if (name.size() > cronjob_name_bytes_max)
        add_invalid(causes, metadata.child("name"), name,
                    concat("must be no more than ", cronjob_name_bytes_max, " characters"));
}

}   // namespace

const Rules job_rules{
    .defaults = default_job,
    .prepare = prepare_job,
    .validate = validate_job,
    .validate_status = validate_job_status,
    .selectable = job_selectable,
};

const Rules cronjob_rules{
    .defaults = default_cron_job,
    .prepare = prepare_cron_job,
    .validate = validate_cron_job,
};

}   // namespace skiff::api
