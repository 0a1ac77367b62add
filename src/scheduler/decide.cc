#include "scheduler/decide.h"

#include <algorithm>
#include <array>

#include "base/text.h"
#include "scheduler/node_terms.h"

namespace skiff::scheduler {
namespace {

std::string fits_name(const view::Pod&, const NodeInfo& node) {
    return node.node ? "" : "node(s) not found";
}

std::string fits_unschedulable(const view::Pod& pod, const NodeInfo& node) {
    if (!node.node->spec.unschedulable) return {};
    if (tolerates(pod, "node.kubernetes.io/unschedulable", "", "NoSchedule")) return {};
    return "node(s) were unschedulable";
}

std::string fits_taints(const view::Pod& pod, const NodeInfo& node) {
    for (const auto& taint : node.node->spec.taints) {
        if (taint.effect != "NoSchedule" && taint.effect != "NoExecute") continue;
        if (!tolerates(pod, taint.key, taint.value, taint.effect))
            return concat("node(s) had untolerated taint {", std::string_view{taint.key}, ": ",
                          std::string_view{taint.value}, "}");
    }
    return {};
}

std::string fits_selector(const view::Pod& pod, const NodeInfo& node) {
    return node_selected(pod, *node.node) ? ""
                                          : "node(s) didn't match Pod's node affinity/selector";
}

std::string fits_ports(const view::Pod& pod, const NodeInfo& node) {
    return node.ports_free(host_ports_of(pod))
               ? ""
               : "node(s) didn't have free ports for the requested pod ports";
}

std::string fits_resources(const view::Pod& pod, const NodeInfo& node) {
    if (static_cast<int64_t>(node.pods()) + 1 > node.pods_allocatable()) return "Too many pods";
    const auto wanted = requests_of(pod);
    const auto has = node.allocatable();
    const auto& taken = node.requested();
    if (wanted.cpu_milli > 0 && wanted.cpu_milli > has.cpu_milli - taken.cpu_milli)
        return "Insufficient cpu";
    if (wanted.memory_bytes > 0 && wanted.memory_bytes > has.memory_bytes - taken.memory_bytes)
        return "Insufficient memory";
    if (wanted.ephemeral_bytes > 0 &&
        wanted.ephemeral_bytes > has.ephemeral_bytes - taken.ephemeral_bytes)
        return "Insufficient ephemeral-storage";
    for (const auto& [name, amount] : wanted.others) {
        if (amount == 0) continue;
        const auto offered = has.others.find(name);
        const auto used = taken.others.find(name);
        const auto left = (offered == has.others.end() ? 0 : offered->second) -
                          (used == taken.others.end() ? 0 : used->second);
        if (amount > left) return concat("Insufficient ", name);
    }
    return {};
}

// Without requests a pod counts as a small one, or it would pile up (upstream's 100m and 200 MB).
Resources counted(Resources wanted) {
    if (wanted.cpu_milli == 0) wanted.cpu_milli = 100;
    if (wanted.memory_bytes == 0) wanted.memory_bytes = 200 << 20;
    return wanted;
}

int64_t free_share(int64_t taken, int64_t has) {
    return has <= 0 || taken > has ? 0 : (has - taken) * 100 / has;
}

int64_t score_least_allocated(const view::Pod& pod, const NodeInfo& node) {
    const auto wanted = counted(requests_of(pod));
    const auto has = node.allocatable();
    return (free_share(node.requested().cpu_milli + wanted.cpu_milli, has.cpu_milli) +
            free_share(node.requested().memory_bytes + wanted.memory_bytes, has.memory_bytes)) /
           2;
}

int64_t score_balanced(const view::Pod& pod, const NodeInfo& node) {
    const auto wanted = counted(requests_of(pod));
    const auto has = node.allocatable();
    const auto cpu = free_share(node.requested().cpu_milli + wanted.cpu_milli, has.cpu_milli);
    const auto memory =
        free_share(node.requested().memory_bytes + wanted.memory_bytes, has.memory_bytes);
    return 100 - std::abs(cpu - memory);
}

int64_t score_few_pods(const view::Pod&, const NodeInfo& node) {
    return free_share(static_cast<int64_t>(node.pods()), node.pods_allocatable());
}

int64_t score_soft_taints(const view::Pod& pod, const NodeInfo& node) {
    int64_t untolerated = 0;
    for (const auto& taint : node.node->spec.taints)
        if (taint.effect == "PreferNoSchedule" &&
            !tolerates(pod, taint.key, taint.value, taint.effect))
            ++untolerated;
    return untolerated ? 100 / (1 + untolerated) : 100;
}

int64_t score_preferred_affinity(const view::Pod& pod, const NodeInfo& node) {
    if (!pod.spec.affinity || !pod.spec.affinity->nodeAffinity) return 0;
    int64_t sum = 0;
    int64_t most = 0;
    for (const auto& term :
         pod.spec.affinity->nodeAffinity->preferredDuringSchedulingIgnoredDuringExecution) {
        most += term.weight;
        if (selects(term.preference, *node.node)) sum += term.weight;
    }
    return most ? sum * 100 / most : 0;
}

constexpr std::array<Filter, 6> all_filters{fits_name,     fits_unschedulable, fits_taints,
                                            fits_selector, fits_ports,         fits_resources};
constexpr std::array all_scores{
    NamedScore{"NodeResourcesFit", score_least_allocated, 1},
    NamedScore{"NodeResourcesBalancedAllocation", score_balanced, 1},
    NamedScore{"TaintToleration", score_soft_taints, 3},
    NamedScore{"NodeAffinity", score_preferred_affinity, 2},
    NamedScore{"PodCount", score_few_pods, 1},
};

}   // namespace

std::span<const Filter> filters() { return all_filters; }
std::span<const NamedScore> scores() { return all_scores; }

bool tolerates(const view::Pod& pod, std::string_view key, std::string_view value,
               std::string_view effect) {
    return std::ranges::any_of(pod.spec.tolerations, [&](const auto& toleration) {
        if (!toleration.effect.empty() && toleration.effect != effect) return false;
        if (!toleration.key.empty() && toleration.key != key) return false;
        const std::string_view op = toleration.operator_;
        if (op == "Exists") return true;
        return (op.empty() || op == "Equal") && !toleration.key.empty() &&
               toleration.value == value;
    });
}

bool node_selected(const view::Pod& pod, const view::Node& node) {
    for (const auto& [key, value] : pod.spec.nodeSelector) {
        const auto* label = node.metadata.labels.find(key);
        if (!label || std::string_view{*label} != std::string_view{value}) return false;
    }
    if (!pod.spec.affinity || !pod.spec.affinity->nodeAffinity) return true;
    const auto& required =
        pod.spec.affinity->nodeAffinity->requiredDuringSchedulingIgnoredDuringExecution;
    if (!required) return true;
    return any_selects(required->nodeSelectorTerms, node);
}

std::string Decision::message(size_t nodes) const {
    if (nodes == 0) return "no nodes available to schedule pods";
    const auto head = concat("0/", nodes, " nodes are available: ");
    std::vector<std::string> parts;   // sorted as texts, as upstream's
    for (const auto& [reason, count] : reasons) parts.push_back(concat(count, " ", reason));
    std::ranges::sort(parts);
    return concat(head, join(parts, ", "), ".");
}

Decision decide(const view::Pod& pod, std::span<const NodeInfo* const> nodes, uint64_t tie,
                const NodeCheck& also) {
    Decision decision;
    std::vector<const NodeInfo*> best;
    int64_t best_score = -1;
    for (const auto* node : nodes) {
        const auto refused = [&]() -> std::string {
            for (const auto filter : filters())
                if (auto reason = filter(pod, *node); !reason.empty()) return reason;
            return also ? also(*node) : std::string{};
        }();
        if (!refused.empty()) {
            ++decision.reasons[refused];
            continue;
        }
        int64_t total = 0;
        for (const auto& [name, score, weight] : scores()) total += weight * score(pod, *node);
        if (total > best_score) best.clear();
        if (total < best_score) continue;
        best_score = total;
        best.push_back(node);
    }
    if (!best.empty()) decision.node = best[tie % best.size()]->node->metadata.name;
    return decision;
}

}   // namespace skiff::scheduler
