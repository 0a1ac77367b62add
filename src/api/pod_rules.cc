// Pods: what the server decides at creation, and which rules hold when.
#include <algorithm>
#include <string>

#include "api/json_fields.h"
#include "api/kind_rules.h"
#include "api/pod_defaults.h"
#include "api/pod_validation.h"
#include "api/selectable.h"
#include "base/text.h"

namespace skiff::api {
namespace {

using codec::Arena;
using codec::Json;

constexpr std::string_view mirror_annotation = "kubernetes.io/config.mirror";

Json* member(Json* object, std::string_view name) {
    return object && object->is_object() ? object->find(name) : nullptr;
}

Json gated_condition(Arena& arena) {
    Json condition = Json::object();
    const auto set = [&](std::string_view name, std::string_view value) {
        condition.set_borrowed(arena, name, Json::borrowed(value));
    };
    set("type", "PodScheduled");
    set("status", "False");
    set("reason", "SchedulingGated");
    set("message", "Scheduling is blocked due to non-empty scheduling gates");
    return condition;
}

// matchLabelKeys of an affinity term become requirements on the values that this pod has.
void expand_match_keys(Json& term, const Json& labels, Arena& arena) {
    for (const std::string_view name : {"matchLabelKeys", "mismatchLabelKeys"}) {
        const Json keys = field(term, name);
        Json* selector = term.find("labelSelector");
        if (blank(keys) || !selector || !selector->is_object()) continue;
        for (const Json& key : keys.items()) {
            const Json& value = field(labels, key.text());
            if (!value.is_string()) continue;
            Json requirement = Json::object();
            requirement.set_borrowed(arena, "key", key);
            requirement.set_borrowed(arena, "operator",
                                     Json::borrowed(name == "matchLabelKeys" ? "In" : "NotIn"));
            Json values = Json::array();
            values.push(arena, value);
            requirement.set_borrowed(arena, "values", values);
            selector->make_array(arena, "matchExpressions").push(arena, requirement);
        }
    }
}

void expand_affinity(Json& spec, const Json& labels, Arena& arena) {
    for (const std::string_view kind : {"podAffinity", "podAntiAffinity"}) {
        Json* affinity = member(member(&spec, "affinity"), kind);
        if (Json* required = member(affinity, "requiredDuringSchedulingIgnoredDuringExecution"))
            for (Json& term : required->items()) expand_match_keys(term, labels, arena);
        if (Json* preferred = member(affinity, "preferredDuringSchedulingIgnoredDuringExecution"))
            for (Json& weighted : preferred->items())
                if (Json* term = member(&weighted, "podAffinityTerm"))
                    expand_match_keys(*term, labels, arena);
    }
}

// Every pod acts as somebody; those that a node reports of itself have no account.
void default_account(Json& pod, Json& spec, Arena& arena) {
    if (!text_of(spec, "serviceAccountName").empty()) return;
    if (present(field(pod, "metadata", "annotations", mirror_annotation))) return;
    for (const std::string_view name : {"serviceAccountName", "serviceAccount"})
        spec.set_borrowed(arena, name, Json::borrowed("default"));
}

void prepare_created(Json& pod, Arena& arena) {
    Json status = Json::object();
    status.set_borrowed(arena, "phase", Json::borrowed("Pending"));
    Json* spec = pod.find("spec");
    if (spec && spec->is_object()) {
        status.set_borrowed(arena, "qosClass", Json::borrowed(qos_class_of(*spec)));
        if (!blank(field(*spec, "schedulingGates")))
            status.make_array(arena, "conditions").push(arena, gated_condition(arena));
        default_account(pod, *spec, arena);
        expand_affinity(*spec, field(pod, "metadata", "labels"), arena);
    }
    pod.set_borrowed(arena, "status", status);
}

void prepare(Json& pod, const Json* old, Arena& arena) {
    if (!old) return prepare_created(pod, arena);
    // The class is settled for life; a status without one is completed.
    Json* status = pod.find("status");
    if (status && status->is_object() && blank(field(*status, "qosClass")))
        status->set_borrowed(arena, "qosClass",
                             present(field(*old, "status", "qosClass"))
                                 ? field(*old, "status", "qosClass")
                                 : Json::borrowed(qos_class_of(field(pod, "spec"))));
}

void validate_created(const Json& pod, const FieldPath& path, Causes& causes) {
    const Json& spec = field(pod, "spec");
    if (!blank(field(spec, "ephemeralContainers")))
        add_forbidden(causes, path.child("ephemeralContainers"), "cannot be set on create");
    if (!blank(field(spec, "schedulingGates")) && !text_of(spec, "nodeName").empty())
        add_forbidden(causes, path.child("nodeName"),
                      "cannot be set until all schedulingGates have been cleared");
}

void validate_mirror(const Json& pod, const Json* old, Causes& causes) {
    const Json& mirror = field(pod, "metadata", "annotations", mirror_annotation);
    const FieldPath metadata{"metadata"};
    const FieldPath path = metadata.child("annotations", mirror_annotation);
    if (present(mirror) && text_of(pod, "spec", "nodeName").empty())
        add_invalid(causes, path, mirror, "must set spec.nodeName if mirror pod annotation is set");
    if (old && !(field(*old, "metadata", "annotations", mirror_annotation) == mirror))
        add_invalid(causes, path, mirror, "may not remove or change mirror pod annotation");
}

// A token needs somebody to be the token of.
void validate_tokens(const Json& spec, const FieldPath& path, Causes& causes) {
    if (!text_of(spec, "serviceAccountName").empty()) return;
    const auto volumes = field(spec, "volumes").items();
    for (size_t i = 0; i < volumes.size(); ++i) {
        const FieldPath volume = path.child("volumes", i);
        const FieldPath projected = volume.child("projected");
        const auto sources = field(volumes[i], "projected", "sources").items();
        for (size_t j = 0; j < sources.size(); ++j) {
            const FieldPath source = projected.child("sources", j);
            if (present(field(sources[j], "serviceAccountToken")))
                add_forbidden(causes, source.child("serviceAccountToken"),
                              "must not be specified when serviceAccountName is not set");
        }
    }
}

void validate(const Json& pod, const Json* old, Causes& causes) {
    const FieldPath path{"spec"};
    validate_mirror(pod, old, causes);
    validate_pod_spec(field(pod, "spec"), path, causes);
    validate_tokens(field(pod, "spec"), path, causes);
    if (old)
        validate_pod_update(pod, *old, causes);
    else
        validate_created(pod, path, causes);
}

void validate_status(const Json& pod, const Json* old, Causes& causes) {
    if (old) validate_pod_status_update(pod, *old, causes);
}

void validate_subresource(std::string_view subresource, const Json& pod, const Json& old,
                          Causes& causes) {
    const FieldPath path{"spec"};
    validate_pod_spec(field(pod, "spec"), path, causes);
    if (subresource == "ephemeralcontainers")
        validate_ephemeral_containers_update(pod, old, causes);
    else
        validate_pod_resize(pod, old, causes);
}

}   // namespace

const Rules pod_rules{
    .defaults = default_pod,
    .prepare = prepare,
    .validate = validate,
    .validate_status = validate_status,
    .validate_subresource = validate_subresource,
    .warn = warn_of_pod,
    .selectable = selectable_with_flags,
};

}   // namespace skiff::api
