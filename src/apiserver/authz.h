// Authorization: may this user do that. A fixed list comes first, which no edit of a role can lock
// out: system:masters may all, each part of Skiff what it needs, everyone to ask about himself.
// Everything else is RBAC's (rbac_authorizer.h).
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "apiserver/request_info.h"
#include "apiserver/user.h"

namespace skiff::apiserver {

struct Question {
    std::string_view verb;
    bool is_resource = true;
    std::string_view group, version, resource, subresource, name_space, name;
    std::string_view path;   // of non-resource requests
};
Question question_of(const RequestInfo& info);

class Authorizer {
  public:
    virtual ~Authorizer() = default;
    virtual bool allows(const User& user, const Question& question) const = 0;
    // The same, and why it is allowed, as the audit log and access reviews tell it; "" unknown.
    virtual bool decide(const User& user, const Question& question, std::string& reason) const {
        reason.clear();
        return allows(user, question);
    }
    // What `kubectl auth can-i --list` shows: SelfSubjectRulesReview's rules as JSON texts.
    struct Rules {
        std::vector<std::string> resource_rules;
        std::vector<std::string> non_resource_rules;
    };
    virtual Rules rules_for(const User& user, std::string_view name_space) const = 0;
};
const Authorizer& fixed_authorizer();

// The fixed list by itself. Comma-separated lists; "*" is anything.
struct FixedRule {
    std::string_view subject;   // "group:…" or "user:…"
    std::string_view verbs;
    std::string_view groups;      // "" alone is core, so lists write it as "core"
    std::string_view resources;   // "pods", "pods/status"
    std::string_view paths;       // non-resource paths, a trailing * is a prefix
    bool own_name = false;        // only the object named after the user: a node its Node
};
std::span<const FixedRule> fixed_rules();

// The name that a list, watch or deletecollection is confined to by `metadata.name=NAME`; else "".
// Rules with resourceNames allow such a request.
std::string_view selected_name(std::string_view field_selector);

// Forbidden in Kubernetes' words.
Error forbidden(const User& user, const Question& question);

}   // namespace skiff::apiserver
