// Node selector terms (core/v1 NodeSelectorTerm), over any view of them: of a pod's affinity and of
// a volume's.
#pragma once

#include <algorithm>
#include <optional>
#include <string_view>

#include "base/text.h"
#include "scheduler/node_info.h"

namespace skiff::scheduler {

inline bool requirement_met(const auto& requirement, std::optional<std::string_view> value) {
    const auto listed = [&] {
        return value && std::ranges::any_of(requirement.values, [&](const auto& one) {
                   return std::string_view{one} == *value;
               });
    };
    const std::string_view op = requirement.operator_;
    if (op == "In") return listed();
    if (op == "NotIn") return !listed();
    if (op == "Exists") return value.has_value();
    if (op == "DoesNotExist") return !value.has_value();
    if (op != "Gt" && op != "Lt") return false;
    const auto have = value ? parse_number<int64_t>(*value) : std::nullopt;
    const auto want = requirement.values.size() == 1
                          ? parse_number<int64_t>(std::string_view{requirement.values[0]})
                          : std::nullopt;
    if (!have || !want) return false;
    return op == "Gt" ? *have > *want : *have < *want;
}

// A term without any requirement matches nothing.
inline bool selects(const auto& term, const view::Node& node) {
    if (term.matchExpressions.empty() && term.matchFields.empty()) return false;
    const auto label = [&](const auto& requirement) {
        const auto* found = node.metadata.labels.find(std::string_view{requirement.key});
        return requirement_met(requirement,
                               found ? std::optional<std::string_view>{*found} : std::nullopt);
    };
    const auto field = [&](const auto& requirement) {
        const bool name = std::string_view{requirement.key} == "metadata.name";
        return requirement_met(
            requirement, name ? std::optional<std::string_view>{node.metadata.name} : std::nullopt);
    };
    return std::ranges::all_of(term.matchExpressions, label) &&
           std::ranges::all_of(term.matchFields, field);
}

inline bool any_selects(const auto& terms, const view::Node& node) {
    return std::ranges::any_of(terms, [&](const auto& term) { return selects(term, node); });
}

}   // namespace skiff::scheduler
