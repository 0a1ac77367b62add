// Create, update and patch.
#include "api/managed_fields.h"
#include "api/normalize.h"
#include "api/rules.h"
#include "apiserver/admission.h"
#include "apiserver/patching.h"
#include "apiserver/registry.h"
#include "base/text.h"

namespace skiff::apiserver {
namespace {

constexpr int generate_name_tries = 8;
constexpr size_t generated_name_base_max = 63 - 5;   // as apimachinery's names generator

std::string manager_of(const Call& call) {
    if (!call.options.field_manager.empty()) return call.options.field_manager;
    const auto agent = call.request.headers.find("user-agent");
    if (!agent) return "unknown";
    return std::string{cut(*agent, '/').first}.substr(0, 128);
}

void set_text(Json& metadata, Arena& arena, std::string_view key, std::string_view value) {
    metadata.set_borrowed(arena, key, Json::string(arena, value));
}

// The namespace in the body must be the URL's, or absent.
Result<> settle_namespace(const Call& call, const ServedResource& resource, Json& metadata,
                          Arena& arena) {
    const auto* given = metadata.find("namespace");
    if (!resource.namespaced) {
        metadata.remove("namespace");
        return {};
    }
    if (given && !given->text().empty() && given->text() != call.info.name_space) {
        return fail(Reason::BadRequest,
                    concat("the namespace of the provided object does not match the "
                           "namespace sent on the request"));
    }
    if (call.info.name_space.empty())
        return fail(Reason::BadRequest,
                    concat("an empty namespace may not be set during creation"));
    set_text(metadata, arena, "namespace", call.info.name_space);
    return {};
}

// Null or absent-like values that metadata may carry and the store must not.
void drop_server_fields(Json& metadata) {
    metadata.remove("selfLink");
    metadata.remove("resourceVersion");
}

Json* member_of(Json& object, std::string_view key) { return object.find(key); }

// Everything of the object but what a subresource may change comes from the old one.
void keep_all_but(Json& object, const Json& old, std::string_view changed, Arena& arena) {
    auto kept = Json::object();
    for (const auto& member : old.members()) kept.set_borrowed(arena, member.key, member.value);
    if (auto* value = member_of(object, changed))
        kept.set_borrowed(arena, changed, *value);
    else
        kept.remove(changed);
    if (auto* metadata = member_of(object, "metadata"))
        kept.set_borrowed(arena, "metadata", *metadata);
    object = kept;
}

void take_path(Json& into, const Json& from, std::string_view outer, std::string_view inner,
               Arena& arena) {
    const auto* source = from.at_path({outer, inner});
    auto& target = into.make_object(arena, outer);
    if (source)
        target.set_borrowed(arena, inner, *source);
    else
        target.remove(inner);
}

// Containers keep all but their resources, taken by name from the request.
void take_resources(Json& spec, const Json& from, std::string_view list, Arena& arena) {
    auto* containers = spec.find(list);
    const auto* wanted = from.at_path({"spec", list});
    if (!containers || !wanted) return;
    for (auto& container : containers->items()) {
        for (const auto& other : wanted->items()) {
            if (other.text_at({"name"}) != container.text_at({"name"})) continue;
            for (const std::string_view member : {"resources", "resizePolicy"})
                if (const auto* value = other.find(member))
                    container.set_borrowed(arena, member, *value);
        }
    }
}

// What of `object` a write to the subresource may change; the rest is the old object's.
void restrict_to_subresource(const ServedResource& resource, Json& object, const Json& old,
                             std::string_view subresource, Arena& arena) {
    if (subresource.empty()) {
        if (!resource.stored->has_status) return;
        if (const auto* status = old.find("status"))
            object.set_borrowed(arena, "status", *status);
        else
            object.remove("status");
        return;
    }
    if (subresource == "status") return keep_all_but(object, old, "status", arena);
    auto kept = old.deep_copy(arena);
    if (subresource == "ephemeralcontainers") {
        take_path(kept, object, "spec", "ephemeralContainers", arena);
    } else if (subresource == "resize") {
        auto& spec = kept.make_object(arena, "spec");
        take_resources(spec, object, "containers", arena);
        take_resources(spec, object, "initContainers", arena);
    } else if (subresource == "approval") {
        take_path(kept, object, "status", "conditions", arena);
    } else if (subresource == "scale") {
        take_path(kept, object, "spec", "replicas", arena);
    } else if (subresource == "finalize") {
        take_path(kept, object, "spec", "finalizers", arena);
    }
    if (auto* metadata = object.find("metadata")) kept.set_borrowed(arena, "metadata", *metadata);
    object = kept;
}

// Metadata that only the server sets stays as it was; generation is counted by the caller.
Result<> settle_metadata(const Call& call, const ServedResource& resource, Json& metadata,
                         const Json& old_metadata, std::string_view subresource, Arena& arena) {
    const auto* uid = metadata.find("uid");
    if (uid && !uid->text().empty() && uid->text() != old_metadata.text_at({"uid"})) {
        return std::unexpected{
            conflict(resource, call.info.name,
                     concat("Precondition failed: UID in precondition: ", uid->text(),
                            ", UID in object meta: ", old_metadata.text_at({"uid"})))};
    }
    for (const std::string_view key :
         {"name", "namespace", "uid", "creationTimestamp", "generation", "deletionTimestamp",
          "deletionGracePeriodSeconds", "generateName"}) {
        if (const auto* value = old_metadata.find(key))
            metadata.set_borrowed(arena, key, *value);
        else
            metadata.remove(key);
    }
    // Only a pod's, node's and namespace's status writers may touch labels and annotations.
    const auto plural = resource.stored->plural;
    const bool free =
        subresource.empty() || plural == "pods" || plural == "nodes" || plural == "namespaces";
    if (!free) {
        for (const std::string_view key :
             {"labels", "annotations", "finalizers", "ownerReferences"}) {
            if (const auto* value = old_metadata.find(key))
                metadata.set_borrowed(arena, key, *value);
            else
                metadata.remove(key);
        }
    }
    return {};
}

bool same_but_metadata_and_status(const Json& left, const Json& right) {
    const auto counts = [](const Json& object) {
        size_t count = 0;
        for (const auto& member : object.members())
            if (member.key != "metadata" && member.key != "status" && member.key != "kind" &&
                member.key != "apiVersion")
                ++count;
        return count;
    };
    if (counts(left) != counts(right)) return false;
    for (const auto& member : left.members()) {
        if (member.key == "metadata" || member.key == "status" || member.key == "kind" ||
            member.key == "apiVersion")
            continue;
        const auto* other = right.find(member.key);
        if (!other || !(*other == member.value)) return false;
    }
    return true;
}

// Equal in all but managedFields: a write that changes nothing is not committed.
bool same_but_managed_fields(const Json& left, const Json& right, Arena& arena) {
    const auto without = [&arena](const Json& object) {
        auto copy = Json::object();
        for (const auto& member : object.members()) {
            if (member.key == "kind" || member.key == "apiVersion") continue;
            if (member.key != "metadata") {
                copy.set_borrowed(arena, member.key, member.value);
                continue;
            }
            auto metadata = Json::object();
            for (const auto& inner : member.value.members())
                if (inner.key != "managedFields")
                    metadata.set_borrowed(arena, inner.key, inner.value);
            copy.set_borrowed(arena, "metadata", metadata);
        }
        return copy;
    };
    return without(left) == without(right);
}

std::string_view conditional_version(const Json& object) {
    return metadata_text(object, "resourceVersion");
}

}   // namespace

Result<Mutation> Registry::plan_create(Call& call, const ServedResource& resource,
                                       Document document) {
    auto& arena = document.arena;
    auto& object = document.root;
    auto& metadata = metadata_of(object, arena);
    if (!conditional_version(object).empty() && conditional_version(object) != "0")
        return fail(Reason::BadRequest,
                    "resourceVersion should not be set on objects to be created");
    drop_server_fields(metadata);
    TRY_OK(settle_namespace(call, resource, metadata, arena));
    for (const std::string_view key : {"deletionTimestamp", "deletionGracePeriodSeconds"})
        metadata.remove(key);
    set_text(metadata, arena, "uid", parts_.random.uuid());
    set_text(metadata, arena, "creationTimestamp", rfc3339(parts_.clock.now()));
    if (resource.stored->has_generation)
        metadata.set_borrowed(arena, "generation", Json::integer(1));
    else
        metadata.remove("generation");

    api::apply_defaults(*resource.kind, object, arena);
    TRY_OK(api::to_stored(*resource.kind, object, nullptr, arena));
    // The client owns what it sent and its defaults, not what the server decides from here on.
    if (!call.applies) {
        const auto manager = manager_of(call);
        api::record_update(*resource.stored, nullptr, object,
                           {.manager = manager, .subresource = {}, .now = parts_.clock.now()},
                           arena);
    }
    const auto& rules = api::rules_of(resource.stored->rules);
    if (rules.prepare)
        rules.prepare(object, nullptr, arena);
    else if (resource.stored->has_status)
        object.remove("status");

    Mutation mutation{.what = Mutation::What::Put, .status = 201};
    Admission admission{.call = call,
                        .registry = *this,
                        .resource = resource,
                        .operation = "CREATE",
                        .subresource = {},
                        .name_space = call.info.name_space,
                        .name = metadata_text(object, "name"),
                        .document = &document,
                        .also = &mutation.also};
    TRY_OK(admit(admission));
    if (auto causes = api::validate(*resource.stored, object, nullptr); !causes.empty())
        return std::unexpected{
            api::invalid_error(*resource.stored, metadata_text(object, "name"), std::move(causes))};
    if (is_service(resource))
        TRY_OK(services_.allocate(object, nullptr, arena, {mutation.also, mutation.writes}));
    TRY_OK(quotas_.charge(resource, call.info.name_space, nullptr, object,
                          {mutation.also, mutation.writes}));
    if (rules.warn) rules.warn(object, nullptr, call.warnings);
    mutation.document = std::move(document);
    return mutation;
}

void Registry::create(const CallPtr& call) {
    guard(call, [&]() -> Result<> {
        TRY(auto document, decode_body(*call, *call->resource->kind));
        const bool generated = metadata_text(document.root, "name").empty() &&
                               !metadata_text(document.root, "generateName").empty();
        if (generated) {
            auto base = std::make_shared<Document>(std::move(document));
            quotas_.in_turn(call, call->info.name_space,
                            [this, call, base] { create_generated(call, base, 0); });
            return {};
        }
        const auto name = std::string{metadata_text(document.root, "name")};
        const auto& resource = *call->resource;
        auto shared = std::make_shared<Document>(std::move(document));
        const auto decide = [this, call, shared, &resource,
                             name](const store::ObjectPtr& current) -> Result<Mutation> {
            Document copy;
            copy.root = shared->root.deep_copy(copy.arena);
            TRY(auto mutation, plan_create(*call, resource, std::move(copy)));
            if (current) return std::unexpected{already_exists(resource, name)};
            return mutation;
        };
        quotas_.in_turn(call, call->info.name_space, [this, call, &resource, name, decide] {
            mutate(call, resource, store_name(resource, call->info.name_space, name), decide);
        });
        return {};
    });
}

void Registry::create_generated(const CallPtr& call, std::shared_ptr<Document> document,
                                int tries) {
    const auto& resource = *call->resource;
    const auto base =
        metadata_text(document->root, "generateName").substr(0, generated_name_base_max);
    const auto name = concat(base, parts_.random.name_suffix());
    const auto key = store_name(resource, call->info.name_space, name);
    mutate(call, resource, key,
           [this, call, document, &resource, name,
            tries](const store::ObjectPtr& current) -> Result<Mutation> {
               if (current) {
                   if (tries + 1 < generate_name_tries) {
                       // Another name, as a mutation of its own; this one answers nothing.
                       Mutation again{.what = Mutation::What::Keep};
                       again.answer = [this, call, document, tries](Call&,
                                                                    const store::ObjectPtr&) {
                           create_generated(call, document, tries + 1);
                       };
                       return again;
                   }
                   auto error = already_exists(resource, name);
                   error.message +=
                       ", the server was not able to generate a unique name for the object";
                   error.retry_after = std::chrono::seconds{1};
                   return std::unexpected{std::move(error)};
               }
               Document copy;
               copy.root = document->root.deep_copy(copy.arena);
               auto& metadata = metadata_of(copy.root, copy.arena);
               metadata.set(copy.arena, "name", Json::string(copy.arena, name));
               return plan_create(*call, resource, std::move(copy));
           });
}

Result<Mutation> Registry::plan_update(Call& call, const ServedResource& resource,
                                       const store::Object& current, Document document,
                                       std::string_view subresource) {
    auto& arena = document.arena;
    auto& object = document.root;
    TRY(auto old_document, parse_stored(current));
    const auto& old = old_document.root;
    const auto old_copy = old.deep_copy(arena);
    auto& metadata = metadata_of(object, arena);

    const std::string_view version = conditional_version(object);
    if (!version.empty() && version != "0" && version != std::to_string(current.modified.value))
        return std::unexpected{conflict(resource, call.info.name)};
    drop_server_fields(metadata);
    if (const auto name = metadata_text(object, "name"); !name.empty() && name != call.info.name) {
        return fail(Reason::BadRequest,
                    concat("the name of the object (", name,
                           ") does not match the name on the URL (", call.info.name, ")"));
    }
    TRY_OK(settle_namespace(call, resource, metadata, arena));
    const auto* old_metadata = metadata_of(old_copy);
    ASSERT(old_metadata != nullptr);
    TRY_OK(settle_metadata(call, resource, metadata, *old_metadata, subresource, arena));

    api::apply_defaults(*resource.kind, object, arena);
    TRY_OK(api::to_stored(*resource.kind, object, &old_copy, arena));
    restrict_to_subresource(resource, object, old_copy, subresource, arena);
    const auto& rules = api::rules_of(resource.stored->rules);
    if (rules.prepare && subresource.empty()) rules.prepare(object, &old_copy, arena);
    if (resource.stored->has_generation && !same_but_metadata_and_status(object, old_copy)) {
        metadata_of(object, arena)
            .set_borrowed(arena, "generation", Json::integer(generation_of(old_copy) + 1));
    }

    Mutation mutation{.what = Mutation::What::Put};
    Admission admission{.call = call,
                        .registry = *this,
                        .resource = resource,
                        .operation = "UPDATE",
                        .subresource = subresource,
                        .name_space = call.info.name_space,
                        .name = call.info.name,
                        .document = &document,
                        .old = &old_copy,
                        .also = &mutation.also};
    TRY_OK(admit(admission));
    auto causes = api::validate(*resource.stored, object, &old_copy, subresource);
    if (!causes.empty())
        return std::unexpected{
            api::invalid_error(*resource.stored, call.info.name, std::move(causes))};
    if (is_service(resource) && subresource.empty())
        TRY_OK(services_.allocate(object, &old_copy, arena, {mutation.also, mutation.writes}));
    if (rules.warn && subresource.empty()) rules.warn(object, &old_copy, call.warnings);

    // The last finalizer is gone from an object that waits to be deleted: this is its deletion.
    const auto* grace = object.at_path({"metadata", "deletionGracePeriodSeconds"});
    const auto* spec_finalizers = object.at_path({"spec", "finalizers"});
    const bool waits_for_spec =
        resource.stored->plural == "namespaces" && spec_finalizers && !spec_finalizers->empty();
    if (being_deleted(object) && !has_finalizers(object) && !waits_for_spec &&
        (!grace || grace->as_int() == 0)) {
        mutation.what = Mutation::What::Delete;
        mutation.writes.clear();
        if (is_service(resource)) services_.release(old_copy, {mutation.also, mutation.writes});
        return mutation;
    }
    if (same_but_managed_fields(object, old_copy, arena) && api::same_ownership(object, old_copy)) {
        mutation.what = Mutation::What::Keep;
        return mutation;
    }
    TRY(mutation.frees, quotas_.charge(resource, call.info.name_space, &old_copy, object,
                                       {mutation.also, mutation.writes}));
    if (!call.applies) {
        const auto manager = manager_of(call);
        api::record_update(
            *resource.stored, &old_copy, object,
            {.manager = manager, .subresource = subresource, .now = parts_.clock.now()}, arena);
    }
    mutation.document = std::move(document);
    return mutation;
}

void Registry::update(const CallPtr& call) {
    guard(call, [&]() -> Result<> {
        TRY(auto document, decode_body(*call, *call->resource->kind));
        auto shared = std::make_shared<Document>(std::move(document));
        const auto& resource = *call->resource;
        mutate(
            call, resource, store_name(resource, call->info.name_space, call->info.name),
            [this, call, shared, &resource](const store::ObjectPtr& current) -> Result<Mutation> {
                if (!current) return std::unexpected{not_found(resource, call->info.name)};
                Document copy;
                copy.root = shared->root.deep_copy(copy.arena);
                return plan_update(*call, resource, *current, std::move(copy),
                                   call->info.subresource);
            });
        return {};
    });
}

// A server-side apply: merged with ownership, then written like an update or a create.
static Result<Document> applied(Call& call, const ServedResource& resource,
                                const store::ObjectPtr& current, const ParsedPatch& patch,
                                WallTime now) {
    Document merged{.arena = {}, .root = Json::object()};
    if (current) {
        TRY(merged, served_tree(resource, *current));
    }
    if (call.options.field_manager.empty()) {
        return fail(Reason::Invalid,
                    "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is "
                    "required for apply patch");
    }
    TRY_OK(api::apply_server_side(
        *resource.kind, merged.root, patch.document.root,
        {.manager = call.options.field_manager, .subresource = call.info.subresource, .now = now},
        call.options.force ? api::Force::Yes : api::Force::No, merged.arena));
    merged.root.remove("kind");
    merged.root.remove("apiVersion");
    return merged;
}

static Result<Document> patched(Call& call, const ServedResource& resource,
                                const store::Object& current, const ParsedPatch& patch) {
    TRY(auto document, served_tree(resource, current));
    const auto version = std::string{metadata_text(document.root, "resourceVersion")};
    TRY_OK(apply_patch(*resource.kind->message, patch, document.root, document.arena));
    if (!document.root.is_object())
        return fail(Reason::BadRequest, "the patched object must be a JSON object");
    // A patch that names no version means the newest one, whichever that is by then.
    if (metadata_text(document.root, "resourceVersion") == version) {
        const bool named = metadata_of(patch.document.root) &&
                           !metadata_text(patch.document.root, "resourceVersion").empty();
        if (!named) metadata_of(document.root, document.arena).remove("resourceVersion");
    }
    for (const std::string_view key : {"apiVersion", "kind"}) {
        const auto* given = document.root.find(key);
        const auto want = key == "kind" ? std::string{resource.kind->kind} : resource.api_version();
        if (given && given->text() != want)
            return fail(Reason::BadRequest,
                        concat(key, " must not be changed by a patch: it is ", want));
        document.root.remove(key);
    }
    if (auto checked = check_fields(call, *resource.kind, document, {}, {}); !checked) {
        auto error = std::move(checked).error();   // the patch was readable, what it makes is not
        error.reason = Reason::Invalid;
        error.message = concat(" \"\" is invalid: patch: Invalid value: ", error.message);
        return std::unexpected{std::move(error)};
    }
    return document;
}

void Registry::patch(const CallPtr& call) {
    guard(call, [&]() -> Result<> {
        TRY(auto parsed, parse_patch(*call));
        auto patch = std::make_shared<ParsedPatch>(std::move(parsed));
        const auto& resource = *call->resource;
        mutate(call, resource, store_name(resource, call->info.name_space, call->info.name),
               [this, call, patch, &resource](const store::ObjectPtr& current) -> Result<Mutation> {
                   const bool apply = patch->kind == PatchKind::Apply;
                   if (!current && (!apply || !call->info.subresource.empty()))
                       return std::unexpected{not_found(resource, call->info.name)};
                   if (!apply) {
                       TRY(auto document, patched(*call, resource, *current, *patch));
                       return plan_update(*call, resource, *current, std::move(document),
                                          call->info.subresource);
                   }
                   TRY(auto document,
                       applied(*call, resource, current, *patch, parts_.clock.now()));
                   if (!current) return plan_create(*call, resource, std::move(document));
                   return plan_update(*call, resource, *current, std::move(document),
                                      call->info.subresource);
               });
        return {};
    });
}

}   // namespace skiff::apiserver
