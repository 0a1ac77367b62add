// The Pod Security Standards (v1.33) as a pure function: which rules of a level a pod breaks, in
// the words that users of Kubernetes know.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "codec/json.h"

namespace skiff::apiserver {

struct PodSecurityLevel {
    enum class Level : uint8_t { Privileged, Baseline, Restricted } level = Level::Privileged;
    std::optional<int> minor;   // of v1.MINOR; absent is latest
    std::string text() const;   // "baseline:latest"
    bool operator==(const PodSecurityLevel&) const = default;
};
std::optional<PodSecurityLevel::Level> parse_security_level(std::string_view text);
// "latest" is known and absent; nullopt for what is no version.
std::optional<std::optional<int>> parse_security_version(std::string_view text);

struct PodSecurityProblem {
    std::string reason;
    std::string detail;
};
// A pod, or a template: its annotations and spec.
std::vector<PodSecurityProblem> pod_security_problems(const codec::Json* annotations,
                                                      const codec::Json& spec,
                                                      const PodSecurityLevel& level);
std::string told_in_full(const std::vector<PodSecurityProblem>& problems);   // "reason (detail), …"
std::string reasons_of(const std::vector<PodSecurityProblem>& problems);     // "reason, …"

}   // namespace skiff::apiserver
