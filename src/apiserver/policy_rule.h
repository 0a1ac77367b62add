// A rule of RBAC by itself: what it allows, and whether it is covered by others. Pure.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "apiserver/authz.h"
#include "codec/json.h"

namespace skiff::apiserver {

// rbac.authorization.k8s.io PolicyRule; "*" in a list is anything.
struct PolicyRule {
    std::vector<std::string> verbs;
    std::vector<std::string> api_groups;
    std::vector<std::string> resources;   // "pods", "pods/log", "*/scale", "*"
    std::vector<std::string> resource_names;
    std::vector<std::string> non_resource_urls;   // a trailing * is a prefix
    bool operator==(const PolicyRule&) const = default;
};

std::vector<PolicyRule> policy_rules_of(const codec::Json& role);   // its `rules`
bool allows(const PolicyRule& rule, const Question& question);

// The single grants (one verb, group, resource, name or URL each) of `wanted` that no rule of
// `held` covers: what would be an escalation.
std::vector<PolicyRule> not_covered(std::span<const PolicyRule> held,
                                    std::span<const PolicyRule> wanted);

std::string json_of(const PolicyRule& rule);   // as in a role
std::string text_of(const PolicyRule& rule);   // {APIGroups:["apps"], …}: in refusals

}   // namespace skiff::apiserver
