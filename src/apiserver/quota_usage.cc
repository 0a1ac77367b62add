#include "apiserver/quota_usage.h"

#include <algorithm>
#include <array>
#include <set>

#include "api/pod_defaults.h"
#include "base/text.h"

namespace skiff::apiserver {
namespace {

using api::Quantity;
using codec::Json;

constexpr std::array<std::string_view, 7> plain_counts{"configmaps",
                                                       "persistentvolumeclaims",
                                                       "replicationcontrollers",
                                                       "resourcequotas",
                                                       "secrets",
                                                       "services",
                                                       "pods"};
constexpr std::array<std::string_view, 3> compute{"cpu", "memory", "ephemeral-storage"};
constexpr std::string_view class_suffix = ".storageclass.storage.k8s.io/";

bool is(const api::Kind& kind, std::string_view plural) {
    return kind.group.empty() && kind.plural == plural;
}

bool has_plain_count(const api::Kind& kind) {
    return kind.group.empty() && std::ranges::find(plain_counts, kind.plural) != plain_counts.end();
}

void add(ResourceAmounts& into, std::string name, const Quantity& amount) {
    const auto [known, fresh] = into.try_emplace(std::move(name), amount);
    if (!fresh) known->second = known->second + amount;
}

bool has_ended(const Json& pod) {
    const auto phase = pod.text_at({"status", "phase"});
    return phase == "Succeeded" || phase == "Failed";
}

bool is_extended(std::string_view name) {   // of a domain that is not Kubernetes' own
    return name.find('/') != std::string_view::npos &&
           name.find("kubernetes.io/") == std::string_view::npos;
}

void add_pod(ResourceAmounts& usage, const Json& pod) {
    if (has_ended(pod)) return;
    add(usage, "pods", Quantity::from_value(1));
    const auto* spec = pod.find("spec");
    if (!spec) return;
    auto requests = pod_amounts(*spec, "requests");
    auto limits = pod_amounts(*spec, "limits");
    const auto overhead = amounts_in(spec->find("overhead"));
    add_amounts(requests, overhead);
    for (const auto& [name, amount] : overhead)
        if (const auto found = limits.find(name); found != limits.end())
            found->second = found->second + amount;
    for (const auto& [name, amount] : requests) {
        const bool plain = std::ranges::find(compute, name) != compute.end();
        const bool pages = name.starts_with("hugepages-");
        if (plain || pages) add(usage, name, amount);
        if (plain || pages || is_extended(name)) add(usage, concat("requests.", name), amount);
    }
    for (const auto& [name, amount] : limits)
        if (std::ranges::find(compute, name) != compute.end())
            add(usage, concat("limits.", name), amount);
}

void add_service(ResourceAmounts& usage, const Json& service) {
    const auto* spec = service.find("spec");
    if (!spec) return;
    const auto type = spec->text_at({"type"});
    const auto* ports = spec->find("ports");
    const auto count = static_cast<int64_t>(ports ? ports->size() : 0);
    int64_t node_ports = 0;
    if (type == "NodePort") node_ports = count;
    if (type == "LoadBalancer") {
        add(usage, "services.loadbalancers", Quantity::from_value(1));
        const auto* allocates = spec->find("allocateLoadBalancerNodePorts");
        const bool none = allocates && allocates->is_bool() && !allocates->as_bool();
        node_ports = count;
        if (none && ports)
            node_ports = std::ranges::count_if(ports->items(), [](const Json& port) {
                const auto* number = port.find("nodePort");
                return number && number->is_integer() && number->as_int() != 0;
            });
    }
    if (node_ports) add(usage, "services.nodeports", Quantity::from_value(node_ports));
}

std::string_view class_of(const Json& claim) {
    const auto annotated =
        claim.text_at({"metadata", "annotations", "volume.beta.kubernetes.io/storage-class"});
    return annotated.empty() ? claim.text_at({"spec", "storageClassName"}) : annotated;
}

void add_claim(ResourceAmounts& usage, const Json& claim) {
    const auto name = class_of(claim);
    const auto put = [&](std::string_view what, const Quantity& amount) {
        add(usage, std::string{what}, amount);
        if (!name.empty()) add(usage, concat(name, class_suffix, what), amount);
    };
    if (!name.empty())
        add(usage, concat(name, class_suffix, "persistentvolumeclaims"), Quantity::from_value(1));
    auto asked = amounts_in(claim.at_path({"spec", "resources", "requests"}));
    const auto allocated = amounts_in(claim.at_path({"status", "allocatedResources"}));
    const auto storage = asked.find("storage");
    if (storage == asked.end()) return;
    const auto grown = allocated.find("storage");
    const bool more = grown != allocated.end() && grown->second > storage->second;
    put("requests.storage", more ? grown->second : storage->second);
}

bool scope_holds(std::string_view scope, const Json& pod) {
    const auto* spec = pod.find("spec");
    if (!spec) return false;
    const bool bounded = spec->find("activeDeadlineSeconds") != nullptr;
    if (scope == "Terminating") return bounded;
    if (scope == "NotTerminating") return !bounded;
    const bool best_effort = api::qos_class_of(*spec) == "BestEffort";
    if (scope == "BestEffort") return best_effort;
    if (scope == "NotBestEffort") return !best_effort;
    if (scope == "PriorityClass") return !spec->text_at({"priorityClassName"}).empty();
    if (scope != "CrossNamespacePodAffinity") return false;
    const auto crosses = [](const Json& term) {
        const auto* names = term.find("namespaces");
        return (names && names->size()) || term.find("namespaceSelector");
    };
    for (const std::string_view kind : {"podAffinity", "podAntiAffinity"}) {
        const auto* affinity = spec->at_path({"affinity", kind});
        if (!affinity) continue;
        if (const auto* terms = affinity->find("requiredDuringSchedulingIgnoredDuringExecution"))
            if (std::ranges::any_of(terms->items(), crosses)) return true;
        if (const auto* terms = affinity->find("preferredDuringSchedulingIgnoredDuringExecution"))
            for (const auto& term : terms->items())
                if (const auto* inner = term.find("podAffinityTerm"); inner && crosses(*inner))
                    return true;
    }
    return false;
}

bool selector_holds(const Json& expression, const Json& pod) {
    const auto scope = expression.text_at({"scopeName"});
    const auto operation = expression.text_at({"operator"});
    if (operation == "Exists") return scope_holds(scope, pod);
    if (operation == "DoesNotExist") return !scope_holds(scope, pod);
    if (scope != "PriorityClass") return false;
    const auto name = pod.text_at({"spec", "priorityClassName"});
    const auto* values = expression.find("values");
    const bool among = values && std::ranges::any_of(values->items(), [&](const Json& value) {
                           return value.text() == name;
                       });
    return operation == "In" ? among : operation == "NotIn" && !among;
}

}   // namespace

std::string object_count_name(const api::Kind& stored) {
    return concat("count/", stored.plural, stored.group.empty() ? "" : ".", stored.group);
}

ResourceAmounts quota_usage(const api::Kind& stored, const Json& object) {
    ResourceAmounts usage;
    usage.emplace(object_count_name(stored), Quantity::from_value(1));
    if (is(stored, "pods")) {
        add_pod(usage, object);
        return usage;
    }
    if (has_plain_count(stored)) usage.emplace(stored.plural, Quantity::from_value(1));
    if (is(stored, "services")) add_service(usage, object);
    if (is(stored, "persistentvolumeclaims")) add_claim(usage, object);
    return usage;
}

bool quota_concerns(const api::Kind& stored, const ResourceAmounts& hard) {
    const auto count = object_count_name(stored);
    return std::ranges::any_of(hard, [&](const auto& entry) {
        const std::string_view name = entry.first;
        if (name == count || (has_plain_count(stored) && name == stored.plural)) return true;
        if (name.starts_with("count/")) return false;
        if (is(stored, "services")) return name.starts_with("services.");
        const bool storage =
            name == "requests.storage" || name.find(class_suffix) != std::string_view::npos;
        if (is(stored, "persistentvolumeclaims")) return storage;
        if (!is(stored, "pods") || storage) return false;
        return name.starts_with("requests.") || name.starts_with("limits.") ||
               name.starts_with("hugepages-") || std::ranges::find(compute, name) != compute.end();
    });
}

bool quota_scopes_match(const Json& quota, const api::Kind& stored, const Json& object) {
    const auto* scopes = quota.at_path({"spec", "scopes"});
    const auto* selector = quota.at_path({"spec", "scopeSelector", "matchExpressions"});
    const bool any = (scopes && scopes->size()) || (selector && selector->size());
    if (!any) return true;
    if (!is(stored, "pods")) return false;
    if (scopes)
        for (const auto& scope : scopes->items())
            if (!scope_holds(scope.text(), object)) return false;
    if (selector)
        for (const auto& expression : selector->items())
            if (!selector_holds(expression, object)) return false;
    return true;
}

std::string quota_unsaid(const ResourceAmounts& hard, const api::Kind& stored, const Json& object) {
    if (!is(stored, "pods")) return {};
    const auto* spec = object.find("spec");
    const auto* own = spec ? spec->find("resources") : nullptr;
    if (!spec || (own && !own->empty())) return {};
    std::string out;
    for (const std::string_view name :
         {"cpu", "limits.cpu", "limits.memory", "memory", "requests.cpu", "requests.memory"}) {
        if (!hard.contains(name)) continue;
        const auto [list, resource] =
            name.starts_with("limits.")     ? std::pair{"limits", name.substr(7)}
            : name.starts_with("requests.") ? std::pair{"requests", name.substr(9)}
                                            : std::pair{"requests", name};
        std::set<std::string> silent;
        for (const std::string_view containers : {"containers", "initContainers"})
            if (const auto* all = spec->find(containers))
                for (const auto& container : all->items())
                    if (!container.at_path({"resources", list, resource}))
                        silent.emplace(container.text_at({"name"}));
        if (silent.empty()) continue;
        append(out, out.empty() ? "" : "; ", name,
               " for: ", join(std::vector<std::string>(silent.begin(), silent.end()), ","));
    }
    return out;
}

ResourceAmounts masked(const ResourceAmounts& amounts, const ResourceAmounts& names) {
    ResourceAmounts left;
    for (const auto& [name, amount] : amounts)
        if (names.contains(name)) left.emplace(name, amount);
    return left;
}

std::string quota_text(const ResourceAmounts& amounts) {
    std::string out;
    for (const auto& [name, amount] : amounts)
        append(out, out.empty() ? "" : ",", name, "=", amount.canonical());
    return out;
}

}   // namespace skiff::apiserver
