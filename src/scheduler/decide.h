// The scheduler's decision: filters, then scores. Pure: the same nodes and pod give the same node.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "scheduler/node_info.h"

namespace skiff::scheduler {

// A filter says "" when the pod may go there, else why not, in upstream's words.
using Filter = std::string (*)(const view::Pod& pod, const NodeInfo& node);
// 0 to 100; more is better.
using Score = int64_t (*)(const view::Pod& pod, const NodeInfo& node);

struct NamedScore {
    std::string_view name;
    Score score;
    int64_t weight;
};
std::span<const Filter> filters();
std::span<const NamedScore> scores();

struct Decision {
    std::string node;                     // "" when none fits
    std::map<std::string, int> reasons;   // why not, and of how many nodes
    // "0/3 nodes are available: 1 node(s) were unschedulable, 2 Insufficient cpu."
    std::string message(size_t nodes) const;
};
// A filter that knows more than the pod: its volumes'. Empty: none.
using NodeCheck = std::function<std::string(const NodeInfo& node)>;
// `tie` chooses among the best, so that pods spread: any number will do.
Decision decide(const view::Pod& pod, std::span<const NodeInfo* const> nodes, uint64_t tie,
                const NodeCheck& also = {});

// Taints and tolerations (core/v1 Toleration.ToleratesTaint).
bool tolerates(const view::Pod& pod, const std::string_view key, std::string_view value,
               std::string_view effect);
bool node_selected(const view::Pod& pod,
                   const view::Node& node);   // nodeSelector and required affinity

}   // namespace skiff::scheduler
