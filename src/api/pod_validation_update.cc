// What of a pod may change, by which way.
#include <algorithm>
#include <array>
#include <set>
#include <string>

#include "api/json_fields.h"
#include "api/names.h"
#include "api/pod_defaults.h"
#include "api/pod_validation.h"
#include "api/tree_diff.h"
#include "base/text.h"

namespace skiff::api {
namespace {

using codec::Arena;
using codec::Json;

constexpr std::string_view mutable_fields =
    "`spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,"
    "`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";

bool gated(const Json& spec) { return !blank(field(spec, "schedulingGates")); }

void validate_counts(const Json& spec, const Json& old, const FieldPath& path, Causes& causes) {
    if (field(spec, "containers").size() != field(old, "containers").size())
        add_forbidden(causes, path.child("containers"),
                      "pod updates may not add or remove containers");
    if (field(spec, "initContainers").size() != field(old, "initContainers").size())
        add_forbidden(causes, path.child("initContainers"),
                      "pod updates may not add or remove containers");
}

void validate_deadline(const Json& spec, const Json& old, const FieldPath& path, Causes& causes) {
    const Json& wanted = field(spec, "activeDeadlineSeconds");
    const Json& previous = field(old, "activeDeadlineSeconds");
    const FieldPath deadline = path.child("activeDeadlineSeconds");
    if (present(wanted) && present(previous) && int_or(wanted, 0) > int_or(previous, 0))
        add_invalid(causes, deadline, wanted, "must be less than or equal to previous value");
    else if (!present(wanted) && present(previous))
        add_invalid(causes, deadline, wanted,
                    "must not update from a positive integer to nil value");
}

// All of a toleration but its seconds.
using Tolerated = std::array<std::string_view, 4>;
Tolerated tolerated(const Json& toleration) {
    return {text_of(toleration, "key"), text_of(toleration, "operator"),
            text_of(toleration, "value"), text_of(toleration, "effect")};
}

void validate_tolerations(const Json& spec, const Json& old, const FieldPath& path,
                          Causes& causes) {
    std::set<Tolerated> now;
    for (const Json& toleration : field(spec, "tolerations").items())
        now.insert(tolerated(toleration));
    const auto kept = [&](const Json& before) { return now.contains(tolerated(before)); };
    if (!std::ranges::all_of(field(old, "tolerations").items(), kept))
        add_forbidden(causes, path.child("tolerations"),
                      "existing toleration can not be modified except its tolerationSeconds");
}

void validate_scheduling_gates(const Json& spec, const Json& old, const FieldPath& path,
                               Causes& causes) {
    std::set<std::string_view> before;
    for (const Json& gate : field(old, "schedulingGates").items())
        before.insert(text_of(gate, "name"));
    const auto now = field(spec, "schedulingGates").items();
    for (size_t i = 0; i < now.size(); ++i) {
        const auto name = text_of(now[i], "name");
        const FieldPath entry = path.child("schedulingGates", i);
        if (!before.contains(name))
            add_forbidden(
                causes, entry.child("name"),
                concat("only deletion is allowed, but found new scheduling gate '", name, "'"));
    }
}

// While gates hold a pod back, where it may go can be narrowed.
void validate_gated_node_selector(const Json& spec, const Json& old, const FieldPath& path,
                                  Causes& causes) {
    const Json& now = field(spec, "nodeSelector");
    for (const auto& [key, value] : field(old, "nodeSelector").members())
        if (!(field(now, key) == value))
            return add_invalid(causes, path.child("nodeSelector"), now,
                               "only additions to spec.nodeSelector are allowed (no mutations or "
                               "deletions)");
}

void copy_member(Json& target, const Json& source, std::string_view name, Arena& arena) {
    const Json& value = field(source, name);
    if (present(value))
        target.set(arena, name, value);
    else
        target.remove(name);
}

// The spec as the old one would be if only what may change had changed.
Json without_allowed_changes(const Json& spec, const Json& old, Arena& arena) {
    Json munged = spec.deep_copy(arena);
    for (const std::string_view name : {"activeDeadlineSeconds", "tolerations", "schedulingGates"})
        copy_member(munged, old, name, arena);
    if (gated(old)) {
        copy_member(munged, old, "nodeSelector", arena);
        copy_member(munged, old, "affinity", arena);
    }
    for (const std::string_view list : {"containers", "initContainers"}) {
        Json* containers = munged.find(list);
        const auto before = field(old, list).items();
        if (!containers) continue;
        for (size_t i = 0; i < containers->size() && i < before.size(); ++i)
            copy_member(containers->items()[i], before[i], "image", arena);
    }
    if (int_or(field(old, "terminationGracePeriodSeconds"), 0) < 0 &&
        int_or(field(spec, "terminationGracePeriodSeconds"), 0) == 1)
        copy_member(munged, old, "terminationGracePeriodSeconds", arena);
    return munged;
}

bool is_sidecar(const Json& pod, std::string_view name) {
    return std::ranges::any_of(field(pod, "spec", "initContainers").items(), [&](const Json& c) {
        return text_of(c, "name") == name && text_of(c, "restartPolicy") == "Always";
    });
}

void validate_finished_stays(const Json& pod, const Json& old, std::string_view list,
                             std::string_view policy, const FieldPath& path, Causes& causes) {
    if (policy == "Always") return;
    const auto now = field(pod, "status", list).items();
    for (const Json& before : field(old, "status", list).items()) {
        const Json& ended = field(before, "state", "terminated");
        if (!present(ended) || is_sidecar(old, text_of(before, "name"))) continue;
        if (policy == "OnFailure" && int_or(field(ended, "exitCode"), 0) != 0) continue;
        for (size_t i = 0; i < now.size(); ++i) {
            if (text_of(now[i], "name") != text_of(before, "name")) continue;
            if (present(field(now[i], "state", "terminated"))) continue;
            const FieldPath entry = path.child(list, i);
            add_forbidden(causes, entry.child("state"),
                          "may not be transitioned to non-terminated state");
        }
    }
}

void validate_addresses(const Json& pod, std::string_view list, const FieldPath& status,
                        Causes& causes) {
    const auto addresses = field(pod, "status", list).items();
    for (size_t i = 0; i < addresses.size(); ++i) {
        const auto ip = text_of(addresses[i], "ip");
        add_unless_ok(causes, status.child(list, i), ip, check_format(Format::Ip, ip));
    }
}

}   // namespace

void validate_pod_update(const Json& pod, const Json& old_pod, Causes& causes) {
    const Json& spec = field(pod, "spec");
    const Json& old = field(old_pod, "spec");
    const FieldPath path{"spec"};
    const size_t before = causes.size();
    validate_counts(spec, old, path, causes);
    if (causes.size() != before) return;
    validate_deadline(spec, old, path, causes);
    if (causes.size() != before && present(field(spec, "activeDeadlineSeconds"))) return;
    validate_tolerations(spec, old, path, causes);
    validate_scheduling_gates(spec, old, path, causes);
    if (gated(old)) validate_gated_node_selector(spec, old, path, causes);
    Arena arena;
    const Json munged = without_allowed_changes(spec, old, arena);
    if (munged == old) return;
    add_forbidden(causes, path,
                  concat("pod updates may not change fields other than ", mutable_fields, "\n",
                         changes_between(old, munged, "spec")));
}

void validate_ephemeral_containers_update(const Json& pod, const Json& old, Causes& causes) {
    const FieldPath spec{"spec"};
    const FieldPath path = spec.child("ephemeralContainers");
    if (present(field(pod, "metadata", "annotations", "kubernetes.io/config.mirror")))
        return add_forbidden(causes, {}, "static pods do not support ephemeral containers");
    const auto now = field(pod, "spec", "ephemeralContainers").items();
    for (const Json& before : field(old, "spec", "ephemeralContainers").items()) {
        const auto name = text_of(before, "name");
        const auto found = std::ranges::find_if(
            now, [&](const Json& container) { return text_of(container, "name") == name; });
        if (found == now.end())
            add_forbidden(
                causes, path,
                concat("existing ephemeral containers \"", name, "\" may not be removed\n"));
        else if (!(*found == before))
            add_forbidden(causes, path,
                          concat("existing ephemeral containers \"", name,
                                 "\" may not be changed\n", changes_between(before, *found, name)));
    }
}

void validate_pod_resize(const Json& pod, const Json& old, Causes& causes) {
    const FieldPath spec{"spec"};
    if (present(field(old, "metadata", "annotations", "kubernetes.io/config.mirror")))
        return add_forbidden(causes, {}, "static pods cannot be resized");
    if (qos_class_of(field(pod, "spec")) != qos_class_of(field(old, "spec")))
        add_invalid(causes, spec, qos_class_of(field(pod, "spec")),
                    "Pod QOS Class may not change as a result of resizing");
    for (const std::string_view list : {"containers", "initContainers"}) {
        const auto now = field(pod, "spec", list).items();
        const auto before = field(old, "spec", list).items();
        for (size_t i = 0; i < now.size() && i < before.size(); ++i)
            for (const std::string_view part : {"limits", "requests"})
                for (const auto& [name, value] : field(before[i], "resources", part).members())
                    if (name != "cpu" && name != "memory" &&
                        !(field(now[i], "resources", part, name) == value))
                        return add_forbidden(causes, spec,
                                             "only cpu and memory resources are mutable");
    }
}

void validate_pod_status_update(const Json& pod, const Json& old, Causes& causes) {
    const FieldPath status{"status"};
    const auto qos = text_of(pod, "status", "qosClass");
    const auto was = text_of(old, "status", "qosClass");
    if (!qos.empty() && !was.empty() && qos != was)
        add_invalid(causes, status.child("qosClass"), qos, immutable_message);
    const auto policy = text_of(old, "spec", "restartPolicy");
    validate_finished_stays(pod, old, "containerStatuses", policy, status, causes);
    validate_finished_stays(pod, old, "initContainerStatuses", policy, status, causes);
    validate_finished_stays(pod, old, "ephemeralContainerStatuses", "Never", status, causes);
    validate_addresses(pod, "podIPs", status, causes);
    validate_addresses(pod, "hostIPs", status, causes);
}

}   // namespace skiff::api
