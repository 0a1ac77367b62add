// The single rules behind pod_security.h, each level's in the order in which they are told.
#pragma once

#include <limits>
#include <optional>
#include <span>

#include "apiserver/pod_security.h"

namespace skiff::apiserver {

inline constexpr int latest_minor = std::numeric_limits<int>::max();

struct SecuredPod {
    const codec::Json* annotations = nullptr;
    const codec::Json& spec;
};
struct SecurityCheck {
    std::optional<PodSecurityProblem> (*broken_by)(const SecuredPod& pod, int minor);
    int since = 0;             // the minor version that the rule came with
    int replaced_since = -1;   // from when on a rule of the restricted level includes it; -1 never
};
std::span<const SecurityCheck> baseline_checks();
std::span<const SecurityCheck> restricted_checks();

// For both: what containers (init, usual, ephemeral) are quoted as.
std::string quoted(const std::vector<std::string>& names);
std::string counted(std::string_view one, std::string_view many, size_t count);
template <class F>
void each_container(const codec::Json& spec, F&& use) {
    for (const std::string_view list : {"initContainers", "containers", "ephemeralContainers"})
        if (const auto* containers = spec.find(list))
            for (const auto& container : containers->items()) use(container);
}
template <class F>
std::vector<std::string> containers_that(const codec::Json& spec, F&& is) {
    std::vector<std::string> names;
    each_container(spec, [&](const codec::Json& container) {
        if (is(container)) names.emplace_back(container.text_at({"name"}));
    });
    return names;
}
// `container "a"`, `containers "a", "b"`.
std::string containers_text(const std::vector<std::string>& names);
// `pod and containers "a"`: who set something that he may not; "" for nobody.
std::string setters_text(bool pod, const std::vector<std::string>& names);

}   // namespace skiff::apiserver
