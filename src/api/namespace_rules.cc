// Namespaces: their name as a label, the finalizer that the namespace controller takes away.
#include <string>

#include "api/field_errors.h"
#include "api/json_fields.h"
#include "api/kind_rules.h"
#include "api/names.h"

namespace skiff::api {
namespace {

using codec::Arena;
using codec::Json;

constexpr std::string_view name_label = "kubernetes.io/metadata.name";

void default_namespace(Json& space, Arena& arena) {
    const Json name = field(space, "metadata", "name");
    if (blank(name)) return;   // still to be generated: `prepare` comes after that
    space.make_object(arena, "metadata")
        .make_object(arena, "labels")
        .set_borrowed(arena, name_label, name);
}

void prepare(Json& space, const Json* old, Arena& arena) {
    default_namespace(space, arena);
    if (old) {
        // Finalizers are changed through `finalize` only.
        space.set_borrowed(arena, "spec", field(*old, "spec").deep_copy(arena));
        return;
    }
    Json& spec = space.make_object(arena, "spec");
    Json& finalizers = spec.make_array(arena, "finalizers");
    if (!contains(finalizers, "kubernetes")) finalizers.push(arena, Json::borrowed("kubernetes"));
    Json status = Json::object();
    status.set_borrowed(arena, "phase", Json::borrowed("Active"));
    space.set_borrowed(arena, "status", status);
}

void validate(const Json& space, const Json*, Causes& causes) {
    const FieldPath spec{"spec"};
    const FieldPath path = spec.child("finalizers");
    for (const Json& finalizer : field(space, "spec", "finalizers").items()) {
        const auto name = finalizer.text();
        if (const auto problem = check_qualified_name(name); !problem.empty())
            add_invalid(causes, path, name, problem);
        else if (name.find('/') == name.npos && name != "kubernetes")
            add_invalid(causes, path, name,
                        "name is neither a standard finalizer name nor is it fully qualified");
    }
}

void validate_status(const Json& space, const Json*, Causes& causes) {
    const auto phase = text_of(space, "status", "phase");
    const bool deleted = present(field(space, "metadata", "deletionTimestamp"));
    const FieldPath status{"status"};
    if (deleted && phase != "Terminating")
        add_invalid(causes, status.child("Phase"), phase,
                    "may only be 'Terminating' if `deletionTimestamp` is not empty");
    else if (!deleted && phase != "Active")
        add_invalid(causes, status.child("Phase"), phase,
                    "may only be 'Active' if `deletionTimestamp` is empty");
}

void validate_subresource(std::string_view, const Json& space, const Json& old, Causes& causes) {
    validate(space, &old, causes);
}

}   // namespace

const Rules namespace_rules{
    .defaults = default_namespace,
    .prepare = prepare,
    .validate = validate,
    .validate_status = validate_status,
    .validate_subresource = validate_subresource,
};

}   // namespace skiff::api
