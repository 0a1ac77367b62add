// Autoscalers before v2, which say metrics in other words, and budgets of policy/v1beta1, whose
// empty selector selects nothing.
#include "api/conversions_families.h"
#include "api/json_fields.h"

namespace skiff::api {
namespace {

using codec::Arena;
using codec::Json;

// Copies of one member under another name; nothing when it is absent.
void put(Json& into, std::string_view name, const Json& value, Arena& arena) {
    if (present(value)) into.set_borrowed(arena, name, value.deep_copy(arena));
}

bool is_cpu_percentage(const Json& metric, std::string_view values) {
    return text_of(metric, "type") == "Resource" && text_of(metric, "resource", "name") == "cpu" &&
           present(field(metric, "resource", values, "averageUtilization"));
}

// The one metric that v1 knows, in front of those that only v2 can say.
Json with_cpu(const Json& percentage, const Json& existing, std::string_view values, Arena& arena) {
    std::vector<Json> kept;
    for (const Json& metric : existing.items())
        if (!is_cpu_percentage(metric, values)) kept.push_back(metric.deep_copy(arena));
    Json list = Json::array();
    if (present(percentage)) {
        Json target = Json::object();
        if (values == "target") target.set_borrowed(arena, "type", Json::borrowed("Utilization"));
        target.set_borrowed(arena, "averageUtilization", percentage);
        Json resource = Json::object();
        resource.set_borrowed(arena, "name", Json::borrowed("cpu"));
        resource.set_borrowed(arena, values, target);
        Json metric = Json::object();
        metric.set_borrowed(arena, "type", Json::borrowed("Resource"));
        metric.set_borrowed(arena, "resource", resource);
        list.push(arena, metric);
    }
    for (const Json& metric : kept) list.push(arena, metric);
    return list;
}

Json cpu_of(const Json& metrics, std::string_view values) {
    for (const Json& metric : metrics.items())
        if (is_cpu_percentage(metric, values))
            return field(metric, "resource", values, "averageUtilization");
    return {};
}

constexpr std::string_view target_v1 = "targetCPUUtilizationPercentage";
constexpr std::string_view current_v1 = "currentCPUUtilizationPercentage";

Result<> v1_to_stored(Json& object, const Json* existing, Arena& arena) {
    const Json none;
    const Json& before = existing ? *existing : none;
    Json& spec = object.make_object(arena, "spec");
    spec.set_borrowed(
        arena, "metrics",
        with_cpu(field(spec, target_v1), field(before, "spec", "metrics"), "target", arena));
    spec.remove(target_v1);
    Json& status = object.make_object(arena, "status");
    status.set_borrowed(arena, "currentMetrics",
                        with_cpu(field(status, current_v1),
                                 field(before, "status", "currentMetrics"), "current", arena));
    status.remove(current_v1);
    return {};
}

Result<> v1_from_stored(Json& object, Arena& arena) {
    Json& spec = object.make_object(arena, "spec");
    put(spec, target_v1, cpu_of(field(spec, "metrics"), "target"), arena);
    spec.remove("metrics");
    if (Json* status = object.find("status"); status && status->is_object()) {
        put(*status, current_v1, cpu_of(field(*status, "currentMetrics"), "current"), arena);
        status->remove("currentMetrics");
    }
    return {};
}

// Where v2beta1 has what v2 has in `metric`, `target` or `current`; by kind of metric.
struct Words {
    std::string_view member;     // of the metric: "pods"
    std::string_view name;       // "" when both versions have `name` in place
    std::string_view selector;   // "" none
    std::string_view value;
    std::string_view average;
    std::string_view percent;
    std::string_view object;   // the described object
};

constexpr Words spec_words[] = {
    {"object", "metricName", "selector", "targetValue", "averageValue", "", "target"},
    {"pods", "metricName", "selector", "", "targetAverageValue", "", ""},
    {"resource", "", "", "", "targetAverageValue", "targetAverageUtilization", ""},
    {"containerResource", "", "", "", "targetAverageValue", "targetAverageUtilization", ""},
    {"external", "metricName", "metricSelector", "targetValue", "targetAverageValue", "", ""},
};
constexpr Words status_words[] = {
    {"object", "metricName", "selector", "currentValue", "averageValue", "", "target"},
    {"pods", "metricName", "selector", "", "currentAverageValue", "", ""},
    {"resource", "", "", "", "currentAverageValue", "currentAverageUtilization", ""},
    {"containerResource", "", "", "", "currentAverageValue", "currentAverageUtilization", ""},
    {"external", "metricName", "metricSelector", "currentValue", "currentAverageValue", "", ""},
};

const Json& named(const Json& source, std::string_view name) {
    static const Json absent;
    return name.empty() ? absent : field(source, name);
}

// "0" is how a quantity that is no pointer says that there is none.
bool is_said(const Json& amount) { return present(amount) && amount.text() != "0"; }

std::string_view target_type(const Json& source, const Words& words) {
    if (present(named(source, words.percent))) return "Utilization";
    if (words.value.empty() ||
        (words.average != "averageValue" ? !present(named(source, words.value))
                                         : is_said(named(source, words.average))))
        return "AverageValue";
    return "Value";
}

Json newer_source(const Json& source, const Words& words, bool target, Arena& arena) {
    Json made = Json::object();
    if (!words.name.empty()) {
        Json& metric = made.set_borrowed(arena, "metric", Json::object());
        put(metric, "name", named(source, words.name), arena);
        put(metric, "selector", named(source, words.selector), arena);
    }
    put(made, "describedObject", named(source, words.object), arena);
    for (const std::string_view same : {"name", "container"})
        put(made, same, field(source, same), arena);
    Json& values = made.set_borrowed(arena, target ? "target" : "current", Json::object());
    if (target) values.set_borrowed(arena, "type", Json::borrowed(target_type(source, words)));
    put(values, "value", named(source, words.value), arena);
    put(values, "averageValue", named(source, words.average), arena);
    put(values, "averageUtilization", named(source, words.percent), arena);
    return made;
}

Json older_source(const Json& source, const Words& words, bool target, Arena& arena) {
    Json made = Json::object();
    const auto set = [&](std::string_view name, const Json& value) {
        if (!name.empty()) put(made, name, value, arena);
    };
    set(words.object, field(source, "describedObject"));
    set(words.name, field(source, "metric", "name"));
    set(words.selector, field(source, "metric", "selector"));
    for (const std::string_view same : {"name", "container"}) set(same, field(source, same));
    const Json& values = field(source, target ? "target" : "current");
    set(words.value, field(values, "value"));
    set(words.average, field(values, "averageValue"));
    set(words.percent, field(values, "averageUtilization"));
    return made;
}

using Rewrite = Json (*)(const Json&, const Words&, bool, Arena&);

void rewrite(Json* metrics, std::span<const Words> all, bool target, Rewrite one, Arena& arena) {
    if (!metrics) return;
    for (Json& metric : metrics->items())
        for (const Words& words : all)
            if (present(field(metric, words.member)))
                metric.set_borrowed(arena, words.member,
                                    one(field(metric, words.member), words, target, arena));
}

Result<> v2beta1_to_stored(Json& object, const Json*, Arena& arena) {
    rewrite(object.at_path({"spec", "metrics"}), spec_words, true, newer_source, arena);
    rewrite(object.at_path({"status", "currentMetrics"}), status_words, false, newer_source, arena);
    return {};
}

Result<> v2beta1_from_stored(Json& object, Arena& arena) {
    rewrite(object.at_path({"spec", "metrics"}), spec_words, true, older_source, arena);
    rewrite(object.at_path({"status", "currentMetrics"}), status_words, false, older_source, arena);
    return {};
}

constexpr std::string_view none_key = "pdb.kubernetes.io/deprecated-v1beta1-empty-selector-match";

bool is_empty(const Json& selector) {
    return present(selector) && blank(field(selector, "matchLabels")) &&
           blank(field(selector, "matchExpressions"));
}

// {matchExpressions: [{key, operator}]}: all pods, or none, in either version's words.
Json marked_selector(std::string_view op, Arena& arena) {
    Json requirement = Json::object();
    requirement.set_borrowed(arena, "key", Json::borrowed(none_key));
    requirement.set_borrowed(arena, "operator", Json::borrowed(op));
    Json selector = Json::object();
    selector.set_borrowed(arena, "matchExpressions", Json::array()).push(arena, requirement);
    return selector;
}

bool is_marked(const Json& selector, std::string_view op) {
    const auto requirements = field(selector, "matchExpressions").items();
    return requirements.size() == 1 && blank(field(selector, "matchLabels")) &&
           text_of(requirements[0], "key") == none_key &&
           text_of(requirements[0], "operator") == op;
}

Result<> budget_to_stored(Json& object, const Json*, Arena& arena) {
    Json* selector = object.at_path({"spec", "selector"});
    if (!selector) return {};
    if (is_empty(*selector))
        *selector = marked_selector("Exists", arena);
    else if (is_marked(*selector, "DoesNotExist"))
        *selector = Json::object();
    return {};
}

Result<> budget_from_stored(Json& object, Arena& arena) {
    Json* selector = object.at_path({"spec", "selector"});
    if (!selector) return {};
    if (is_empty(*selector))
        *selector = marked_selector("DoesNotExist", arena);
    else if (is_marked(*selector, "Exists"))
        *selector = Json::object();
    return {};
}

constexpr NamedConversion conversions[] = {
    {"hpa_v1", {v1_to_stored, v1_from_stored}},
    {"hpa_v2beta1", {v2beta1_to_stored, v2beta1_from_stored}},
    {"pdb_v1beta1", {budget_to_stored, budget_from_stored}},
};

}   // namespace

std::span<const NamedConversion> autoscaling_conversions() { return conversions; }

}   // namespace skiff::api
