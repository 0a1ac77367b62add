// NodeRestriction: a node speaks for itself and its own pods only, whatever it is authorized for.
#include <algorithm>

#include "apiserver/admission_plugins.h"
#include "apiserver/node_authorizer.h"
#include "base/text.h"

namespace skiff::apiserver {
namespace {

constexpr std::string_view protected_prefix = "node-restriction.kubernetes.io/";
constexpr std::string_view mirror_annotation = "kubernetes.io/config.mirror";

std::unexpected<Error> refuse(const Admission& admission, std::string_view node,
                              std::string_view why) {
    return std::unexpected{denied(admission, concat("node \"", node, "\" ", why))};
}

const Json* annotation(const Json& object, std::string_view key) {
    const auto* annotations = object.at_path({"metadata", "annotations"});
    return annotations ? annotations->find(key) : nullptr;
}

bool claims(const Json& pod) {
    const auto* volumes = pod.at_path({"spec", "volumes"});
    return volumes && std::ranges::any_of(volumes->items(), [](const Json& volume) {
               return volume.find("persistentVolumeClaim") || volume.find("ephemeral");
           });
}

// Else a node could bind a pod to itself that names any secret, and then read that.
Result<> check_new_pod(const Admission& admission, std::string_view node) {
    const auto& pod = admission.document->root;
    if (!annotation(pod, mirror_annotation)) {
        return std::unexpected{denied(
            admission, concat("pod does not have \"", mirror_annotation, "\" annotation, node \"",
                              node, "\" can only create mirror pods"))};
    }
    if (pod.text_at({"spec", "nodeName"}) != node)
        return refuse(admission, node, "can only create pods with spec.nodeName set to itself");
    if (!pod.text_at({"spec", "serviceAccountName"}).empty())
        return refuse(admission, node, "can not create pods that reference a service account");
    for (const auto& name : named_by_pod(pod)) {
        const auto plural = cut(name, '/').first;
        if (plural != "serviceaccounts")
            return refuse(admission, node, concat("can not create pods that reference ", plural));
    }
    if (claims(pod))
        return refuse(admission, node, "can not create pods that reference persistentvolumeclaims");
    return {};
}

Result<> check_pod(const Admission& admission, std::string_view node) {
    if (admission.operation == "CREATE") {
        if (!admission.subresource.empty()) return {};   // an eviction is a deletion
        return check_new_pod(admission, node);
    }
    if (!admission.old || admission.old->text_at({"spec", "nodeName"}) == node) return {};
    return refuse(admission, node,
                  admission.operation == "DELETE"
                      ? "can only delete pods with spec.nodeName set to itself"
                      : "can only update pod status for pods with spec.nodeName set to itself");
}

const Json* labels_of(const Json* object) {
    return object ? object->at_path({"metadata", "labels"}) : nullptr;
}

// Labels that say where work may go are not for the node to give itself.
Result<> check_labels(const Admission& admission, std::string_view node) {
    const auto* now = labels_of(&admission.document->root);
    const auto* before = labels_of(admission.old);
    const auto same = [](const Json* left, const Json* right, std::string_view key) {
        const auto* one = left ? left->find(key) : nullptr;
        const auto* other = right ? right->find(key) : nullptr;
        return one ? other && *one == *other : !other;
    };
    std::string changed;
    for (const auto* labels : {now, before}) {
        if (!labels) continue;
        for (const auto& [key, value] : labels->members())
            if (key.starts_with(protected_prefix) && !same(now, before, key))
                append(changed, changed.empty() ? "" : ", ", key);
    }
    if (changed.empty()) return {};
    return refuse(admission, node, concat("is not allowed to modify labels: ", changed));
}

Result<> check_node(const Admission& admission, std::string_view node) {
    if (admission.name != node)
        return refuse(admission, node,
                      concat("is not allowed to modify node \"", admission.name, "\""));
    if (!admission.document) return {};
    TRY_OK(check_labels(admission, node));
    if (!admission.old) return {};   // a new node may bring its taints
    const auto* now = admission.document->root.at_path({"spec", "taints"});
    const auto* before = admission.old->at_path({"spec", "taints"});
    const bool same = now && now->size() ? before && *now == *before : !before || !before->size();
    if (!same) return refuse(admission, node, "is not allowed to modify taints");
    return {};
}

}   // namespace

Result<> node_restriction(Admission& admission) {
    const auto node = node_of(admission.call.user);
    if (node.empty() || admission.call.user.in_group("system:masters")) return {};
    const auto& kind = *admission.resource.stored;
    if (!kind.group.empty()) return {};
    if (kind.kind == "Pod") return check_pod(admission, node);
    if (kind.kind == "Node") return check_node(admission, node);
    return {};
}

}   // namespace skiff::apiserver
