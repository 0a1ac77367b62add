// A pod that says nothing of it stays five minutes on a node that is not ready or out of reach.
#include <algorithm>

#include "apiserver/admission_plugins.h"
#include "base/text.h"

namespace skiff::apiserver {
namespace {

constexpr int64_t default_seconds = 300;

// Whether some toleration of the pod speaks of this taint already; an empty key, effect is any.
bool tolerates(const Json& tolerations, std::string_view key) {
    return std::ranges::any_of(tolerations.items(), [&](const Json& toleration) {
        const auto own = toleration.text_at({"key"});
        const auto effect = toleration.text_at({"effect"});
        return (own == key || own.empty()) && (effect == "NoExecute" || effect.empty());
    });
}

}   // namespace

Result<> default_toleration_seconds(Admission& admission) {
    const auto& kind = *admission.resource.stored;
    if (kind.kind != "Pod" || !kind.group.empty() || !admission.document ||
        !admission.subresource.empty() || admission.operation == "DELETE")
        return {};
    auto& [arena, root] = *admission.document;
    auto& spec = root.make_object(arena, "spec");
    for (const std::string_view key :
         {"node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"}) {
        const auto* has = spec.find("tolerations");
        if (has && has->is_array() && tolerates(*has, key)) continue;
        TRY(auto toleration,
            codec::parse_json_into(
                arena, concat(R"({"key":")", key,
                              R"(","operator":"Exists","effect":"NoExecute","tolerationSeconds":)",
                              default_seconds, "}")));
        spec.make_array(arena, "tolerations").push(arena, toleration);
    }
    return {};
}

}   // namespace skiff::apiserver
