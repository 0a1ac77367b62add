// Who else decides about writes: webhooks and policies. They are kept and served, but nothing asks
// them yet: each write of one says so in a warning.
#include <algorithm>
#include <set>
#include <string>

#include "api/json_fields.h"
#include "api/kind_rules.h"
#include "api/names.h"
#include "api/pod_validation.h"
#include "base/text.h"

namespace skiff::api {
namespace {

using codec::Json;

// A guard that nobody asks must not look like one.
void warn_not_enforced(const Json& object, const Json*, std::vector<std::string>& warnings) {
    warnings.push_back(concat(text_of(object, "kind"),
                              " is stored, but not in force: this server does not ask it yet"));
}

void check_enum(const Json& object, std::string_view name,
                std::initializer_list<std::string_view> allowed, const FieldPath& path,
                Causes& causes) {
    const auto value = text_of(object, name);
    if (!value.empty() && std::ranges::find(allowed, value) == allowed.end())
        add_not_supported(causes, path.child(name), value, allowed);
}

void validate_list_of(const Json& rule, std::string_view name, const FieldPath& path,
                      Causes& causes) {
    const Json& list = field(rule, name);
    const FieldPath here = path.child(name);
    if (blank(list)) return add_required(causes, here);
    if (list.size() > 1 && contains(list, "*") && name != "resources")
        add_invalid(causes, here, list,
                    "if '*' is present, must not specify other " +
                        std::string{name == "apiGroups"     ? "API groups"
                                    : name == "apiVersions" ? "API versions"
                                                            : "operations"});
    const auto items = list.items();
    for (size_t i = 0; i < items.size(); ++i)
        if (items[i].text().empty() && name != "apiGroups")
            add_required(causes, path.child(name, i));
}

void validate_rule(const Json& rule, const FieldPath& path, Causes& causes) {
    for (const std::string_view name : {"operations", "apiGroups", "apiVersions", "resources"})
        validate_list_of(rule, name, path, causes);
    const auto operations = field(rule, "operations").items();
    for (size_t i = 0; i < operations.size(); ++i) {
        constexpr std::string_view known[] = {"*", "CONNECT", "CREATE", "DELETE", "UPDATE"};
        if (std::ranges::find(known, operations[i].text()) == std::end(known))
            add_not_supported(causes, path.child("operations", i), operations[i].text(), known);
    }
}

void validate_client(const Json& client, const FieldPath& path, Causes& causes) {
    const Json& url = field(client, "url");
    const Json& service = field(client, "service");
    if (present(url) == present(service))
        return add_required(causes, path, "exactly one of url or service is required");
    if (present(url) && !url.text().starts_with("https://"))
        add_invalid(causes, path.child("url"), url,
                    "'https' is the only allowed URL scheme; desired format: "
                    "https://host[/path]");
    const auto service_path = text_of(service, "path");
    const FieldPath service_field = path.child("service");
    if (!service_path.empty() && !service_path.starts_with('/'))
        add_invalid(causes, service_field.child("path"), service_path, "must start with a '/'");
}

void validate_conditions(const Json& holder, const FieldPath& path, Causes& causes) {
    const auto conditions = field(holder, "matchConditions").items();
    std::set<std::string_view> names;
    for (size_t i = 0; i < conditions.size(); ++i) {
        const FieldPath condition = path.child("matchConditions", i);
        const auto name = text_of(conditions[i], "name");
        if (name.empty()) continue;
        add_unless_ok(causes, condition.child("name"), name, check_qualified_name(name));
        if (!names.insert(name).second) add_duplicate(causes, condition.child("name"), name);
    }
}

void validate_webhook(const Json& webhook, const FieldPath& path, Causes& causes) {
    const auto name = text_of(webhook, "name");
    if (!name.empty()) {
        add_unless_ok(causes, path.child("name"), name, check_dns1123_subdomain(name));
        if (std::ranges::count(name, '.') < 2)
            add_invalid(causes, path.child("name"), name,
                        "should be a domain with at least three segments separated by dots");
    }
    const FieldPath client = path.child("clientConfig");
    validate_client(field(webhook, "clientConfig"), client, causes);
    check_enum(webhook, "failurePolicy", {"Fail", "Ignore"}, path, causes);
    check_enum(webhook, "matchPolicy", {"Equivalent", "Exact"}, path, causes);
    check_enum(webhook, "reinvocationPolicy", {"IfNeeded", "Never"}, path, causes);
    // Some and Unknown come from v1beta1, which allowed them.
    check_enum(webhook, "sideEffects", {"None", "NoneOnDryRun", "Some", "Unknown"}, path, causes);
    for (const std::string_view selector : {"namespaceSelector", "objectSelector"}) {
        const FieldPath selector_path = path.child(selector);
        validate_label_selector(field(webhook, selector), selector_path, causes);
    }
    const Json& versions = field(webhook, "admissionReviewVersions");
    if (!blank(versions) && !contains(versions, "v1") && !contains(versions, "v1beta1"))
        add_invalid(causes, path.child("admissionReviewVersions"), versions,
                    "must include at least one of v1, v1beta1");
    validate_conditions(webhook, path, causes);
    const auto rules = field(webhook, "rules").items();
    for (size_t i = 0; i < rules.size(); ++i)
        validate_rule(rules[i], path.child("rules", i), causes);
}

void validate_webhooks(const Json& configuration, const Json*, Causes& causes) {
    const FieldPath root;
    const auto webhooks = field(configuration, "webhooks").items();
    std::set<std::string_view> names;
    for (size_t i = 0; i < webhooks.size(); ++i) {
        const FieldPath webhook = root.child("webhooks", i);
        validate_webhook(webhooks[i], webhook, causes);
        const auto name = text_of(webhooks[i], "name");
        if (!name.empty() && !names.insert(name).second)
            add_duplicate(causes, webhook.child("name"), name);
    }
}

void validate_match(const Json& match, const FieldPath& path, Causes& causes) {
    check_enum(match, "matchPolicy", {"Equivalent", "Exact"}, path, causes);
    for (const std::string_view selector : {"namespaceSelector", "objectSelector"}) {
        const FieldPath selector_path = path.child(selector);
        validate_label_selector(field(match, selector), selector_path, causes);
    }
    for (const std::string_view list : {"resourceRules", "excludeResourceRules"}) {
        const auto rules = field(match, list).items();
        for (size_t i = 0; i < rules.size(); ++i)
            validate_rule(rules[i], path.child(list, i), causes);
    }
}

void validate_policy_spec(const Json& spec, const FieldPath& path, Causes& causes) {
    check_enum(spec, "failurePolicy", {"Fail", "Ignore"}, path, causes);
    if (const Json& kind = field(spec, "paramKind"); present(kind)) {
        const FieldPath kind_path = path.child("paramKind");
        for (const std::string_view name : {"apiVersion", "kind"})
            if (text_of(kind, name).empty()) add_required(causes, kind_path.child(name));
    }
    const FieldPath match = path.child("matchConstraints");
    if (!present(field(spec, "matchConstraints"))) return add_required(causes, match);
    if (blank(field(spec, "matchConstraints", "resourceRules")))
        add_required(causes, match.child("resourceRules"));
    validate_match(field(spec, "matchConstraints"), match, causes);
    validate_conditions(spec, path, causes);
}

void validate_policy(const Json& policy, const Json*, Causes& causes) {
    const FieldPath path{"spec"};
    const Json& spec = field(policy, "spec");
    if (blank(field(spec, "validations")) && blank(field(spec, "auditAnnotations"))) {
        add_required(causes, path.child("validations"),
                     "validations or auditAnnotations must contain at least one item");
        add_required(causes, path.child("auditAnnotations"),
                     "validations or auditAnnotations must contain at least one item");
    }
    validate_policy_spec(spec, path, causes);
}

void validate_mutating(const Json& policy, const Json*, Causes& causes) {
    const FieldPath path{"spec"};
    const Json& spec = field(policy, "spec");
    if (blank(field(spec, "mutations")))
        add_required(causes, path.child("mutations"), "mutations must contain at least one item");
    validate_policy_spec(spec, path, causes);
}

void validate_binding(const Json& binding, const Json*, Causes& causes) {
    const FieldPath path{"spec"};
    const Json& spec = field(binding, "spec");
    if (const Json& match = field(spec, "matchResources"); present(match))
        validate_match(match, path.child("matchResources"), causes);
    if (const Json& reference = field(spec, "paramRef"); present(reference)) {
        const bool named = !text_of(reference, "name").empty();
        const FieldPath reference_path = path.child("paramRef");
        if (named == present(field(reference, "selector")))
            add_required(causes, reference_path.child("name"),
                         "one of name or selector must be specified");
    }
    if (text_of(binding, "kind") != "ValidatingAdmissionPolicyBinding") return;
    const FieldPath actions_path = path.child("validationActions");
    const Json& actions = field(spec, "validationActions");
    if (blank(actions)) add_required(causes, actions_path);
    constexpr std::string_view known[] = {"Audit", "Deny", "Warn"};
    for (const Json& action : actions.items())
        if (std::ranges::find(known, action.text()) == std::end(known))
            add_not_supported(causes, actions_path, action.text(), known);
    if (contains(actions, "Deny") && contains(actions, "Warn"))
        add_invalid(causes, actions_path, actions,
                    "must not contain both Deny and Warn (repeating the same validation failure "
                    "information in the API response and headers serves no purpose)");
}

}   // namespace

const Rules webhookconfiguration_rules{.validate = validate_webhooks, .warn = warn_not_enforced};
const Rules admissionpolicy_rules{.validate = validate_policy, .warn = warn_not_enforced};
const Rules mutatingpolicy_rules{.validate = validate_mutating, .warn = warn_not_enforced};
const Rules admissionpolicybinding_rules{.validate = validate_binding, .warn = warn_not_enforced};

}   // namespace skiff::api
