// Authorization: may this user do that. Until RBAC is there (README's table) the rules are a fixed
// list: system:masters may all, each part of Skiff what it needs, everyone to ask about himself.
#pragma once

#include <string>
#include <string_view>

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
    // What `kubectl auth can-i --list` shows: SelfSubjectRulesReview's rules as JSON texts.
    struct Rules {
        std::vector<std::string> resource_rules;
        std::vector<std::string> non_resource_rules;
    };
    virtual Rules rules_for(const User& user) const = 0;
};
const Authorizer& fixed_authorizer();

// Forbidden in Kubernetes' words; Unauthorized for the anonymous.
Error forbidden(const User& user, const Question& question);

}   // namespace skiff::apiserver
