// The scale subresource: how many replicas an object wants and has, in one form for all kinds. It
// is made of the object and never stored; writing it is an update of the object's spec.replicas.
#include <algorithm>
#include <array>

#include "api/normalize.h"
#include "api/patch.h"
#include "api/selectors.h"
#include "apiserver/patching.h"
#include "apiserver/registry.h"
#include "base/text.h"

namespace skiff::apiserver {
namespace {

// The Scale of these versions has its selector as a map; autoscaling/v1 as a query's text.
api::Kind scale_kind(std::string_view group, std::string_view version, std::string_view message) {
    api::Kind kind{.group = group, .version = version, .kind = "Scale"};
    kind.message = api::builtin_message(message);
    ASSERT(kind.message != nullptr);
    return kind;
}

const api::Kind& scale_kind_of(const ServedResource& resource) {
    static const std::array kinds{
        scale_kind("autoscaling", "v1", "autoscaling.v1.Scale"),
        scale_kind("extensions", "v1beta1", "extensions.v1beta1.Scale"),
        scale_kind("apps", "v1beta1", "apps.v1beta1.Scale"),
        scale_kind("apps", "v1beta2", "apps.v1beta2.Scale"),
    };
    const auto* sub = resource.subresource("scale");
    ASSERT(sub != nullptr);
    const auto found = std::ranges::find_if(kinds, [&](const api::Kind& kind) {
        return kind.group == sub->group && kind.version == sub->version;
    });
    ASSERT(found != kinds.end());   // the schema names only these
    return *found;
}

// A LabelSelector object, or the map of labels that a replication controller has.
std::string selector_text(const Json& selector) {
    if (selector.find("matchLabels") || selector.find("matchExpressions")) {
        const auto parsed = api::LabelSelector::from_object(selector);
        return parsed ? parsed->text() : std::string{};
    }
    std::vector<std::string> pairs;
    for (const auto& [key, value] : selector.members())
        pairs.push_back(concat(key, "=", value.text()));
    std::ranges::sort(pairs);
    return join(pairs, ",");
}

void set_selector(Json& status, const Json& selector, const api::Kind& kind, Arena& arena) {
    const auto text = selector_text(selector);
    if (text.empty()) return;
    if (kind.group == "autoscaling") {
        status.set_borrowed(arena, "selector", Json::string(arena, text));
        return;
    }
    if (const auto* labels = selector.find("matchLabels"); labels && !labels->empty())
        status.set_borrowed(arena, "selector", *labels);
    status.set_borrowed(arena, "targetSelector", Json::string(arena, text));
}

// `object` in its stored form, with its resourceVersion. The Scale shares its trees.
Json scale_of(const Json& object, const api::Kind& kind, Arena& arena) {
    Json scale = Json::object();
    Json& metadata = scale.set_borrowed(arena, "metadata", Json::object());
    for (const std::string_view name :
         {"name", "namespace", "uid", "resourceVersion", "creationTimestamp"})
        if (const auto* value = object.at_path({"metadata", name}))
            metadata.set_borrowed(arena, name, *value);
    Json& spec = scale.set_borrowed(arena, "spec", Json::object());
    if (const auto* replicas = object.at_path({"spec", "replicas"});
        replicas && replicas->is_integer() && replicas->as_int() != 0)
        spec.set_borrowed(arena, "replicas", *replicas);
    Json& status = scale.set_borrowed(arena, "status", Json::object());
    const auto* has = object.at_path({"status", "replicas"});
    status.set_borrowed(arena, "replicas", has ? *has : Json::integer(0));
    if (const auto* selector = object.at_path({"spec", "selector"}))
        set_selector(status, *selector, kind, arena);
    return scale;
}

void answer_scale(Call& call, const api::Kind& kind, const store::ObjectPtr& object, WallTime now) {
    auto document = parse_current(*object);
    if (!document) return call.fail(document.error());
    auto scale = scale_of(document->root, kind, document->arena);
    answer_tree(call, 200, kind, scale, document->arena, now);
}

Result<> check_scale(const api::Kind& kind, const Json& scale, std::string_view name) {
    const auto* replicas = scale.at_path({"spec", "replicas"});
    if (!replicas || !replicas->is_integer() || replicas->as_int() >= 0) return {};
    Cause cause{.type = "FieldValueInvalid",
                .message = concat("Invalid value: ", replicas->as_int(),
                                  ": must be greater than or equal to 0"),
                .field = "spec.replicas"};
    return std::unexpected{api::invalid_error(kind, name, {std::move(cause)})};
}

// The object in its served version with the Scale's number and its preconditions.
Result<Document> scaled(const Call& call, const ServedResource& resource,
                        const store::Object& current, const Json& scale) {
    TRY(auto document, served_tree(resource, current));
    auto& arena = document.arena;
    auto& metadata = metadata_of(document.root, arena);
    if (const auto name = metadata_text(scale, "name"); !name.empty() && name != call.info.name)
        return fail(Reason::BadRequest,
                    concat("the name of the object (", name,
                           ") does not match the name on the URL (", call.info.name, ")"));
    metadata.remove("resourceVersion");
    for (const std::string_view key : {"resourceVersion", "uid"})
        if (const auto text = metadata_text(scale, key); !text.empty())
            metadata.set_borrowed(arena, key, Json::string(arena, text));
    const auto* replicas = scale.at_path({"spec", "replicas"});
    document.root.make_object(arena, "spec")
        .set_borrowed(arena, "replicas", replicas ? *replicas : Json::integer(0));
    document.root.remove("kind");
    document.root.remove("apiVersion");
    return document;
}

// The Scale as it would be after the patch; one that names no version means the newest.
Result<Document> patched_scale(const api::Kind& kind, const ParsedPatch& patch,
                               const store::Object& current) {
    TRY(auto document, parse_current(current));
    auto& arena = document.arena;
    Json scale = scale_of(document.root, kind, arena).deep_copy(arena);
    metadata_of(scale, arena).remove("resourceVersion");
    if (patch.kind == PatchKind::Apply)
        api::apply_merge_patch(scale, patch.document.root, arena);
    else
        TRY_OK(apply_patch(*kind.message, patch, scale, arena));
    document.root = scale;
    api::NormalizeReport report;
    TRY_OK(api::normalize(*kind.message, document.root, arena, report));
    return document;
}

}   // namespace

void Registry::scale(const CallPtr& call) {
    guard(call, [&]() -> Result<> {
        const auto& resource = *call->resource;
        const auto& kind = scale_kind_of(resource);
        const auto name = store_name(resource, call->info.name_space, call->info.name);
        if (call->info.verb == "get") {
            const auto object = find(resource, call->info.name_space, call->info.name);
            if (!object) return std::unexpected{not_found(resource, call->info.name)};
            answer_scale(*call, kind, object, parts_.clock.now());
            return {};
        }
        auto given = std::make_shared<Document>();
        std::shared_ptr<ParsedPatch> patch;
        if (call->info.verb == "patch") {
            TRY(auto parsed, parse_patch(*call));
            patch = std::make_shared<ParsedPatch>(std::move(parsed));
            call->applies = false;   // there is one field: whoever writes it has it
        } else {
            TRY(*given, decode_body(*call, kind));
        }
        const auto decide = [this, call, &resource, &kind, given,
                             patch](const store::ObjectPtr& current) -> Result<Mutation> {
            if (!current) return std::unexpected{not_found(resource, call->info.name)};
            Document made;
            if (patch) {
                TRY(made, patched_scale(kind, *patch, *current));
            }
            const Json& wanted = patch ? made.root : given->root;
            TRY_OK(check_scale(kind, wanted, call->info.name));
            TRY(auto document, scaled(*call, resource, *current, wanted));
            TRY(auto mutation,
                plan_update(*call, resource, *current, std::move(document), "scale"));
            mutation.answer = [this, &kind](Call& answered, const store::ObjectPtr& object) {
                answer_scale(answered, kind, object, parts_.clock.now());
            };
            return mutation;
        };
        mutate(call, resource, name, decide);
        return {};
    });
}

}   // namespace skiff::apiserver
