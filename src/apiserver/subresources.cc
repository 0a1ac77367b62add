// Subresources that are no part of the stored object's own write path: binding, eviction, token.
// status, ephemeralcontainers, resize, approval and finalize are updates (registry_write.cc);
// log, exec, attach, portforward and proxy go to the node (node_proxy.cc).
#include "apiserver/registry.h"
#include "apiserver/status.h"
#include "base/text.h"

namespace skiff::apiserver {
namespace {

// {"type":"PodScheduled","status":"True",...} in place of the pod's condition of that type.
void set_scheduled(Json& pod, WallTime now, Arena& arena) {
    auto& conditions = pod.make_object(arena, "status").make_array(arena, "conditions");
    auto condition = Json::object();
    condition.set_borrowed(arena, "type", Json::borrowed("PodScheduled"));
    condition.set_borrowed(arena, "status", Json::borrowed("True"));
    condition.set_borrowed(arena, "lastProbeTime", Json{});
    condition.set_borrowed(arena, "lastTransitionTime", Json::string(arena, rfc3339(now)));
    for (auto& known : conditions.items()) {
        if (known.text_at({"type"}) != "PodScheduled") continue;
        known = condition;
        return;
    }
    conditions.push(arena, condition);
}

void merge_texts(Json& metadata, const Json* from, std::string_view key, Arena& arena) {
    if (!from) return;
    auto& into = metadata.make_object(arena, key);
    for (const auto& member : from->members())
        into.set(arena, member.key, Json::string(arena, member.value.text()));
}

void answer_success(Call& call, int code) {
    call.answer(json_response(
        code,
        concat(R"({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Success","code":)",
               code, "}")));
}

Result<Mutation> bound(const RegistryParts& parts, const ServedResource& pods,
                       const store::ObjectPtr& current, const Json& binding,
                       std::string_view name) {
    if (!current) return std::unexpected{not_found(pods, name)};
    TRY(auto document, parse_stored(*current));
    auto& pod = document.root;
    auto& arena = document.arena;
    const auto uid = metadata_text(binding, "uid");
    const auto refuse = [&](std::string_view why) {   // "pods/binding", as upstream
        auto error = conflict(pods, name, why);
        error.message =
            concat("Operation cannot be fulfilled on pods/binding \"", name, "\": ", why);
        error.subject->kind = "pods/binding";
        return std::unexpected{std::move(error)};
    };
    if (!uid.empty() && uid != metadata_text(pod, "uid"))
        return refuse(concat("Precondition failed: UID in precondition: ", uid,
                             ", UID in object meta: ", metadata_text(pod, "uid")));
    if (being_deleted(pod))
        return refuse(concat("pod ", name, " is being deleted, cannot be assigned to a host"));
    const auto node = pod.text_at({"spec", "nodeName"});
    if (!node.empty())
        return refuse(concat("pod ", name, " is already assigned to node \"", node, "\""));
    pod.make_object(arena, "spec")
        .set(arena, "nodeName", Json::string(arena, binding.text_at({"target", "name"})));
    set_scheduled(pod, parts.clock.now(), arena);
    auto& metadata = metadata_of(pod, arena);
    const auto* given = metadata_of(binding);
    merge_texts(metadata, given ? given->find("annotations") : nullptr, "annotations", arena);
    merge_texts(metadata, given ? given->find("labels") : nullptr, "labels", arena);
    Mutation mutation{.what = Mutation::What::Put, .document = std::move(document)};
    mutation.answer = [](Call& answered, const store::ObjectPtr&) {
        answer_success(answered, 201);
    };
    return mutation;
}

// The object posted to a pod's subresource speaks of that pod, or of none.
Result<> check_named(const Call& call, const Json& object, std::string_view kind) {
    const auto name = metadata_text(object, "name");
    if (!call.info.name.empty() && !name.empty() && name != call.info.name)
        return fail(Reason::BadRequest,
                    concat("name in URL does not match name in ", kind, " object"));
    if (call.info.name.empty() && name.empty())
        return fail(Reason::BadRequest, concat("the ", kind, " names no pod"));
    const auto name_space = metadata_text(object, "namespace");
    if (!name_space.empty() && name_space != call.info.name_space)
        return fail(Reason::BadRequest, concat("the namespace of the provided object does not "
                                               "match the namespace sent on the request"));
    return {};
}

}   // namespace

// POST pods/NAME/binding, and POST bindings, which names the pod in its metadata.
void Registry::bind(const CallPtr& call) {
    guard(call, [&]() -> Result<> {
        const auto* kind = parts_.catalog.find_kind("", "v1", "Binding");
        ASSERT(kind != nullptr);
        TRY(auto document, decode_body(*call, *kind->kind));
        auto binding = std::make_shared<Document>(std::move(document));
        const auto& target = binding->root;
        if (const auto what = target.text_at({"target", "kind"}); !what.empty() && what != "Node") {
            return fail(Reason::Invalid, concat("target.kind: Unsupported value: \"", what,
                                                "\": supported values: \"Node\""));
        }
        if (target.text_at({"target", "name"}).empty())
            return fail(Reason::Invalid, "target.name: Required value");
        TRY_OK(check_named(*call, target, "Binding"));
        const auto name = call->info.resource == "bindings"
                              ? std::string{metadata_text(target, "name")}
                              : call->info.name;
        const auto& pods = core("pods");
        mutate(call, pods, store_name(pods, call->info.name_space, name),
               [this, binding, &pods, name](const store::ObjectPtr& current) {
                   return bound(parts_, pods, current, binding->root, name);
               });
        return {};
    });
}

// Without disruption budgets yet an eviction is a delete with the eviction's options.
void Registry::evict(const CallPtr& call) {
    guard(call, [&]() -> Result<> {
        const auto* message = api::builtin_message("policy.v1.Eviction");
        ASSERT(message != nullptr);
        TRY(auto document, decode_options(*call, *message));
        TRY_OK(check_named(*call, document.root, "Eviction"));
        if (const auto* dry = document.root.at_path({"deleteOptions", "dryRun"});
            dry && !dry->empty())
            call->options.dry_run = true;
        auto eviction = std::make_shared<Document>(std::move(document));
        const auto& pods = core("pods");
        mutate(call, pods, store_name(pods, call->info.name_space, call->info.name),
               [this, call, eviction, &pods](const store::ObjectPtr& current) -> Result<Mutation> {
                   if (!current) return std::unexpected{not_found(pods, call->info.name)};
                   const auto* options = eviction->root.find("deleteOptions");
                   static const Json none = Json::object();
                   TRY(auto mutation,
                       plan_delete(*call, pods, *current, options ? *options : none));
                   mutation.answer = [](Call& answered, const store::ObjectPtr&) {
                       answer_success(answered, 201);
                   };
                   return mutation;
               });
        return {};
    });
}

// POST deployments/NAME/rollback of before apps/v1: noted as an annotation, which the deployment's
// controller acts on.
void Registry::roll_back(const CallPtr& call) {
    guard(call, [&]() -> Result<> {
        const auto* message = api::builtin_message("extensions.v1beta1.DeploymentRollback");
        ASSERT(message != nullptr);
        TRY(auto document, decode_options(*call, *message));
        const auto named = document.root.text_at({"name"});
        if (named != call->info.name)
            return fail(Reason::BadRequest,
                        "name in URL does not match name in DeploymentRollback object");
        auto asked = std::make_shared<Document>(std::move(document));
        const auto& resource = *call->resource;
        const auto name = store_name(resource, call->info.name_space, call->info.name);
        mutate(
            call, resource, name,
            [this, call, asked, &resource](const store::ObjectPtr& current) -> Result<Mutation> {
                if (!current) return std::unexpected{not_found(resource, call->info.name)};
                TRY(auto changed, served_tree(resource, *current));
                auto& arena = changed.arena;
                auto& metadata = metadata_of(changed.root, arena);
                metadata.remove("resourceVersion");
                merge_texts(metadata, asked->root.find("updatedAnnotations"), "annotations", arena);
                const auto* to = asked->root.find("rollbackTo");
                changed.root.make_object(arena, "spec")
                    .set_borrowed(arena, "rollbackTo", to ? to->deep_copy(arena) : Json::object());
                changed.root.remove("kind");
                changed.root.remove("apiVersion");
                TRY(auto mutation, plan_update(*call, resource, *current, std::move(changed), {}));
                const auto text = concat(
                    R"({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Success",)",
                    R"("message":"rollback request for deployment \")", call->info.name,
                    R"(\" succeeded","code":200})");
                mutation.answer = [text](Call& answered, const store::ObjectPtr&) {
                    answered.answer(json_response(200, text));
                };
                return mutation;
            });
        return {};
    });
}

bool Registry::serve_subresource(const CallPtr& call) {
    const auto& sub = call->info.subresource;
    if (sub == "scale") return scale(call), true;
    if (sub == "rollback") return roll_back(call), true;
    const bool core_group = call->info.group.empty();
    if (core_group && call->info.resource == "bindings") return bind(call), true;
    if (core_group && call->info.resource == "pods" && sub == "binding") return bind(call), true;
    if (core_group && call->info.resource == "pods" && sub == "eviction") return evict(call), true;
    return false;
}

}   // namespace skiff::apiserver
