// Which requests are told to the audit log, how much of them and when: audit.k8s.io/v1 Policy, the
// first rule that matches decides.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "apiserver/request_info.h"
#include "apiserver/user.h"

namespace skiff::apiserver {

enum class AuditLevel : uint8_t { None, Metadata, Request, RequestResponse };
enum class AuditStage : uint8_t { RequestReceived, ResponseStarted, ResponseComplete, Panic };
std::string_view text_of(AuditLevel level);
std::string_view text_of(AuditStage stage);

struct AuditDecision {
    AuditLevel level = AuditLevel::None;
    uint8_t omitted = 0;   // bits of stages
    bool omit_managed_fields = false;
    bool tells(AuditStage stage) const {
        return level != AuditLevel::None && !(omitted >> static_cast<unsigned>(stage) & 1U);
    }
};

class AuditPolicy {
  public:
    // YAML or JSON. Invalid, with every problem, for what upstream would not accept either.
    static Result<AuditPolicy> parse(std::string_view text);
    // Metadata for all but what is asked all the time and changes nothing: health, discovery, and
    // what nodes and the cluster's own parts read, their leases and events.
    static const AuditPolicy& builtin();
    AuditDecision decide(const User& user, const RequestInfo& info) const;

  private:
    struct Resources {
        std::string group;
        std::vector<std::string> resources;   // "pods", "pods/log", "pods/*", "*/scale", "*"
        std::vector<std::string> names;
    };
    struct Rule {
        AuditDecision decision;
        std::vector<std::string> users, groups, verbs, namespaces, paths;
        std::vector<Resources> resources;
    };
    static bool matches(const Rule& rule, const User& user, const RequestInfo& info);
    std::vector<Rule> rules_;
};

}   // namespace skiff::apiserver
