#include "controllers/deployment_sizes.h"

#include <algorithm>
#include <cmath>

#include "base/text.h"
#include "codec/json.h"

namespace skiff::controllers {
namespace {

using codec::Json;

enum class Rounding : uint8_t { Down, Up };

int32_t resolved(const std::optional<api::IntOrString>& value, int32_t total, Rounding rounding) {
    if (!value) return 0;
    if (!value->is_string) return value->number;
    std::string_view text = value->text;
    if (!text.ends_with('%')) return 0;
    text.remove_suffix(1);
    const int64_t hundredths = parse_number<int64_t>(text).value_or(0) * total;
    return static_cast<int32_t>((hundredths + (rounding == Rounding::Up ? 99 : 0)) / 100);
}

int32_t most_pods(const view::Deployment& deployment) {
    return wanted_replicas(deployment) + allowance_of(deployment).surge;
}

// By how much the set would change if all were to keep their shares.
int32_t share_of(const view::Deployment& deployment, const SizedSet& sized) {
    const int32_t size = sized.size();
    if (wanted_replicas(deployment) == 0) return -size;
    auto before = number_annotation(*sized.set, most_annotation).value_or(0);
    if (before == 0) before = deployment.status.replicas;   // not annotated: by what there was
    if (before == 0) return 0;
    const double fair = static_cast<double>(size) * most_pods(deployment) / before;
    return static_cast<int32_t>(std::lround(fair)) - size;
}

int32_t proportion_of(const view::Deployment& deployment, const SizedSet& sized, int32_t to_add,
                      int32_t added) {
    if (sized.size() == 0 || to_add == 0 || to_add == added) return 0;
    const int32_t share = share_of(deployment, sized);
    const int32_t allowed = to_add - added;
    return to_add > 0 ? std::min(share, allowed) : std::max(share, allowed);
}

void sort_members(Json& value) {
    if (value.is_object()) {
        value.sort_members();
        for (auto& member : value.members()) sort_members(member.value);
    } else if (value.is_array()) {
        for (auto& item : value.items()) sort_members(item);
    }
}

// The template without the label that tells its own hash.
Json without_hash(Json pod_template) {
    auto* metadata = pod_template.find("metadata");
    auto* labels = metadata ? metadata->find("labels") : nullptr;
    if (!labels) return pod_template;
    labels->remove(hash_label);
    if (labels->empty()) metadata->remove("labels");
    if (metadata->empty()) pod_template.remove("metadata");
    return pod_template;
}

}   // namespace

int32_t wanted_replicas(const view::Deployment& deployment) {
    return deployment.spec.replicas.value_or(1);
}

bool is_rolling(const view::Deployment& deployment) {
    return deployment.spec.strategy.type != "Recreate";
}

Allowance allowance_of(const view::Deployment& deployment) {
    const int32_t wanted = wanted_replicas(deployment);
    if (!is_rolling(deployment) || wanted == 0) return {};
    const auto& rolling = deployment.spec.strategy.rollingUpdate;
    if (!rolling) return {.surge = 0, .unavailable = 1};
    Allowance allowance{.surge = resolved(rolling->maxSurge, wanted, Rounding::Up),
                        .unavailable = resolved(rolling->maxUnavailable, wanted, Rounding::Down)};
    // With neither nothing could ever move.
    if (allowance.surge == 0 && allowance.unavailable == 0) allowance.unavailable = 1;
    allowance.unavailable = std::min(allowance.unavailable, wanted);
    return allowance;
}

std::optional<int32_t> number_annotation(const view::ReplicaSet& set, std::string_view name) {
    const auto* text = set.metadata.annotations.find(name);
    return text ? parse_number<int32_t>(*text) : std::nullopt;
}

int64_t revision_of(const view::ReplicaSet& set) {
    const auto* text = set.metadata.annotations.find(revision_annotation);
    return text ? parse_number<int64_t>(*text).value_or(0) : 0;
}

void share_proportionally(const view::Deployment& deployment, std::vector<SizedSet*> active) {
    int32_t sum = 0;
    for (const auto* sized : active) sum += sized->size();
    const int32_t allowed = wanted_replicas(deployment) > 0 ? most_pods(deployment) : 0;
    const int32_t to_add = allowed - sum;
    // Larger ones first; among equals the newest when growing, the oldest when shrinking.
    std::ranges::sort(active, [&](const SizedSet* left, const SizedSet* right) {
        if (left->size() != right->size()) return left->size() > right->size();
        const auto& one = left->set->metadata;
        const auto& other = right->set->metadata;
        if (one.creationTimestamp == other.creationTimestamp) return one.name < other.name;
        return to_add > 0 ? one.creationTimestamp > other.creationTimestamp
                          : one.creationTimestamp < other.creationTimestamp;
    });
    int32_t added = 0;
    for (auto* sized : active) {
        const int32_t change = proportion_of(deployment, *sized, to_add, added);
        sized->resize(sized->size() + change);
        added += change;
    }
    if (!active.empty() && to_add != 0)   // what rounding left over goes to the first
        active.front()->resize(std::max(0, active.front()->wanted + to_add - added));
}

std::string template_hash(std::string_view pod_template, std::optional<int32_t> collisions) {
    auto document = codec::parse_json(pod_template);
    std::string text{pod_template};
    if (document) {
        sort_members(document->root);
        text = codec::to_json(document->root);
    }
    if (collisions) append(text, '/', *collisions);
    uint32_t hash = 2166136261u;   // FNV-1a
    for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619u;
    // Kubernetes' alphabet without vowels and look-alikes.
    constexpr std::string_view safe = "bcdfghjklmnpqrstvwxz2456789";
    std::string out;
    for (const char digit : std::to_string(hash))
        out += safe[static_cast<size_t>(digit) % safe.size()];
    return out;
}

bool same_template(std::string_view left, std::string_view right) {
    if (left == right) return true;
    auto one = codec::parse_json(left);
    auto other = codec::parse_json(right);
    return one && other && without_hash(one->root) == without_hash(other->root);
}

}   // namespace skiff::controllers
