#include "api/rules.h"

#include <algorithm>
#include <array>
#include <utility>

#include "api/kind_rules.h"

namespace skiff::api {
namespace {

constexpr Rules no_rules{};

constexpr std::array<std::pair<std::string_view, const Rules*>, 16> named{{
    {"binding", &binding_rules},
    {"configmap", &configmap_rules},
    {"csr", &csr_rules},
    {"endpoints", &endpoints_rules},
    {"event", &event_rules},
    {"lease", &lease_rules},
    {"localsubjectaccessreview", &localsubjectaccessreview_rules},
    {"namespace", &namespace_rules},
    {"node", &node_rules},
    {"pod", &pod_rules},
    {"secret", &secret_rules},
    {"selfsubjectaccessreview", &selfsubjectaccessreview_rules},
    {"service", &service_rules},
    {"serviceaccount", &serviceaccount_rules},
    {"subjectaccessreview", &subjectaccessreview_rules},
    {"tokenrequest", &tokenrequest_rules},
}};

}   // namespace

const Rules& rules_of(std::string_view name) {
    using Named = std::pair<std::string_view, const Rules*>;
    const auto found = std::ranges::find(named, name, &Named::first);
    return found == named.end() ? no_rules : *found->second;
}

}   // namespace skiff::api
