#include "controllers/namespace_controller.h"

#include <algorithm>
#include <array>

#include "base/text.h"
#include "codec/json.h"

namespace skiff::controllers {
namespace {

using client::ObjectKey;
using client::Requeue;

constexpr std::array<std::string_view, 4> initial_namespaces{"default", "kube-system",
                                                             "kube-public", "kube-node-lease"};
constexpr std::string_view finalizer = "kubernetes";
constexpr auto look_again = std::chrono::milliseconds{500};   // while pods take their time to end
const ObjectKey initial_key{.name_space = {}, .name = "(the initial namespaces)"};

}   // namespace

Result<std::vector<NamespacedResource>> namespaced_resources(std::string_view resource_list) {
    TRY(const auto document, codec::parse_json(resource_list));
    const auto [first, second] = cut(document.root.text_at({"groupVersion"}), '/');
    std::vector<NamespacedResource> found;
    const auto* resources = document.root.find("resources");
    if (!resources) return found;
    for (const auto& resource : resources->items()) {
        const auto name = resource.text_at({"name"});
        const auto* namespaced = resource.find("namespaced");
        const auto* verbs = resource.find("verbs");
        if (name.contains('/') || !namespaced || !namespaced->is_bool() || !namespaced->as_bool() ||
            !verbs)
            continue;
        const auto has = [&](std::string_view verb) {
            return std::ranges::any_of(verbs->items(),
                                       [&](const auto& v) { return v.text() == verb; });
        };
        if (!has("list") || !has("deletecollection")) continue;
        found.push_back({.group = second ? std::string{first} : std::string{},
                         .version = std::string{second ? *second : first},
                         .plural = std::string{name}});
    }
    return found;
}

std::vector<NamespacedResource> one_version_each(std::vector<NamespacedResource> resources) {
    std::set<std::pair<std::string, std::string>> seen;
    std::erase_if(resources, [&](const auto& resource) {
        return !seen.emplace(resource.group, resource.plural).second;
    });
    return resources;
}

NamespaceStep next_step(const view::Namespace& object, std::optional<size_t> left) {
    if (!object.metadata.deletionTimestamp) return NamespaceStep::Nothing;
    const auto& finalizers = object.spec.finalizers;
    if (std::ranges::find(finalizers, finalizer) == finalizers.end()) return NamespaceStep::Nothing;
    return left && *left == 0 ? NamespaceStep::Finalize : NamespaceStep::Empty;
}

NamespaceController::NamespaceController(Executor& executor, Random&,
                                         const ControllersOptions& options,
                                         client::Informer<view::Namespace>& namespaces)
    : component_{executor, options, "namespace-controller"},
      namespaces_{namespaces},
      queue_{executor,
             [this](const ObjectKey& key) { return reconcile(key); },
             {.name = "namespaces"}} {
    namespaces_.on_change([this](const auto& old, const auto& now) {
        if (now && now->metadata.deletionTimestamp)
            queue_.add({.name_space = {}, .name = now->metadata.name});
        if (old && !now) queue_.add(initial_key);
    });
}

void NamespaceController::start() {
    queue_.add(initial_key);
    queue_.start();
}

Result<Requeue> NamespaceController::ensure_initial() {
    client::Plan plan;
    for (const auto name : initial_namespaces) {
        view::Namespace object;
        object.metadata.name = name;
        plan.create(object, {.name_space = {}, .name = std::string{name}}).if_absent = true;
    }
    return component_.plans.carry_out(initial_key, plan);
}

Result<Requeue> NamespaceController::reconcile(const ObjectKey& key) {
    if (key == initial_key) return ensure_initial();
    const auto object = namespaces_.find(key);
    if (!object || next_step(*object, {}) == NamespaceStep::Nothing) return Requeue::no();
    TRY(const auto left, empty(key.name));
    if (next_step(*object, left) != NamespaceStep::Finalize) return Requeue::in(look_again);
    TRY_OK(finalize(*object));
    return Requeue::no();
}

Result<std::vector<NamespacedResource>> NamespaceController::discover() {
    const auto get = [&](std::string path) {
        return component_.client.call({.method = "GET", .path = std::move(path)});
    };
    TRY(const auto core, get("/api/v1"));
    TRY(auto resources, namespaced_resources(core.body));
    TRY(const auto groups, get("/apis"));
    TRY(const auto document, codec::parse_json(groups.body));
    const auto* list = document.root.find("groups");
    if (!list) return resources;
    for (const auto& group : list->items()) {
        const auto* versions = group.find("versions");
        if (!versions) continue;
        for (const auto& version : versions->items()) {
            TRY(const auto answer, get(concat("/apis/", version.text_at({"groupVersion"}))));
            TRY(auto more, namespaced_resources(answer.body));
            std::ranges::move(more, std::back_inserter(resources));
        }
    }
    return one_version_each(std::move(resources));
}

Result<size_t> NamespaceController::empty(const std::string& name) {
    TRY(const auto resources, discover());
    size_t left = 0;
    for (const auto& resource : resources) {
        const auto path =
            client::path_of({resource.group, resource.version, resource.plural}, name);
        const auto count = [&]() -> Result<size_t> {
            TRY(const auto answer,
                component_.client.call({.method = "GET", .path = path, .query = "limit=1"}));
            TRY(const auto document, codec::parse_json(answer.body));
            const auto* items = document.root.find("items");
            return items ? items->size() : 0;
        };
        TRY(const auto before, count());
        if (before == 0) continue;
        TRY_OK(component_.client.call({.method = "DELETE", .path = path}));
        TRY(const auto after, count());
        left += after;
    }
    return left;
}

Result<> NamespaceController::finalize(const view::Namespace& object) {
    view::Namespace changed = object;
    std::erase(changed.spec.finalizers, finalizer);
    const auto done = component_.client.update(
        changed, {.name_space = {}, .name = object.metadata.name}, "finalize");
    if (!done && done.error().reason != Reason::NotFound) return std::unexpected{done.error()};
    return {};
}

}   // namespace skiff::controllers
