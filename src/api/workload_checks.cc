#include "api/workload_checks.h"

#include <algorithm>
#include <string>

#include "api/json_fields.h"
#include "api/names.h"
#include "api/pod_defaults.h"
#include "api/pod_validation.h"
#include "api/selectors.h"
#include "base/text.h"

namespace skiff::api {
namespace {

using codec::Arena;
using codec::Json;

constexpr std::string_view percent_message =
    "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or "
    "'93%', regex used for validation is '[0-9]+%')";

bool is_percent(std::string_view text) {
    return text.size() > 1 && text.ends_with('%') &&
           std::ranges::all_of(text.substr(0, text.size() - 1),
                               [](char c) { return c >= '0' && c <= '9'; });
}

}   // namespace

void default_template(Json& object, Arena& arena) {
    Json* spec = object.is_object() ? object.find("spec") : nullptr;
    Json* pod_template = spec && spec->is_object() ? spec->find("template") : nullptr;
    Json* pod_spec =
        pod_template && pod_template->is_object() ? pod_template->find("spec") : nullptr;
    if (pod_spec && pod_spec->is_object()) default_pod_spec(*pod_spec, arena);
}

void validate_template(const Json& pod_template, const FieldPath& path, Causes& causes) {
    const FieldPath metadata = path.child("metadata");
    const FieldPath labels = metadata.child("labels");
    validate_labels(field(pod_template, "metadata", "labels"), labels, causes);
    const FieldPath annotations = metadata.child("annotations");
    for (const auto& [key, value] : field(pod_template, "metadata", "annotations").members())
        add_unless_ok(causes, annotations, key, check_qualified_name(lower(key)));
    const FieldPath spec = path.child("spec");
    validate_pod_spec(field(pod_template, "spec"), spec, causes);
    if (!blank(field(pod_template, "spec", "ephemeralContainers")))
        add_forbidden(causes, spec.child("ephemeralContainers"),
                      "ephemeral containers not allowed in pod template");
}

void validate_running_template(const Json& pod_template, std::string_view kind,
                               const FieldPath& path, Causes& causes) {
    validate_template(pod_template, path, causes);
    const FieldPath spec = path.child("spec");
    if (const auto policy = text_of(pod_template, "spec", "restartPolicy");
        policy == "OnFailure" || policy == "Never")
        add_not_supported(causes, spec.child("restartPolicy"), policy, {"Always"});
    if (present(field(pod_template, "spec", "activeDeadlineSeconds")))
        add_forbidden(causes, spec.child("activeDeadlineSeconds"),
                      concat("activeDeadlineSeconds in ", kind, " is not Supported"));
}

void validate_template_selector(const Json& spec, std::string_view kind, const FieldPath& path,
                                Causes& causes) {
    const Json& selector = field(spec, "selector");
    if (!present(selector)) return;   // required, says the table
    const FieldPath selector_path = path.child("selector");
    validate_label_selector(selector, selector_path, causes);
    if (blank(field(selector, "matchLabels")) && blank(field(selector, "matchExpressions"))) {
        add_invalid(causes, selector_path, selector,
                    concat("empty selector is invalid for ", kind));
        return;
    }
    const auto parsed = LabelSelector::from_object(selector);
    if (!parsed) return add_invalid(causes, selector_path, selector, "invalid label selector");
    const Json& labels = field(spec, "template", "metadata", "labels");
    if (parsed->matches(labels)) return;
    const FieldPath pod_template = path.child("template");
    const FieldPath metadata = pod_template.child("metadata");
    add_invalid(causes, metadata.child("labels"), labels,
                "`selector` does not match template `labels`");
}

void validate_int_or_percent(const Json& value, const FieldPath& path, Causes& causes) {
    if (value.is_integer() && value.as_int() < 0)
        add_invalid(causes, path, value, not_negative_message);
    if (value.is_string() && !is_percent(value.as_string()))
        add_invalid(causes, path, value, percent_message);
}

void validate_not_over_100_percent(const Json& value, const FieldPath& path, Causes& causes) {
    if (value.is_string() && is_percent(value.as_string()) && int_or_percent_value(value) > 100)
        add_invalid(causes, path, value, "must not be greater than 100%");
}

int64_t int_or_percent_value(const Json& value) {
    constexpr int64_t enough = 1'000'000'000;
    if (!value.is_string()) return int_or(value, 0);
    if (!is_percent(value.as_string())) return 0;
    int64_t number = 0;
    for (const char digit : value.as_string().substr(0, value.as_string().size() - 1))
        number = std::min(enough, number * 10 + (digit - '0'));
    return number;
}

void validate_not_negative(const Json& object, std::initializer_list<std::string_view> names,
                           const FieldPath& path, Causes& causes) {
    for (const auto name : names)
        if (const int64_t value = int_or(field(object, name), 0); value < 0)
            add_invalid(causes, path.child(name), value, not_negative_message);
}

void validate_no_more_than(const Json& status, std::string_view name, std::string_view whole,
                           std::string_view message, const FieldPath& path, Causes& causes) {
    const int64_t part = int_or(field(status, name), 0);
    if (part > int_or(field(status, whole), 0))
        add_invalid(causes, path.child(name), part, message);
}

void validate_collision_count(const Json& status, const Json* old, const FieldPath& path,
                              Causes& causes) {
    const FieldPath count = path.child("collisionCount");
    const Json& now = field(status, "collisionCount");
    validate_not_negative(status, {"collisionCount"}, path, causes);
    if (!old) return;
    const Json& before = field(*old, "collisionCount");
    if (present(before) && !present(now))
        add_invalid(causes, count, now, "cannot be decremented");
    else if (int_or(now, 0) < int_or(before, 0))
        add_invalid(causes, count, now, "cannot be decremented");
}

void clear_status(Json& object, std::initializer_list<std::string_view> zeros, Arena& arena) {
    Json& status = object.set_borrowed(arena, "status", Json::object());
    for (const auto name : zeros) status.set_borrowed(arena, name, Json::integer(0));
}

}   // namespace skiff::api
