#include "apiserver/default_policy.h"

#include <algorithm>
#include <map>

#include "apiserver/authz.h"
#include "apiserver/default_roles.h"
#include "apiserver/objects.h"
#include "apiserver/policy_rule.h"
#include "base/text.h"

namespace skiff::apiserver {
namespace {

constexpr client::ResourceName roles_resource{"rbac.authorization.k8s.io", "v1", "clusterroles"};
constexpr client::ResourceName bindings_resource{"rbac.authorization.k8s.io", "v1",
                                                 "clusterrolebindings"};
constexpr std::string_view account_prefix = "user:system:serviceaccount:kube-system:";

std::vector<std::string> words_of(std::string_view list) {
    std::vector<std::string> words;
    if (list.empty()) return words;
    for (const auto word : split(list, ',')) words.emplace_back(word == "core" ? "" : word);
    return words;
}

PolicyRule rule_of(const DefaultRule& rule) {
    return {.verbs = words_of(rule.verbs),
            .api_groups = words_of(rule.groups),
            .resources = words_of(rule.resources),
            .resource_names = words_of(rule.names),
            .non_resource_urls = words_of(rule.urls)};
}

std::string metadata_text_of(std::string_view name, std::string_view label) {
    auto out = concat(
        R"({"name":")", name,
        R"(","annotations":{"rbac.authorization.kubernetes.io/autoupdate":"true"},"labels":{"kubernetes.io/bootstrapping":"rbac-defaults")");
    if (!label.empty())
        append(out, R"(,"rbac.authorization.k8s.io/aggregate-to-)", label, R"(":"true")");
    return out + "}}";
}

std::string rules_text(const std::vector<PolicyRule>& rules) {
    std::string out = "[";
    for (const auto& rule : rules) append(out, out.size() > 1 ? "," : "", json_of(rule));
    return out + "]";
}

PolicyObject role_object(std::string_view name, const std::vector<PolicyRule>& rules,
                         std::string_view label = {}, std::string_view aggregates = {}) {
    auto text = concat(R"({"metadata":)", metadata_text_of(name, label));
    if (aggregates.empty())
        append(text, R"(,"rules":)", rules_text(rules), "}");
    else
        append(
            text,
            R"(,"aggregationRule":{"clusterRoleSelectors":[{"matchLabels":{"rbac.authorization.k8s.io/aggregate-to-)",
            aggregates, R"(":"true"}}]}})");
    return {.resource = "clusterroles",
            .name_space = {},
            .name = std::string{name},
            .text = std::move(text)};
}

// "group:a,user:b" as subjects.
std::string subjects_text(std::string_view subjects) {
    std::string out = "[";
    for (const auto subject : split(subjects, ',')) {
        if (out.size() > 1) out += ',';
        if (subject.starts_with(account_prefix)) {
            append(out, R"({"kind":"ServiceAccount","namespace":"kube-system","name":")",
                   subject.substr(account_prefix.size()), R"("})");
            continue;
        }
        const bool group = subject.starts_with("group:");
        append(out, R"({"kind":")", group ? "Group" : "User",
               R"(","apiGroup":"rbac.authorization.k8s.io","name":")",
               subject.substr(group ? 6 : 5), R"("})");
    }
    return out + "]";
}

PolicyObject binding_object(std::string_view name, std::string_view subjects, std::string_view role,
                            std::string_view name_space = {}) {
    return {.resource = name_space.empty() ? "clusterrolebindings" : "rolebindings",
            .name_space = std::string{name_space},
            .name = std::string{name},
            .text = concat(R"({"metadata":)", metadata_text_of(name, {}), R"(,"subjects":)",
                           subjects_text(subjects),
                           R"(,"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":")",
                           name_space.empty() ? "ClusterRole" : "Role", R"(","name":")", role,
                           R"("}})")};
}

void add(std::vector<PolicyObject>& objects, const DefaultRole& role) {
    std::vector<PolicyRule> rules;
    for (const auto& rule : role.rules) rules.push_back(rule_of(rule));
    auto object = role_object(role.name, rules, role.label, role.aggregates);
    if (!role.name_space.empty()) {
        object.resource = "roles";
        object.name_space = role.name_space;
    }
    objects.push_back(std::move(object));
    if (role.subject.empty()) return;
    objects.push_back(binding_object(role.binding.empty() ? role.name : role.binding, role.subject,
                                     role.name, role.name_space));
}

// What Skiff's own controllers may, as roles that can be looked at: the fixed list grants it too.
void add_controllers(std::vector<PolicyObject>& objects) {
    std::map<std::string, std::vector<PolicyRule>> by_name;
    for (const auto& rule : fixed_rules())
        if (rule.subject.starts_with(account_prefix))
            by_name[std::string{rule.subject.substr(account_prefix.size())}].push_back(
                rule_of({rule.verbs, rule.groups, rule.resources, rule.paths}));
    for (const auto& [name, rules] : by_name) {
        const auto role = concat("system:controller:", name);
        objects.push_back(role_object(role, rules));
        objects.push_back(binding_object(role, concat(account_prefix, name), role));
    }
}

bool may_update(const Json& object) {
    return object.text_at({"metadata", "annotations",
                           "rbac.authorization.kubernetes.io/autoupdate"}) != "false";
}

std::vector<std::string> subjects_of(const Json& binding) {
    std::vector<std::string> out;
    if (const auto* list = binding.find("subjects"))
        for (const auto& subject : list->items())
            out.push_back(concat(subject.text_at({"kind"}), "/", subject.text_at({"namespace"}),
                                 "/", subject.text_at({"name"})));
    return out;
}

// The object with what it lacked; nothing when it lacks nothing.
std::optional<std::string> completed_role(Document& existing, const Json& wanted) {
    const auto held = policy_rules_of(existing.root);
    const auto rules = policy_rules_of(wanted);
    if (existing.root.find("aggregationRule") || not_covered(held, rules).empty())
        return std::nullopt;
    auto all = held;
    for (const auto& rule : rules)
        if (!not_covered(held, {&rule, 1}).empty()) all.push_back(rule);
    const auto list = codec::parse_json_into(existing.arena, rules_text(all));
    if (!list) return std::nullopt;
    existing.root.set_borrowed(existing.arena, "rules", *list);
    return codec::to_json(existing.root);
}

std::optional<std::string> completed_binding(Document& existing, const Json& wanted) {
    const auto held = subjects_of(existing.root);
    const auto* subjects = wanted.find("subjects");
    auto all = existing.root.find("subjects") ? *existing.root.find("subjects") : Json::array();
    const auto before = all.size();
    const auto names = subjects_of(wanted);
    for (size_t i = 0; i < names.size(); ++i)
        if (std::ranges::find(held, names[i]) == held.end())
            all.push(existing.arena, subjects->items()[i].deep_copy(existing.arena));
    if (all.size() == before) return std::nullopt;
    existing.root.set_borrowed(existing.arena, "subjects", all);
    return codec::to_json(existing.root);
}

Result<> ensure(client::Client& client, const PolicyObject& object) {
    const bool role = object.resource.ends_with("roles");
    const client::ResourceName resource{"rbac.authorization.k8s.io", "v1", object.resource};
    const client::ObjectKey key{.name_space = object.name_space, .name = object.name};
    const auto text = client.get_text(resource, key);
    if (!text) {
        if (text.error().reason != Reason::NotFound) return std::unexpected{text.error()};
        TRY_OK(client.create_text(resource, object.name_space, object.text));
        return {};
    }
    TRY(auto existing, codec::parse_json(std::string_view{*text}));
    TRY(const auto wanted, codec::parse_json(object.text));
    if (!may_update(existing.root)) return {};
    const auto whole =
        role ? completed_role(existing, wanted.root) : completed_binding(existing, wanted.root);
    if (whole) TRY_OK(client.update_text(resource, key, *whole));
    return {};
}

Result<> ensure_namespace(client::Client& client, std::string_view name) {
    constexpr client::ResourceName namespaces{"", "v1", "namespaces"};
    const auto there = client.get_text(namespaces, {.name_space = {}, .name = std::string{name}});
    if (there) return {};
    const auto made =
        client.create_text(namespaces, {}, concat(R"({"metadata":{"name":")", name, R"("}})"));
    if (!made && made.error().reason != Reason::AlreadyExists) return std::unexpected{made.error()};
    return {};
}

Result<> remove_if_there(client::Client& client, const client::ResourceName& resource,
                         std::string_view name) {
    auto done = client.remove_text(resource, {.name_space = {}, .name = std::string{name}}, {});
    if (!done && done.error().reason == Reason::NotFound) return {};
    return done;
}

}   // namespace

std::vector<PolicyObject> default_policy(const PolicyOptions& options) {
    std::vector<PolicyObject> objects;
    for (const auto& role : default_roles()) add(objects, role);
    for (const auto& role : default_namespaced_roles()) add(objects, role);
    add_controllers(objects);
    if (options.compat_2017) add(objects, compat_2017_role());
    return objects;
}

Result<> ensure_default_policy(client::Client& client, const PolicyOptions& options) {
    for (const auto& role : default_namespaced_roles())
        TRY_OK(ensure_namespace(client, role.name_space));
    for (const auto& object : default_policy(options)) TRY_OK(ensure(client, object));
    if (options.compat_2017) return {};
    TRY_OK(remove_if_there(client, bindings_resource, compat_2017_role().name));
    return remove_if_there(client, roles_resource, compat_2017_role().name);
}

}   // namespace skiff::apiserver
