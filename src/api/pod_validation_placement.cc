// Where a pod may run: node selectors, affinity, tolerations, spreading.
#include <algorithm>
#include <set>
#include <string>

#include "api/json_fields.h"
#include "api/names.h"
#include "api/pod_validation.h"
#include "base/text.h"

namespace skiff::api {
namespace {

using codec::Json;

void validate_label_key(std::string_view key, const FieldPath& path, Causes& causes) {
    if (!key.empty()) add_unless_ok(causes, path, key, check_qualified_name(key));
}

// Preferences may name values that no label can have.
enum class Values : uint8_t { Checked, Free };

void validate_requirement(const Json& requirement, Values checked, const FieldPath& path,
                          Causes& causes) {
    const auto op = text_of(requirement, "operator");
    const auto values = field(requirement, "values").items();
    if ((op == "In" || op == "NotIn") && values.empty())
        add_required(causes, path.child("values"),
                     "must be specified when `operator` is 'In' or 'NotIn'");
    else if ((op == "Exists" || op == "DoesNotExist") && !values.empty())
        add_forbidden(causes, path.child("values"),
                      "may not be specified when `operator` is 'Exists' or 'DoesNotExist'");
    else if ((op == "Gt" || op == "Lt") && values.size() != 1)
        add_required(causes, path.child("values"),
                     "must be specified single value when `operator` is 'Lt' or 'Gt'");
    validate_label_key(text_of(requirement, "key"), path.child("key"), causes);
    for (size_t i = 0; i < values.size() && checked == Values::Checked; ++i)
        add_unless_ok(causes, path.child("values", i), values[i].text(),
                      check_label_value(values[i].text()));
}

void validate_field_requirement(const Json& requirement, const FieldPath& path, Causes& causes) {
    const auto op = text_of(requirement, "operator");
    if (op != "In" && op != "NotIn")
        add_invalid(causes, path.child("operator"), op, "not a valid selector operator");
    else if (field(requirement, "values").size() != 1)
        add_required(causes, path.child("values"),
                     "must be only one value when `operator` is 'In' or 'NotIn' for node field "
                     "selector");
    if (const auto key = text_of(requirement, "key"); key != "metadata.name")
        return add_invalid(causes, path.child("key"), key, "not a valid field selector key");
    const auto values = field(requirement, "values").items();
    for (size_t i = 0; i < values.size(); ++i)
        add_unless_ok(causes, path.child("values", i), values[i].text(),
                      check_dns1123_subdomain(values[i].text()));
}

void validate_node_term(const Json& term, Values checked, const FieldPath& path, Causes& causes) {
    const auto expressions = field(term, "matchExpressions").items();
    for (size_t i = 0; i < expressions.size(); ++i) {
        const FieldPath entry = path.child("matchExpressions", i);
        validate_requirement(expressions[i], checked, entry, causes);
    }
    const auto fields = field(term, "matchFields").items();
    for (size_t i = 0; i < fields.size(); ++i) {
        const FieldPath entry = path.child("matchFields", i);
        validate_field_requirement(fields[i], entry, causes);
    }
}

constexpr std::string_view required_name = "requiredDuringSchedulingIgnoredDuringExecution";
constexpr std::string_view preferred_name = "preferredDuringSchedulingIgnoredDuringExecution";

void validate_weight(const Json& preferred, const FieldPath& path, Causes& causes) {
    const int64_t weight = int_or(field(preferred, "weight"), 0);
    if (weight < 1 || weight > 100)
        add_invalid(causes, path.child("weight"), weight, "must be in the range 1-100");
}

void validate_node_affinity(const Json& affinity, const FieldPath& path, Causes& causes) {
    if (const Json& selector = field(affinity, required_name); present(selector)) {
        const FieldPath selector_path = path.child(required_name);
        validate_node_selector(selector, selector_path, causes);
    }
    const auto preferred = field(affinity, preferred_name).items();
    for (size_t i = 0; i < preferred.size(); ++i) {
        const FieldPath entry = path.child(preferred_name, i);
        validate_weight(preferred[i], entry, causes);
        const FieldPath preference = entry.child("preference");
        validate_node_term(field(preferred[i], "preference"), Values::Free, preference, causes);
    }
}

void validate_topology_key(std::string_view key, const FieldPath& path, Causes& causes) {
    if (key.empty()) add_required(causes, path, "can not be empty");
    add_unless_ok(causes, path, key, check_qualified_name(key));
}

void validate_match_keys(const Json& term, const FieldPath& path, Causes& causes) {
    for (const std::string_view name : {"matchLabelKeys", "mismatchLabelKeys"}) {
        const auto keys = field(term, name).items();
        if (keys.empty()) continue;
        if (!present(field(term, "labelSelector")))
            add_forbidden(causes, path.child(name),
                          "must not be specified when labelSelector is not set");
        for (size_t i = 0; i < keys.size(); ++i)
            validate_label_key(keys[i].text(), path.child(name, i), causes);
    }
}

void validate_pod_term(const Json& term, const FieldPath& path, Causes& causes) {
    const FieldPath selector = path.child("labelSelector");
    validate_label_selector(field(term, "labelSelector"), selector, causes);
    const FieldPath namespace_selector = path.child("namespaceSelector");
    validate_label_selector(field(term, "namespaceSelector"), namespace_selector, causes);
    const auto namespaces = field(term, "namespaces").items();
    for (const Json& name : namespaces)
        add_unless_ok(causes, path.child("namespace"), name.text(),
                      check_dns1123_label(name.text()));
    validate_match_keys(term, path, causes);
    validate_topology_key(text_of(term, "topologyKey"), path.child("topologyKey"), causes);
}

void validate_pod_affinity(const Json& affinity, const FieldPath& path, Causes& causes) {
    const auto required = field(affinity, required_name).items();
    for (size_t i = 0; i < required.size(); ++i) {
        const FieldPath entry = path.child(required_name, i);
        validate_pod_term(required[i], entry, causes);
    }
    const auto preferred = field(affinity, preferred_name).items();
    for (size_t i = 0; i < preferred.size(); ++i) {
        const FieldPath entry = path.child(preferred_name, i);
        validate_weight(preferred[i], entry, causes);
        const FieldPath term = entry.child("podAffinityTerm");
        validate_pod_term(field(preferred[i], "podAffinityTerm"), term, causes);
    }
}

void validate_toleration(const Json& toleration, const FieldPath& path, Causes& causes) {
    const auto key = text_of(toleration, "key");
    const auto op = text_of(toleration, "operator");
    const auto value = text_of(toleration, "value");
    const auto effect = text_of(toleration, "effect");
    validate_label_key(key, path.child("key"), causes);
    if (key.empty() && op != "Exists")
        add_invalid(causes, path.child("operator"), op,
                    "operator must be Exists when `key` is empty, which means \"match all values "
                    "and all keys\"");
    if (present(field(toleration, "tolerationSeconds")) && effect != "NoExecute")
        add_invalid(causes, path.child("effect"), effect,
                    "effect must be 'NoExecute' when `tolerationSeconds` is set");
    if (op.empty() || op == "Equal")
        add_unless_ok(causes, path.child("operator"), value, check_label_value(value));
    else if (op == "Exists" && !value.empty())
        add_invalid(causes, path.child("operator"), value,
                    "value must be empty when `operator` is 'Exists'");
}

using Spreads = std::set<std::pair<std::string_view, std::string_view>>;

void validate_spread(const Json& constraint, Spreads& seen, const FieldPath& path, Causes& causes) {
    if (const int64_t skew = int_or(field(constraint, "maxSkew"), 0); skew <= 0)
        add_invalid(causes, path.child("maxSkew"), skew, "must be greater than zero");
    const auto key = text_of(constraint, "topologyKey");
    const auto unsatisfiable = text_of(constraint, "whenUnsatisfiable");
    validate_topology_key(key, path.child("topologyKey"), causes);
    if (!seen.insert({key, unsatisfiable}).second)
        add_duplicate(causes, path.child("{topologyKey, whenUnsatisfiable}"),
                      concat("{", key, ", ", unsatisfiable, "}"));
    if (const Json& domains = field(constraint, "minDomains"); present(domains)) {
        if (int_or(domains, 0) <= 0)
            add_invalid(causes, path.child("minDomains"), domains, "must be greater than zero");
        if (unsatisfiable != "DoNotSchedule")
            add_invalid(causes, path.child("minDomains"), domains,
                        concat("can only use minDomains if whenUnsatisfiable=DoNotSchedule, not ",
                               unsatisfiable));
    }
    const FieldPath selector = path.child("labelSelector");
    validate_label_selector(field(constraint, "labelSelector"), selector, causes);
}

}   // namespace

void validate_node_selector(const Json& selector, const FieldPath& path, Causes& causes) {
    const auto terms = field(selector, "nodeSelectorTerms").items();
    if (terms.empty())
        add_required(causes, path.child("nodeSelectorTerms"),
                     "must have at least one node selector term");
    for (size_t i = 0; i < terms.size(); ++i) {
        const FieldPath term = path.child("nodeSelectorTerms", i);
        validate_node_term(terms[i], Values::Checked, term, causes);
    }
}

void validate_labels(const Json& labels, const FieldPath& path, Causes& causes) {
    for (const auto& [key, value] : labels.members()) {
        add_unless_ok(causes, path, key, check_qualified_name(key));
        add_unless_ok(causes, path, value.text(), check_label_value(value.text()));
    }
}

void validate_label_selector(const Json& selector, const FieldPath& path, Causes& causes) {
    const FieldPath labels = path.child("matchLabels");
    validate_labels(field(selector, "matchLabels"), labels, causes);
    const auto expressions = field(selector, "matchExpressions").items();
    for (size_t i = 0; i < expressions.size(); ++i) {
        const FieldPath entry = path.child("matchExpressions", i);
        const auto op = text_of(expressions[i], "operator");
        const auto values = field(expressions[i], "values").items();
        if (op == "In" || op == "NotIn") {
            if (values.empty())
                add_required(causes, entry.child("values"),
                             "must be specified when `operator` is 'In' or 'NotIn'");
        } else if (op == "Exists" || op == "DoesNotExist") {
            if (!values.empty())
                add_forbidden(causes, entry.child("values"),
                              "may not be specified when `operator` is 'Exists' or 'DoesNotExist'");
        } else {
            add_invalid(causes, entry.child("operator"), op, "not a valid selector operator");
        }
        const auto key = text_of(expressions[i], "key");
        validate_label_key(key, entry.child("key"), causes);
        for (size_t j = 0; j < values.size(); ++j)
            add_unless_ok(causes, entry.child("values", j), values[j].text(),
                          check_label_value(values[j].text()));
    }
}

void validate_placement(const Json& spec, const FieldPath& path, Causes& causes) {
    validate_labels(field(spec, "nodeSelector"), path.child("nodeSelector"), causes);
    const Json& affinity = field(spec, "affinity");
    const FieldPath affinity_path = path.child("affinity");
    const FieldPath node = affinity_path.child("nodeAffinity");
    validate_node_affinity(field(affinity, "nodeAffinity"), node, causes);
    for (const std::string_view name : {"podAffinity", "podAntiAffinity"}) {
        const FieldPath pods = affinity_path.child(name);
        validate_pod_affinity(field(affinity, name), pods, causes);
    }
    const auto tolerations = field(spec, "tolerations").items();
    for (size_t i = 0; i < tolerations.size(); ++i) {
        const FieldPath entry = path.child("tolerations", i);
        validate_toleration(tolerations[i], entry, causes);
    }
    const auto constraints = field(spec, "topologySpreadConstraints").items();
    Spreads spreads;
    for (size_t i = 0; i < constraints.size(); ++i) {
        const FieldPath entry = path.child("topologySpreadConstraints", i);
        validate_spread(constraints[i], spreads, entry, causes);
    }
}

}   // namespace skiff::api
