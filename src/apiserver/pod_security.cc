#include "apiserver/pod_security.h"

#include "apiserver/pod_security_checks.h"
#include "base/text.h"

namespace skiff::apiserver {

using Level = PodSecurityLevel::Level;

std::string PodSecurityLevel::text() const {
    constexpr std::string_view names[] = {"privileged", "baseline", "restricted"};
    return concat(names[static_cast<size_t>(level)], ":",
                  minor ? concat("v1.", *minor) : std::string{"latest"});
}

std::optional<Level> parse_security_level(std::string_view text) {
    if (text == "privileged") return Level::Privileged;
    if (text == "baseline") return Level::Baseline;
    if (text == "restricted") return Level::Restricted;
    return std::nullopt;
}

std::optional<std::optional<int>> parse_security_version(std::string_view text) {
    if (text == "latest") return std::optional<int>{};
    if (!text.starts_with("v1.")) return std::nullopt;
    const auto digits = text.substr(3);
    const bool padded = digits.size() > 1 && digits.front() == '0';
    const auto minor = parse_number<int>(digits);
    if (!minor || *minor < 0 || padded) return std::nullopt;
    return std::optional<int>{*minor};
}

std::vector<PodSecurityProblem> pod_security_problems(const codec::Json* annotations,
                                                      const codec::Json& spec,
                                                      const PodSecurityLevel& level) {
    std::vector<PodSecurityProblem> problems;
    if (level.level == Level::Privileged) return problems;
    const SecuredPod pod{.annotations = annotations, .spec = spec};
    const int minor = level.minor.value_or(latest_minor);
    const bool restricted = level.level == Level::Restricted;
    const auto ask = [&](std::span<const SecurityCheck> checks) {
        for (const auto& check : checks) {
            if (minor < check.since) continue;
            // A stricter rule of the restricted level stands for this one.
            if (restricted && check.replaced_since >= 0 && minor >= check.replaced_since) continue;
            auto detail = check.broken_by(pod, minor);
            if (detail) problems.push_back(std::move(*detail));
        }
    };
    ask(baseline_checks());
    if (restricted) ask(restricted_checks());
    return problems;
}

std::string told_in_full(const std::vector<PodSecurityProblem>& problems) {
    std::string out;
    for (const auto& [reason, detail] : problems)
        append(out, out.empty() ? "" : ", ", reason,
               detail.empty() ? std::string{} : concat(" (", detail, ")"));
    return out;
}

std::string reasons_of(const std::vector<PodSecurityProblem>& problems) {
    std::string out;
    for (const auto& problem : problems) append(out, out.empty() ? "" : ", ", problem.reason);
    return out;
}

}   // namespace skiff::apiserver
