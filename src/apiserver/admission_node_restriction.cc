// NodeRestriction: a node speaks for itself and its own pods only, whatever it is authorized for.
#include <algorithm>
#include <array>

#include "apiserver/admission_plugins.h"
#include "apiserver/node_authorizer.h"
#include "base/text.h"

namespace skiff::apiserver {
namespace {

constexpr std::string_view mirror_annotation = "kubernetes.io/config.mirror";

std::unexpected<Error> refuse(const Admission& admission, std::string_view node,
                              std::string_view why) {
    return std::unexpected{denied(admission, concat("node \"", node, "\" ", why))};
}

const Json* annotation(const Json& object, std::string_view key) {
    const auto* annotations = object.at_path({"metadata", "annotations"});
    return annotations ? annotations->find(key) : nullptr;
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
    return {};
}

const Json* labels_of(const Json* object) {
    return object ? object->at_path({"metadata", "labels"}) : nullptr;
}

Result<> check_pod(const Admission& admission, std::string_view node) {
    if (admission.operation == "CREATE") {
        if (!admission.subresource.empty()) return {};   // an eviction is a deletion
        return check_new_pod(admission, node);
    }
    if (!admission.old || admission.old->text_at({"spec", "nodeName"}) == node) {
        if (admission.subresource != "status" || !admission.document || !admission.old) return {};
        const auto* now = labels_of(&admission.document->root);
        const auto* before = labels_of(admission.old);
        const bool same =
            now && now->size() ? before && *now == *before : !before || before->empty();
        if (same) return {};
        return refuse(admission, node, "cannot update labels through pod status");
    }
    return refuse(admission, node,
                  admission.operation == "DELETE"
                      ? "can only delete pods with spec.nodeName set to itself"
                      : "can only update pod status for pods with spec.nodeName set to itself");
}

// Of the labels below kubernetes.io and k8s.io a node gives itself those that kubelets always have.
bool own_label(std::string_view key) {
    constexpr std::array<std::string_view, 14> names{"beta.kubernetes.io/arch",
                                                     "beta.kubernetes.io/instance-type",
                                                     "beta.kubernetes.io/os",
                                                     "failure-domain.beta.kubernetes.io/region",
                                                     "failure-domain.beta.kubernetes.io/zone",
                                                     "failure-domain.kubernetes.io/region",
                                                     "failure-domain.kubernetes.io/zone",
                                                     "kubernetes.io/arch",
                                                     "kubernetes.io/hostname",
                                                     "kubernetes.io/instance-type",
                                                     "kubernetes.io/os",
                                                     "node.kubernetes.io/instance-type",
                                                     "topology.kubernetes.io/region",
                                                     "topology.kubernetes.io/zone"};
    const auto [prefix, name] = cut(key, '/');
    if (!name) return true;
    const auto below = [&, whole = prefix](std::string_view domain) {
        return whole == domain ||
               (whole.ends_with(domain) && whole[whole.size() - domain.size() - 1] == '.');
    };
    if (!below("kubernetes.io") && !below("k8s.io")) return true;
    if (std::ranges::find(names, key) != names.end()) return true;
    return below("kubelet.kubernetes.io") || below("node.kubernetes.io");
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
    const auto listed = [](std::string_view list, std::string_view key) {
        for (const auto entry : split(list, ','))
            if (trim(entry) == key) return true;
        return false;
    };
    for (const auto* labels : {now, before}) {
        if (!labels) continue;
        for (const auto& [key, value] : labels->members())
            if (!own_label(key) && !same(now, before, key) && !listed(changed, key))
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

Result<> check_lease(const Admission& admission, std::string_view node) {
    if (admission.name_space != "kube-node-lease")
        return refuse(admission, node,
                      "can only access leases in the \"kube-node-lease\" system namespace");
    if (admission.name != node)
        return refuse(admission, node,
                      "can only access node lease with the same name as the "
                      "requesting node");
    return {};
}

}   // namespace

Result<> node_restriction(Admission& admission) {
    const auto node = node_of(admission.call.user);
    if (node.empty() || admission.call.user.in_group("system:masters")) return {};
    const auto& kind = *admission.resource.stored;
    if (kind.group == "coordination.k8s.io" && kind.kind == "Lease")
        return check_lease(admission, node);
    if (!kind.group.empty()) return {};
    if (kind.kind == "Pod") return check_pod(admission, node);
    if (kind.kind == "Node") return check_node(admission, node);
    return {};
}

}   // namespace skiff::apiserver
