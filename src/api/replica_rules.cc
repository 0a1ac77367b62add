// Replica sets, their elder brothers the replication controllers, and pod templates.
#include "api/json_fields.h"
#include "api/kind_rules.h"
#include "api/pod_defaults.h"
#include "api/pod_validation.h"
#include "api/selectable.h"
#include "api/workload_checks.h"
#include "base/text.h"

namespace skiff::api {
namespace {

using codec::Arena;
using codec::Json;

void prepare_replicas(Json& object, const Json* old, Arena& arena) {
    if (!old) clear_status(object, {"replicas"}, arena);
}

void validate_replica_set(const Json& set, const Json*, Causes& causes) {
    const FieldPath path{"spec"};
    const Json& spec = field(set, "spec");
    validate_template_selector(spec, "deployment", path, causes);   // upstream's own word
    validate_running_template(field(spec, "template"), "ReplicaSet", path.child("template"),
                              causes);
}

void validate_replicas_status(const Json& object, const Json*, Causes& causes) {
    const FieldPath path{"status"};
    const Json& status = field(object, "status");
    validate_not_negative(status,
                          {"replicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas",
                           "observedGeneration", "terminatingReplicas"},
                          path, causes);
    for (const std::string_view name :
         {"fullyLabeledReplicas", "readyReplicas", "availableReplicas"})
        validate_no_more_than(status, name, "replicas", "cannot be greater than status.replicas",
                              path, causes);
    validate_no_more_than(status, "availableReplicas", "readyReplicas",
                          "cannot be greater than readyReplicas", path, causes);
}

// The template's labels stand in for a selector, and for labels of its own.
void default_controller(Json& controller, Arena& arena) {
    default_template(controller, arena);
    Json* spec = controller.find("spec");
    if (!spec || !spec->is_object()) return;
    const Json labels = field(*spec, "template", "metadata", "labels");
    if (blank(labels)) return;
    if (blank(field(*spec, "selector")))
        spec->set_borrowed(arena, "selector", labels.deep_copy(arena));
    Json& metadata = controller.make_object(arena, "metadata");
    if (blank(field(metadata, "labels")))
        metadata.set_borrowed(arena, "labels", labels.deep_copy(arena));
}

bool selects(const Json& selector, const Json& labels) {
    for (const auto& [key, value] : selector.members())
        if (!(field(labels, key) == value)) return false;
    return true;
}

void validate_controller(const Json& controller, const Json*, Causes& causes) {
    const FieldPath path{"spec"};
    const Json& spec = field(controller, "spec");
    const Json& selector = field(spec, "selector");
    if (blank(selector)) add_required(causes, path.child("selector"));
    const FieldPath pod_template = path.child("template");
    const Json& given = field(spec, "template");
    if (!present(given)) return add_required(causes, pod_template);
    const Json& labels = field(given, "metadata", "labels");
    const FieldPath metadata = pod_template.child("metadata");
    if (!blank(selector) && !selects(selector, labels))
        add_invalid(causes, metadata.child("labels"), labels,
                    "`selector` does not match template `labels`");
    validate_running_template(given, "ReplicationController", pod_template, causes);
}

void default_pod_template(Json& object, Arena& arena) {
    Json* pod_spec = object.at_path({"template", "spec"});
    if (pod_spec && pod_spec->is_object()) default_pod_spec(*pod_spec, arena);
}

void validate_pod_template(const Json& object, const Json*, Causes& causes) {
    validate_template(field(object, "template"), FieldPath{"template"}, causes);
}

// A count that is absent is 0.
std::string selectable(const Json& object, std::string_view name) {
    const std::string text = text_at_path(object, name);
    return text.empty() && name == "status.replicas" ? "0" : text;
}

}   // namespace

const Rules replicaset_rules{
    .defaults = default_template,
    .prepare = prepare_replicas,
    .validate = validate_replica_set,
    .validate_status = validate_replicas_status,
    .selectable = selectable,
};

const Rules replicationcontroller_rules{
    .defaults = default_controller,
    .prepare = prepare_replicas,
    .validate = validate_controller,
    .validate_status = validate_replicas_status,
    .selectable = selectable,
};

const Rules podtemplate_rules{
    .defaults = default_pod_template,
    .validate = validate_pod_template,
};

}   // namespace skiff::api
