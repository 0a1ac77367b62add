// Delete and delete collection: grace for pods, finalizers, namespaces that empty themselves.
#include <algorithm>
#include <atomic>

#include "apiserver/admission.h"
#include "apiserver/registry.h"
#include "apiserver/selection.h"
#include "apiserver/status.h"
#include "base/guarded.h"
#include "base/text.h"

namespace skiff::apiserver {
namespace {

std::optional<int64_t> number_at(const Json& object, std::initializer_list<std::string_view> path) {
    const auto* value = object.at_path(path);
    if (!value || !value->is_integer()) return std::nullopt;
    return value->as_int();
}

bool is_core(const ServedResource& resource, std::string_view plural) {
    return resource.stored->group.empty() && resource.stored->plural == plural;
}

// How long a pod may take to end: asked for, or its own; nothing when no container can be running.
int64_t pod_grace(const Json& pod, std::optional<int64_t> asked) {
    if (pod.text_at({"spec", "nodeName"}).empty()) return 0;
    const auto phase = pod.text_at({"status", "phase"});
    if (phase == "Succeeded" || phase == "Failed") return 0;
    if (asked) return *asked;
    return number_at(pod, {"spec", "terminationGracePeriodSeconds"}).value_or(30);
}

Result<> check_preconditions(const Call& call, const ServedResource& resource,
                             const store::Object& current, const Json& object,
                             const Json& options) {
    const auto uid = options.text_at({"preconditions", "uid"});
    if (!uid.empty() && uid != metadata_text(object, "uid")) {
        return std::unexpected{
            conflict(resource, call.info.name,
                     concat("Precondition failed: UID in precondition: ", uid,
                            ", UID in object meta: ", metadata_text(object, "uid")))};
    }
    const auto version = options.text_at({"preconditions", "resourceVersion"});
    if (!version.empty() && version != std::to_string(current.modified.value)) {
        return std::unexpected{
            conflict(resource, call.info.name,
                     concat("Precondition failed: ResourceVersion in precondition: ", version,
                            ", ResourceVersion in object meta: ", current.modified.value))};
    }
    return {};
}

Result<> check_options(const Json& options) {
    const auto* orphan = options.find("orphanDependents");
    if (orphan && !orphan->is_null() && !options.text_at({"propagationPolicy"}).empty()) {
        return fail(Reason::Invalid,
                    "DeleteOptions.meta.k8s.io \"\" is invalid: propagationPolicy: Invalid value: "
                    "orphanDependents and deletionPropagation cannot be both set");
    }
    const auto policy = options.text_at({"propagationPolicy"});
    if (!policy.empty() && policy != "Orphan" && policy != "Background" && policy != "Foreground") {
        return fail(
            Reason::Invalid,
            concat("DeleteOptions.meta.k8s.io \"\" is invalid: propagationPolicy: Unsupported "
                   "value: \"",
                   policy,
                   "\": supported values: \"Foreground\", \"Background\", \"Orphan\", \"nil\""));
    }
    return {};
}

void mark_deleted(Json& object, WallTime when, int64_t grace, bool counts_generation,
                  Arena& arena) {
    auto& metadata = metadata_of(object, arena);
    metadata.set_borrowed(arena, "deletionTimestamp", Json::string(arena, rfc3339(when)));
    metadata.set_borrowed(arena, "deletionGracePeriodSeconds", Json::integer(grace));
    if (counts_generation)
        metadata.set_borrowed(arena, "generation", Json::integer(generation_of(object) + 1));
}

}   // namespace

namespace {

constexpr std::string_view orphan_finalizer = "orphan";
constexpr std::string_view foreground_finalizer = "foregroundDeletion";

// Versions whose deletes leave the dependents alone when nothing is said: what was so before there
// was garbage collection.
bool orphans_by_default(const api::Kind& kind) {
    const auto& [group, version] = std::pair{kind.group, kind.version};
    if (kind.plural == "replicationcontrollers") return group.empty();
    if (kind.plural == "jobs") return group == "batch";
    if (kind.plural == "cronjobs") return group == "batch" && version == "v1beta1";
    const bool old_workload = group == "extensions" || (group == "apps" && version != "v1");
    return old_workload && (kind.plural == "deployments" || kind.plural == "replicasets" ||
                            kind.plural == "daemonsets" || kind.plural == "statefulsets");
}

bool has_finalizer(const Json& object, std::string_view wanted) {
    const auto* finalizers = object.at_path({"metadata", "finalizers"});
    return finalizers && std::ranges::any_of(finalizers->items(),
                                             [&](const auto& one) { return one.text() == wanted; });
}

// What becomes of the dependents: the finalizer that the garbage collector takes away when it has
// done so, or none for Background. A finalizer that is there stands until a delete says otherwise.
std::string_view dependents_finalizer(const api::Kind& kind, const Json& object,
                                      const Json& options) {
    const auto* orphan = options.find("orphanDependents");
    if (orphan && orphan->is_bool()) return orphan->as_bool() ? orphan_finalizer : "";
    const auto policy = options.text_at({"propagationPolicy"});
    if (policy == "Orphan") return orphan_finalizer;
    if (policy == "Foreground") return foreground_finalizer;
    if (policy == "Background") return "";
    for (const auto finalizer : {orphan_finalizer, foreground_finalizer})
        if (has_finalizer(object, finalizer)) return finalizer;
    return orphans_by_default(kind) ? orphan_finalizer : "";
}

// True when the object's finalizers are no longer what they were.
bool set_dependents_finalizer(const api::Kind& kind, Json& object, const Json& options,
                              Arena& arena) {
    if (kind.plural == "events") return false;   // nobody depends on an event
    const auto wanted = dependents_finalizer(kind, object, options);
    bool changed = false;
    auto& metadata = metadata_of(object, arena);
    for (const auto finalizer : {orphan_finalizer, foreground_finalizer}) {
        const bool has = has_finalizer(object, finalizer);
        if (has == (finalizer == wanted)) continue;
        changed = true;
        auto& list = metadata.make_array(arena, "finalizers");
        if (has)
            list.remove_items_if([&](const Json& one) { return one.text() == finalizer; });
        else
            list.push(arena, Json::borrowed(finalizer));
        if (list.empty()) metadata.remove("finalizers");
    }
    return changed;
}

}   // namespace

Result<Mutation> Registry::plan_delete(Call& call, const ServedResource& resource,
                                       const store::Object& current, const Json& options) {
    using What = Mutation::What;
    TRY_OK(check_options(options));
    TRY(auto document, parse_stored(current));
    auto& object = document.root;
    auto& arena = document.arena;
    TRY_OK(check_preconditions(call, resource, current, object, options));
    Mutation mutation;
    Admission admission{.call = call,
                        .registry = *this,
                        .resource = resource,
                        .operation = "DELETE",
                        .subresource = {},
                        .name_space = call.info.name_space,
                        .name = call.info.name,
                        .old = &object,
                        .also = &mutation.also};
    TRY_OK(admit(admission));
    const auto now = parts_.clock.now();
    const auto asked = number_at(options, {"gracePeriodSeconds"});
    const bool generation = resource.stored->has_generation;
    const bool finalizers_changed =
        set_dependents_finalizer(*resource.kind, object, options, arena);

    if (is_core(resource, "pods")) {
        const auto already =
            number_at(object, {"metadata", "deletionGracePeriodSeconds"}).value_or(0);
        const bool pending = being_deleted(object) && already > 0;
        // Only a shorter grace than the pending one changes anything, and it must be asked for.
        const auto wanted = asked && *asked < 0 ? std::optional<int64_t>{1} : asked;
        if (pending && (!wanted || *wanted >= already)) return mutation;   // Keep
        auto grace = pending ? *wanted : pod_grace(object, wanted);
        if (grace > 0) {
            auto due = now + std::chrono::seconds{grace};
            if (const auto before = parse_rfc3339(metadata_text(object, "deletionTimestamp"));
                pending && before) {
                // Counted from the deletion's beginning; when that is over, it ends in a second.
                due = *before - std::chrono::seconds{already - grace};
                if (due < now) grace = 1;
                due = std::max(due, now);
            }
            mark_deleted(object, due, grace, generation && !being_deleted(object), arena);
            mutation.what = What::Put;
            mutation.document = std::move(document);
            return mutation;
        }
    }
    const auto* spec_finalizers = object.at_path({"spec", "finalizers"});
    if (is_core(resource, "namespaces") && spec_finalizers && !spec_finalizers->empty()) {
        if (being_deleted(object)) return mutation;
        mark_deleted(object, now, 0, generation, arena);
        object.make_object(arena, "status")
            .set_borrowed(arena, "phase", Json::borrowed("Terminating"));
        mutation.what = What::Put;
        mutation.document = std::move(document);
        return mutation;
    }
    if (has_finalizers(object)) {
        if (being_deleted(object) &&
            number_at(object, {"metadata", "deletionGracePeriodSeconds"}).value_or(0) == 0 &&
            !finalizers_changed)
            return mutation;
        mark_deleted(object, now, 0, generation && !being_deleted(object), arena);
        mutation.what = What::Put;
        mutation.document = std::move(document);
        return mutation;
    }
    mutation.what = What::Delete;
    if (is_service(resource)) services_.release(object, {mutation.also, mutation.writes});
    return mutation;
}

namespace {

// Options come from the body, and from the query where the body says nothing.
Result<Document> delete_options(Call& call) {
    const auto* message = api::builtin_message("meta.v1.DeleteOptions");
    ASSERT(message != nullptr);
    TRY(auto document, decode_options(call, *message));
    auto& options = document.root;
    if (call.options.grace_period_seconds && !options.find("gracePeriodSeconds"))
        options.set_borrowed(document.arena, "gracePeriodSeconds",
                             Json::integer(*call.options.grace_period_seconds));
    if (!call.options.propagation_policy.empty() && !options.find("propagationPolicy"))
        options.set(document.arena, "propagationPolicy",
                    Json::string(document.arena, call.options.propagation_policy));
    if (const auto* dry_run = options.find("dryRun"); dry_run && !dry_run->empty())
        call.options.dry_run = true;
    return document;
}

// Pods and whatever is not gone yet answer with the object, all else with a Status.
void answer_deletion(Call& call, const store::ObjectPtr& object, bool gone, const Json& options,
                     WallTime now) {
    const auto& resource = *call.resource;
    const auto* orphan = options.find("orphanDependents");
    const bool cascades = orphan && orphan->is_bool() && !orphan->as_bool();
    if (!gone || is_core(resource, "pods"))
        return answer_object(call, !gone && cascades ? 202 : 200, object, now);
    const auto uid = object->attributes ? object->attributes->uid : std::string{};
    call.answer(json_response(200, success_status_json(resource.kind->group, resource.kind->plural,
                                                       call.info.name, uid)));
}

}   // namespace

void Registry::remove(const CallPtr& call) {
    guard(call, [&]() -> Result<> {
        TRY(auto document, delete_options(*call));
        auto options = std::make_shared<Document>(std::move(document));
        const auto& resource = *call->resource;
        mutate(
            call, resource, store_name(resource, call->info.name_space, call->info.name),
            [this, call, options, &resource](const store::ObjectPtr& current) -> Result<Mutation> {
                if (!current) return std::unexpected{not_found(resource, call->info.name)};
                TRY(auto mutation, plan_delete(*call, resource, *current, options->root));
                const bool gone = mutation.what == Mutation::What::Delete;
                mutation.answer = [this, gone, options](Call& answered,
                                                        const store::ObjectPtr& object) {
                    answer_deletion(answered, object, gone, options->root, parts_.clock.now());
                };
                return mutation;
            });
        return {};
    });
}

void Registry::remove_collection(const CallPtr& call) {
    guard(call, [&]() -> Result<> {
        TRY(auto document, delete_options(*call));
        auto options = std::make_shared<Document>(std::move(document));
        const auto& resource = *call->resource;
        TRY(const auto selection, selection_of(*call, resource));
        std::vector<store::ObjectPtr> objects;
        parts_.store.view(resource.resource)
            .scan(selection.prefix, {}, [&](std::string_view, const store::ObjectPtr& object) {
                if (selection.matches(*object)) objects.push_back(object);
                return true;
            });
        struct Progress {
            std::atomic<size_t> left;
            Guarded<std::optional<net::Response>> failed;
        };
        auto progress = std::make_shared<Progress>();
        progress->left = objects.size() + 1;
        const auto finish = [call, progress, &resource] {
            if (progress->left.fetch_sub(1) != 1) return;
            auto failed = progress->failed.use([](auto& response) { return std::move(response); });
            if (failed) return call->answer(std::move(*failed));
            call->answer(json_response(
                200, success_status_json(resource.kind->group, resource.kind->plural, "", "")));
        };
        for (const auto& object : objects) {
            TRY(const auto parsed, parse_current(*object));
            auto child = std::make_shared<Call>(
                net::Request{}, nullptr, [progress, finish](net::Response response) {
                    if (response.status >= 400 && response.status != 404)
                        progress->failed.use([&](auto& first) {
                            if (!first) first = std::move(response);
                        });
                    finish();
                });
            child->info = call->info;
            child->info.verb = "delete";
            child->info.name_space = metadata_text(parsed.root, "namespace");
            child->info.name = metadata_text(parsed.root, "name");
            child->options.dry_run = call->options.dry_run;
            child->user = call->user;
            child->resource = call->resource;
            mutate(child, resource, store_name(resource, child->info.name_space, child->info.name),
                   [this, child, options,
                    &resource](const store::ObjectPtr& current) -> Result<Mutation> {
                       if (!current) return std::unexpected{not_found(resource, child->info.name)};
                       return plan_delete(*child, resource, *current, options->root);
                   });
        }
        finish();
        return {};
    });
}

}   // namespace skiff::apiserver
