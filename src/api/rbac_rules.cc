// Roles and their bindings. Whether one may give a right away is the authorizer's to say.
#include <string>

#include "api/field_errors.h"
#include "api/json_fields.h"
#include "api/kind_rules.h"
#include "api/names.h"

namespace skiff::api {
namespace {

using codec::Arena;
using codec::Json;

constexpr std::string_view group_name = "rbac.authorization.k8s.io";

void validate_rule(const Json& rule, bool namespaced, const FieldPath& path, Causes& causes) {
    if (blank(field(rule, "verbs")))
        add_required(causes, path.child("verbs"), "verbs must contain at least one value");
    const Json& urls = field(rule, "nonResourceURLs");
    const bool groups = !blank(field(rule, "apiGroups"));
    const bool resources = !blank(field(rule, "resources"));
    const bool names = !blank(field(rule, "resourceNames"));
    if (!blank(urls)) {
        if (namespaced)
            add_invalid(causes, path.child("nonResourceURLs"), urls,
                        "namespaced rules cannot apply to non-resource URLs");
        if (groups || resources || names)
            add_invalid(causes, path.child("nonResourceURLs"), urls,
                        "rules cannot apply to both regular resources and non-resource URLs");
        return;
    }
    if (!groups)
        add_required(causes, path.child("apiGroups"),
                     "resource rules must supply at least one api group");
    if (!resources)
        add_required(causes, path.child("resources"),
                     "resource rules must supply at least one resource");
    if (names && field(rule, "resources").size() > 1)
        add_required(causes, path.child("resourceNames"),
                     "resource names cannot apply to multiple resources");
}

void validate_rules(const Json& role, bool namespaced, Causes& causes) {
    const FieldPath path{"rules"};
    const auto rules = field(role, "rules").items();
    for (size_t i = 0; i < rules.size(); ++i) {
        const FieldPath at = path.index(i);
        validate_rule(rules[i], namespaced, at, causes);
    }
}

void validate_role(const Json& role, const Json*, Causes& causes) {
    validate_rules(role, true, causes);
}

void validate_clusterrole(const Json& role, const Json*, Causes& causes) {
    validate_rules(role, false, causes);
}

void default_binding(Json& binding, Arena& arena) {
    Json* subjects = binding.find("subjects");
    if (!subjects) return;
    for (Json& subject : subjects->items()) {
        const auto kind = text_of(subject, "kind");
        if ((kind == "User" || kind == "Group") && text_of(subject, "apiGroup").empty())
            subject.set_borrowed(arena, "apiGroup", Json::borrowed(group_name));
    }
}

void validate_subject(const Json& subject, bool namespaced, const FieldPath& path, Causes& causes) {
    const auto kind = text_of(subject, "kind"), name = text_of(subject, "name");
    const auto group = text_of(subject, "apiGroup");
    if (name.empty()) add_required(causes, path.child("name"));
    if (kind == "ServiceAccount") {
        if (!name.empty())
            add_unless_ok(causes, path.child("name"), name, check_dns1123_subdomain(name));
        if (!group.empty()) add_not_supported(causes, path.child("apiGroup"), group, {""});
        if (!namespaced && text_of(subject, "namespace").empty())
            add_required(causes, path.child("namespace"));
    } else if (kind == "User" || kind == "Group") {
        if (name.empty())
            add_invalid(
                causes, path.child("name"), name,
                kind == "User" ? "user name cannot be empty" : "group name cannot be empty");
        if (group != group_name)
            add_not_supported(causes, path.child("apiGroup"), group, {group_name});
    } else {
        add_not_supported(causes, path.child("kind"), kind, {"ServiceAccount", "User", "Group"});
    }
}

void validate_bindings(const Json& binding, const Json* old, bool namespaced, Causes& causes) {
    const Json& role = field(binding, "roleRef");
    const FieldPath path{"roleRef"}, subjects_path{"subjects"};
    const auto group = text_of(role, "apiGroup"), kind = text_of(role, "kind");
    const auto name = text_of(role, "name");
    if (group != group_name) add_not_supported(causes, path.child("apiGroup"), group, {group_name});
    if (namespaced && kind != "Role" && kind != "ClusterRole")
        add_not_supported(causes, path.child("kind"), kind, {"Role", "ClusterRole"});
    if (!namespaced && kind != "ClusterRole")
        add_not_supported(causes, path.child("kind"), kind, {"ClusterRole"});
    if (name.empty())
        add_required(causes, path.child("name"));
    else
        add_unless_ok(causes, path.child("name"), name, check_path_segment(name));
    const auto subjects = field(binding, "subjects").items();
    for (size_t i = 0; i < subjects.size(); ++i) {
        const FieldPath at = subjects_path.index(i);
        validate_subject(subjects[i], namespaced, at, causes);
    }
    if (old && !(role == field(*old, "roleRef")))
        add_invalid(causes, path, role, "cannot change roleRef");
}

void validate_rolebinding(const Json& binding, const Json* old, Causes& causes) {
    validate_bindings(binding, old, true, causes);
}

void validate_clusterrolebinding(const Json& binding, const Json* old, Causes& causes) {
    validate_bindings(binding, old, false, causes);
}

}   // namespace

const Rules clusterrole_rules{.validate = validate_clusterrole};
const Rules clusterrolebinding_rules{.defaults = default_binding,
                                     .validate = validate_clusterrolebinding};
const Rules role_rules{.validate = validate_role};
const Rules rolebinding_rules{.defaults = default_binding, .validate = validate_rolebinding};

}   // namespace skiff::api
