#include "apiserver/audit_policy.h"

#include <algorithm>
#include <array>

#include "apiserver/objects.h"
#include "base/text.h"
#include "codec/yaml.h"

namespace skiff::apiserver {
namespace {

constexpr std::array<std::string_view, 4> levels{"None", "Metadata", "Request", "RequestResponse"};
constexpr std::array<std::string_view, 4> stages{"RequestReceived", "ResponseStarted",
                                                 "ResponseComplete", "Panic"};

constexpr std::string_view builtin_text = R"(
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
omitManagedFields: true
rules:
- level: None
  verbs: [get, head]
  nonResourceURLs: ["/", "/healthz*", "/livez*", "/readyz*", "/version*", "/metrics", "/api*", "/openapi/*"]
- level: None
  userGroups: [system:nodes, "system:serviceaccounts:kube-system"]
  verbs: [get, list, watch]
- level: None
  users: [system:kube-scheduler, system:apiserver]
  verbs: [get, list, watch]
- level: None
  userGroups: [system:nodes, "system:serviceaccounts:kube-system"]
  resources:
  - group: ""
    resources: [events, nodes/status]
  - group: events.k8s.io
    resources: [events]
  - group: coordination.k8s.io
    resources: [leases]
- level: None
  users: [system:kube-scheduler]
  resources:
  - group: ""
    resources: [events]
  - group: events.k8s.io
    resources: [events]
  - group: coordination.k8s.io
    resources: [leases]
- level: Metadata
)";

template <size_t n>
std::optional<size_t> index_in(const std::array<std::string_view, n>& words,
                               std::string_view word) {
    const auto found = std::ranges::find(words, word);
    if (found == words.end()) return std::nullopt;
    return static_cast<size_t>(found - words.begin());
}

bool has(const std::vector<std::string>& list, std::string_view word) {
    return std::ranges::find(list, word) != list.end();
}

uint8_t stages_of(const Json* list, std::string_view where, std::vector<std::string>& problems) {
    uint8_t bits = 0;
    for (const auto& text : texts_of(list)) {
        const auto stage = index_in(stages, text);
        if (stage)
            bits = static_cast<uint8_t>(bits | (1U << *stage));
        else
            problems.push_back(concat(where, ".omitStages: Invalid value: \"", text,
                                      "\": must be one of ",
                                      join({stages.begin(), stages.end()}, ", ")));
    }
    return bits;
}

bool is_path_listed(const std::vector<std::string>& list, std::string_view path) {
    return std::ranges::any_of(list, [&](std::string_view entry) {
        if (entry.ends_with('*')) return path.starts_with(entry.substr(0, entry.size() - 1));
        return entry == path;
    });
}

bool is_resource_listed(const std::vector<std::string>& list, const RequestInfo& info) {
    if (list.empty()) return true;
    const auto whole =
        info.subresource.empty() ? info.resource : concat(info.resource, "/", info.subresource);
    return std::ranges::any_of(list, [&](std::string_view entry) {
        if (entry == "*" || entry == whole) return true;
        if (info.subresource.empty()) return false;
        return entry == concat(info.resource, "/*") || entry == concat("*/", info.subresource);
    });
}

bool switch_at(const Json& object, std::string_view key, bool otherwise) {
    const auto* value = object.find(key);
    return value && value->is_bool() ? value->as_bool() : otherwise;
}

}   // namespace

std::string_view text_of(AuditLevel level) { return levels[static_cast<size_t>(level)]; }
std::string_view text_of(AuditStage stage) { return stages[static_cast<size_t>(stage)]; }

Result<AuditPolicy> AuditPolicy::parse(std::string_view text) {
    TRY(const auto document, codec::parse_yaml(text));
    const auto& root = document.root;
    std::vector<std::string> problems;
    if (root.text_at({"apiVersion"}) != "audit.k8s.io/v1" || root.text_at({"kind"}) != "Policy")
        problems.emplace_back("it must be of apiVersion audit.k8s.io/v1 and kind Policy");
    const auto omitted = stages_of(root.find("omitStages"), "omitStages", problems);
    const bool omit_fields = switch_at(root, "omitManagedFields", false);
    AuditPolicy policy;
    const auto* rules = root.find("rules");
    if (!rules || !rules->size()) problems.emplace_back("rules: there must be at least one");
    size_t number = 0;
    for (const auto& given : rules ? rules->items() : std::span<const Json>{}) {
        const auto where = concat("rules[", number++, "]");
        Rule rule;
        const auto level = index_in(levels, given.text_at({"level"}));
        if (!level)
            problems.push_back(
                concat(where, ".level: Unsupported value: \"", given.text_at({"level"}), "\""));
        rule.decision.level = static_cast<AuditLevel>(level.value_or(0));
        rule.decision.omitted =
            static_cast<uint8_t>(omitted | stages_of(given.find("omitStages"), where, problems));
        rule.decision.omit_managed_fields = switch_at(given, "omitManagedFields", omit_fields);
        rule.users = texts_of(given.find("users"));
        rule.groups = texts_of(given.find("userGroups"));
        rule.verbs = texts_of(given.find("verbs"));
        rule.namespaces = texts_of(given.find("namespaces"));
        rule.paths = texts_of(given.find("nonResourceURLs"));
        if (const auto* resources = given.find("resources"))
            for (const auto& entry : resources->items())
                rule.resources.push_back({.group = std::string{entry.text_at({"group"})},
                                          .resources = texts_of(entry.find("resources")),
                                          .names = texts_of(entry.find("resourceNames"))});
        if (!rule.paths.empty() && (!rule.resources.empty() || !rule.namespaces.empty()))
            problems.push_back(
                concat(where,
                       ".nonResourceURLs: rules cannot apply to both regular resources and "
                       "non-resource URLs"));
        for (const std::string_view path : rule.paths)
            if (path != "*" && !path.starts_with('/'))
                problems.push_back(concat(where, ".nonResourceURLs: Invalid value: \"", path,
                                          "\": non-resource URL rules must begin with a '/'"));
        policy.rules_.push_back(std::move(rule));
    }
    if (!problems.empty())
        return fail(Reason::Invalid, concat("the audit policy is invalid: ", join(problems, "; ")));
    return policy;
}

const AuditPolicy& AuditPolicy::builtin() {
    static const AuditPolicy policy = *parse(builtin_text);
    return policy;
}

bool AuditPolicy::matches(const Rule& rule, const User& user, const RequestInfo& info) {
    if (!rule.users.empty() && !has(rule.users, user.name)) return false;
    if (!rule.groups.empty() && std::ranges::none_of(user.groups, [&](const auto& group) {
            return has(rule.groups, group);
        }))
        return false;
    if (!rule.verbs.empty() && !has(rule.verbs, info.verb)) return false;
    if (!info.is_resource) {
        if (!rule.resources.empty() || !rule.namespaces.empty()) return false;
        return rule.paths.empty() || is_path_listed(rule.paths, info.path);
    }
    if (!rule.paths.empty()) return false;
    if (!rule.namespaces.empty() && !has(rule.namespaces, info.name_space)) return false;
    return rule.resources.empty() || std::ranges::any_of(rule.resources, [&](const auto& entry) {
               return entry.group == info.group && is_resource_listed(entry.resources, info) &&
                      (entry.names.empty() || has(entry.names, info.name));
           });
}

AuditDecision AuditPolicy::decide(const User& user, const RequestInfo& info) const {
    const auto rule =
        std::ranges::find_if(rules_, [&](const Rule& one) { return matches(one, user, info); });
    return rule == rules_.end() ? AuditDecision{} : rule->decision;
}

}   // namespace skiff::apiserver
