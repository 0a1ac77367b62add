#include "controllers/service_pods.h"

#include "base/text.h"

namespace skiff::controllers {
namespace {

using client::ObjectKey;
using client::Shared;

constexpr const char* selector_index = "selector";

std::string index_key(std::string_view name_space, std::string_view label, std::string_view value) {
    return concat(name_space, "/", label, "=", value);
}

// One of the selector's pairs is enough to find it by: the first.
std::vector<std::string> index_keys(const view::Service& service) {
    if (!managed(service)) return {};
    const auto& [label, value] = *service.spec.selector.begin();
    return {index_key(service.metadata.namespace_.view(), label.view(), value.view())};
}

ObjectKey key_of(const view::Service& service) {
    return {.name_space = service.metadata.namespace_.str(), .name = service.metadata.name};
}

}   // namespace

ServicePods::ServicePods(client::Informer<view::Service>& services,
                         client::Informer<view::Pod>& pods, Changed changed)
    : services_{services}, pods_{pods}, changed_{std::move(changed)} {
    services_.add_index(selector_index, index_keys);
    services_.on_change([this](const auto& old, const auto& now) { service_changed(old, now); });
    pods_.on_change([this](const auto& old, const auto& now) { pod_changed(old, now); });
}

PodList ServicePods::pods_of(const ObjectKey& service) const {
    const auto names = members_.use([&](const auto& members) {
        const auto found = members.find(service);
        return found == members.end() ? std::set<std::string>{} : found->second;
    });
    PodList pods;
    pods.reserve(names.size());
    for (const auto& name : names)
        if (auto pod = pods_.find({.name_space = service.name_space, .name = name}))
            pods.push_back(std::move(pod));
    return pods;
}

// The caches are always ahead of the handlers. So a pod whose handler knew only the old selector is
// in the cache by the time the service's handler looks, and is found here.
void ServicePods::service_changed(const Shared<view::Service>& old,
                                  const Shared<view::Service>& now) {
    const auto key = key_of(now ? *now : *old);
    if (!now || !managed(*now)) {
        members_.use([&](auto& members) { members.erase(key); });
        return;
    }
    if (old && old->spec.selector == now->spec.selector && managed(*old)) return;
    std::set<std::string> names;
    for (const auto& pod : pods_.in_namespace(key.name_space))
        if (selects(now->spec.selector, pod->metadata.labels)) names.insert(pod->metadata.name);
    members_.use([&](auto& members) { members[key].merge(names); });
}

std::vector<ObjectKey> ServicePods::services_of(const view::Pod& pod) const {
    std::vector<ObjectKey> keys;
    for (const auto& [label, value] : pod.metadata.labels)
        for (const auto& service : services_.by_index(
                 selector_index,
                 index_key(pod.metadata.namespace_.view(), label.view(), value.view())))
            if (selects(service->spec.selector, pod.metadata.labels))
                keys.push_back(key_of(*service));
    return keys;
}

void ServicePods::pod_changed(const Shared<view::Pod>& old, const Shared<view::Pod>& now) {
    if (old && now && same_backend(*old, *now)) return;
    std::set<ObjectKey> affected;
    const auto& name = (now ? now : old)->metadata.name;
    if (old)
        for (const auto& key : services_of(*old)) {
            affected.insert(key);
            members_.use([&](auto& members) { members[key].erase(name); });
        }
    if (now)
        for (const auto& key : services_of(*now)) {
            affected.insert(key);
            members_.use([&](auto& members) { members[key].insert(name); });
        }
    for (const auto& key : affected) changed_(key);
}

}   // namespace skiff::controllers
