// What a namespace, and an object in it, may ask for.
#include <algorithm>
#include <array>
#include <set>
#include <span>
#include <string>

#include "api/field_errors.h"
#include "api/json_fields.h"
#include "api/kind_rules.h"
#include "api/names.h"
#include "api/quantity.h"
#include "base/text.h"

namespace skiff::api {
namespace {

using codec::Arena;
using codec::Json;

constexpr std::string_view standard_resources[] = {
    "cpu",
    "memory",
    "ephemeral-storage",
    "requests.cpu",
    "requests.memory",
    "requests.storage",
    "requests.ephemeral-storage",
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
    "pods",
    "resourcequotas",
    "services",
    "replicationcontrollers",
    "secrets",
    "persistentvolumeclaims",
    "configmaps",
    "services.nodeports",
    "services.loadbalancers",
};
constexpr std::string_view whole_resources[] = {
    "pods",
    "services",
    "replicationcontrollers",
    "resourcequotas",
    "secrets",
    "configmaps",
    "persistentvolumeclaims",
    "services.nodeports",
    "services.loadbalancers",
};
constexpr std::string_view known_scopes[] = {
    "BestEffort",  "CrossNamespacePodAffinity", "NotBestEffort", "NotTerminating", "PriorityClass",
    "Terminating", "VolumeAttributesClass",
};

bool among(std::span<const std::string_view> names, std::string_view name) {
    return std::ranges::find(names, name) != names.end();
}

// For Containers, what a container that says nothing gets: the most and the least.
void default_item(Json& item, Arena& arena) {
    if (text_of(item, "type") != "Container") return;
    const auto fill = [&](std::string_view into, std::string_view from) {
        const Json given = field(item, from);
        if (blank(given)) return;
        Json& target = item.make_object(arena, into);
        for (const auto& [name, amount] : given.members())
            if (!present(field(target, name))) target.set(arena, name, amount);
    };
    fill("default", "max");
    fill("defaultRequest", "default");
    fill("defaultRequest", "min");
}

void default_range(Json& range, Arena& arena) {
    Json* limits = range.at_path({"spec", "limits"});
    if (!limits) return;
    for (Json& item : limits->items())
        if (item.is_object()) default_item(item, arena);
}

struct Bound {
    std::string_view field;
    std::string_view words;
};

// `low` of a resource may not be greater than `high`; the cause stands at `at`.
void validate_order(const Json& item, std::string_view name, Bound low, Bound high,
                    std::string_view at, const FieldPath& path, Causes& causes) {
    const Json& low_text = field(item, low.field, name);
    const Json& high_text = field(item, high.field, name);
    const auto low_amount = Quantity::parse(low_text.text());
    const auto high_amount = Quantity::parse(high_text.text());
    if (!low_amount || !high_amount || !(*low_amount > *high_amount)) return;
    const FieldPath list = path.child(at);
    add_invalid(causes, list.key(name), field(item, at, name),
                concat(low.words, " ", low_text.text(), " is greater than ", high.words, " ",
                       high_text.text()));
}

void validate_bounds(const Json& item, std::string_view name, const FieldPath& path,
                     Causes& causes) {
    constexpr Bound min{"min", "min value"};
    constexpr Bound max{"max", "max value"};
    constexpr Bound request{"defaultRequest", "default request value"};
    constexpr Bound limit{"default", "default value"};
    constexpr Bound limit_of_request{"default", "default limit value"};
    validate_order(item, name, min, max, "min", path, causes);
    validate_order(item, name, min, request, "defaultRequest", path, causes);
    validate_order(item, name, request, max, "defaultRequest", path, causes);
    validate_order(item, name, request, limit_of_request, "defaultRequest", path, causes);
    validate_order(item, name, min, limit, "default", path, causes);
    validate_order(item, name, limit, max, "default", path, causes);
    const Json& ratio_text = field(item, "maxLimitRequestRatio", name);
    const auto ratio = Quantity::parse(ratio_text.text());
    const FieldPath ratios = path.child("maxLimitRequestRatio");
    if (ratio && *ratio < Quantity::from_value(1))
        add_invalid(causes, ratios.key(name), ratio_text,
                    concat("ratio ", ratio_text.text(), " is less than 1"));
}

void validate_item(const Json& item, const FieldPath& path, Causes& causes) {
    const auto type = text_of(item, "type");
    std::set<std::string_view> names;
    for (const std::string_view list :
         {"max", "min", "default", "defaultRequest", "maxLimitRequestRatio"}) {
        const FieldPath list_path = path.child(list);
        for (const auto& [name, amount] : field(item, list).members()) {
            add_unless_ok(causes, list_path.key(name), name, check_qualified_name(name));
            names.insert(name);
        }
    }
    if (type == "Pod")
        for (const std::string_view list : {"default", "defaultRequest"})
            if (!blank(field(item, list)))
                add_forbidden(causes, path.child(list),
                              "may not be specified when `type` is 'Pod'");
    if (type == "PersistentVolumeClaim" && !present(field(item, "min", "storage")) &&
        !present(field(item, "max", "storage")))
        add_required(causes, path.child("limits"),
                     "either minimum or maximum storage value is required, but neither was "
                     "provided");
    for (const auto name : names) validate_bounds(item, name, path, causes);
}

void validate_range(const Json& range, const Json*, Causes& causes) {
    const FieldPath spec{"spec"};
    const auto items = field(range, "spec", "limits").items();
    std::set<std::string_view> types;
    for (size_t i = 0; i < items.size(); ++i) {
        const FieldPath item = spec.child("limits", i);
        const auto type = text_of(items[i], "type");
        add_unless_ok(causes, item.child("type"), type, check_qualified_name(type));
        if (!types.insert(type).second) add_duplicate(causes, item.child("type"), type);
        validate_item(items[i], item, causes);
    }
}

void validate_quota_amounts(const Json& amounts, const FieldPath& path, Causes& causes) {
    for (const auto& [name, amount] : amounts.members()) {
        const FieldPath entry = path.key(name);
        add_unless_ok(causes, entry, name, check_qualified_name(name));
        if (name.find('/') == name.npos && !among(standard_resources, name) &&
            !name.starts_with("hugepages-") && !name.starts_with("requests.hugepages-") &&
            !name.starts_with("limits.hugepages-"))
            add_invalid(causes, entry, name, "must be a standard resource for quota");
        const auto value = Quantity::parse(amount.text());
        if (!value) continue;
        if (value->is_negative()) add_invalid(causes, entry, amount, not_negative_message);
        const bool whole = among(whole_resources, name) || name.starts_with("count/");
        if (whole && !(Quantity::from_value(value->value()) == *value))
            add_invalid(causes, entry, amount, "must be an integer");
    }
}

void validate_scopes(const Json& spec, const FieldPath& path, Causes& causes) {
    const FieldPath scopes_path = path.child("scopes");
    const Json& scopes = field(spec, "scopes");
    for (const Json& scope : scopes.items())
        if (!among(known_scopes, scope.text()))
            add_invalid(causes, scopes_path, scopes, "unsupported scope");
    constexpr std::pair<std::string_view, std::string_view> opposites[] = {
        {"BestEffort", "NotBestEffort"}, {"Terminating", "NotTerminating"}};
    for (const auto& [one, other] : opposites)
        if (contains(scopes, one) && contains(scopes, other))
            add_invalid(causes, scopes_path, scopes, "conflicting scopes");
}

void validate_scope_selector(const Json& spec, const FieldPath& path, Causes& causes) {
    const FieldPath selector = path.child("scopeSelector");
    const auto expressions = field(spec, "scopeSelector", "matchExpressions").items();
    for (size_t i = 0; i < expressions.size(); ++i) {
        const FieldPath entry = selector.child("matchExpressions", i);
        const auto scope = text_of(expressions[i], "scopeName");
        const auto op = text_of(expressions[i], "operator");
        const auto values = field(expressions[i], "values").items();
        const FieldPath op_path = entry.child("operator");
        if (!among(known_scopes, scope))
            add_invalid(causes, entry.child("scopeName"), scope, "unsupported scope");
        else if (scope != "PriorityClass" && scope != "VolumeAttributesClass" && op != "Exists")
            add_invalid(causes, op_path, op,
                        "must be 'Exist' when scope is any of ResourceQuotaScopeTerminating, "
                        "ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, "
                        "ResourceQuotaScopeNotBestEffort or "
                        "ResourceQuotaScopeCrossNamespacePodAffinity");
        if ((op == "In" || op == "NotIn") && values.empty())
            add_required(causes, entry.child("values"),
                         "must be at least one value when `operator` is 'In' or 'NotIn' for "
                         "scope selector");
        if ((op == "Exists" || op == "DoesNotExist") && !values.empty())
            add_invalid(causes, entry.child("values"), field(expressions[i], "values"),
                        "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope "
                        "selector");
        if (!among(std::array<std::string_view, 4>{"In", "NotIn", "Exists", "DoesNotExist"}, op) &&
            !op.empty())
            add_invalid(causes, op_path, op, "not a valid selector operator");
    }
}

void prepare_quota(Json& quota, const Json* old, Arena& arena) {
    if (!old) quota.set_borrowed(arena, "status", Json::object());
}

void validate_quota(const Json& quota, const Json* old, Causes& causes) {
    const FieldPath path{"spec"};
    const Json& spec = field(quota, "spec");
    validate_quota_amounts(field(spec, "hard"), path.child("hard"), causes);
    validate_scopes(spec, path, causes);
    validate_scope_selector(spec, path, causes);
    if (!old) return;
    const auto sorted = [](const Json& scopes) {
        std::set<std::string_view> names;
        for (const Json& scope : scopes.items()) names.insert(scope.text());
        return names;
    };
    if (sorted(field(spec, "scopes")) != sorted(field(*old, "spec", "scopes")))
        add_invalid(causes, path.child("scopes"), field(spec, "scopes"), immutable_message);
    if (!(field(spec, "scopeSelector") == field(*old, "spec", "scopeSelector")))
        add_invalid(causes, path.child("scopeSelector"), field(spec, "scopeSelector"),
                    immutable_message);
}

void validate_quota_status(const Json& quota, const Json*, Causes& causes) {
    const FieldPath path{"status"};
    for (const std::string_view name : {"hard", "used"})
        validate_quota_amounts(field(quota, "status", name), path.child(name), causes);
}

}   // namespace

const Rules limitrange_rules{.defaults = default_range, .validate = validate_range};

const Rules resourcequota_rules{
    .prepare = prepare_quota,
    .validate = validate_quota,
    .validate_status = validate_quota_status,
};

}   // namespace skiff::api
