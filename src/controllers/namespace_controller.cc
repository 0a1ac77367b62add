#include "controllers/namespace_controller.h"

#include <algorithm>
#include <array>

#include "base/text.h"
#include "codec/json.h"
#include "controllers/owned.h"

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

client::Plan plan_conditions(const view::Namespace& object, const NamespaceContent& content,
                             WallTime now) {
    const auto list = [](const std::map<std::string, size_t>& counts, std::string_view words) {
        std::string out;
        for (const auto& [what, count] : counts)
            append(out, out.empty() ? "" : ", ", what, words, count, " resource instances");
        return out;
    };
    std::string failures;
    for (const auto& failure : content.failures)
        append(failures, failures.empty() ? "" : ", ", failure);
    const struct {
        std::string_view type;
        bool is;
        std::string_view bad_reason, good_reason;
        std::string bad;
        std::string_view good;
    } wanted[] = {
        {"NamespaceDeletionDiscoveryFailure", !content.discovery_failure.empty(), "DiscoveryFailed",
         "ResourcesDiscovered",
         concat("Discovery failed for some groups, 1 failing: ", content.discovery_failure),
         "All resources successfully discovered"},
        {"NamespaceDeletionGroupVersionParsingFailure", false, "", "ParsedGroupVersions", "",
         "All legacy kube types successfully parsed"},
        {"NamespaceDeletionContentFailure", !failures.empty(), "ContentDeletionFailed",
         "ContentDeleted",
         concat("Failed to delete all resource types, ", content.failures.size(),
                " remaining: ", failures),
         "All content successfully deleted, may be waiting on finalization"},
        {"NamespaceContentRemaining", !content.resources.empty(), "SomeResourcesRemain",
         "ContentRemoved",
         concat("Some resources are remaining: ", list(content.resources, " has ")),
         "All content successfully removed"},
        {"NamespaceFinalizersRemaining", !content.finalizers.empty(), "SomeFinalizersRemain",
         "ContentHasNoFinalizers",
         concat("Some content in the namespace has finalizers remaining: ",
                list(content.finalizers, " in ")),
         "All content-preserving finalizers finished"},
    };
    codec::Arena arena;
    auto conditions = codec::Json::array();
    for (const auto& row : wanted) {
        const auto status = row.is ? "True" : "False";
        const auto reason = row.is ? row.bad_reason : row.good_reason;
        const auto message = row.is ? std::string_view{row.bad} : row.good;
        const auto known = std::ranges::find_if(
            object.status.conditions, [&](const auto& one) { return one.type == row.type; });
        const bool there = known != object.status.conditions.end();
        if (there && known->status == status && known->reason == reason &&
            known->message == message)
            continue;
        auto& one = conditions.push(arena, codec::Json::object());
        const auto set = [&](std::string_view key, std::string_view text) {
            one.set_borrowed(arena, key, codec::Json::string(arena, text));
        };
        set("type", row.type);
        set("status", status);
        set("reason", reason);
        set("message", message);
        if (!there || known->status != status) set("lastTransitionTime", rfc3339(now));
    }
    client::Plan plan;
    if (conditions.empty()) return plan;
    plan.patch<view::Namespace>(
            {.name_space = {}, .name = object.metadata.name},
            concat(R"({"status":{"conditions":)", codec::to_json(conditions), "}}"), "status")
        .uid = object.metadata.uid;
    return plan;
}

NamespaceStep next_step(const view::Namespace& object, std::optional<bool> empty) {
    if (!object.metadata.deletionTimestamp) return NamespaceStep::Nothing;
    const auto& finalizers = object.spec.finalizers;
    if (std::ranges::find(finalizers, finalizer) == finalizers.end()) return NamespaceStep::Nothing;
    return empty.value_or(false) ? NamespaceStep::Finalize : NamespaceStep::Empty;
}

NamespaceController::NamespaceController(Executor& executor, Random&,
                                         const ControllersOptions& options,
                                         client::Informer<view::Namespace>& namespaces)
    : component_{executor, options, "namespace-controller"},
      namespaces_{namespaces},
      clock_{executor.clock()},
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
    const auto content = empty(key.name);
    // Told while it lasts: what is empty at once needs no words.
    if (next_step(*object, content.empty()) != NamespaceStep::Finalize) {
        TRY_OK(component_.plans.carry_out(key, plan_conditions(*object, content, clock_.now())));
        return Requeue::in(look_again);
    }
    TRY_OK(finalize(*object));
    return Requeue::no();
}

NamespaceContent NamespaceController::empty(const std::string& name) {
    NamespaceContent content;
    auto kinds = discover(component_.client);
    if (!kinds) {
        content.discovery_failure = kinds.error().message;
        return content;
    }
    for (const auto& kind : one_of_each(std::move(*kinds))) {
        if (!kind.namespaced || !kind.has("list") || !kind.has("deletecollection")) continue;
        if (const auto done = empty(name, kind, content); !done)
            content.failures.push_back(
                concat(kind.plural, ".", kind.group, ": ", done.error().message));
    }
    return content;
}

Result<> NamespaceController::empty(const std::string& name, const ServedKind& kind,
                                    NamespaceContent& content) {
    auto& client = component_.client;
    const auto path = client::path_of(kind.resource(), name);
    TRY(const auto some, client.call({.method = "GET", .path = path, .query = "limit=1"}));
    TRY(const auto first, client::list_page_of(some.body.view()));
    if (first.items.empty()) return {};
    // Whatever the kind's own default: nothing is to be left behind here.
    TRY_OK(
        client.call({.method = "DELETE", .path = path, .query = "propagationPolicy=Background"}));
    TRY(const auto after, client.list_text(kind.resource(), name, {}));
    TRY(const auto left, client::list_page_of(after.view()));
    if (left.items.empty()) return {};
    content.resources[concat(kind.plural, ".", kind.group)] = left.items.size();
    for (const auto item : left.items) {
        TRY(const auto object, api::decode<view::Owned>(item));
        for (const auto& one : object.metadata.finalizers) ++content.finalizers[one];
    }
    return {};
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
