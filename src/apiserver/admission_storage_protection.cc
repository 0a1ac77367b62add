// Claims and volumes are protected from their first moment: the controllers take the finalizer away
// once nothing uses them (controllers/volume_protection.h).
#include "apiserver/admission_plugins.h"

namespace skiff::apiserver {

Result<> storage_object_in_use_protection(Admission& admission) {
    const auto& kind = *admission.resource.stored;
    if (admission.operation != "CREATE" || !kind.group.empty() || !admission.document ||
        !admission.subresource.empty())
        return {};
    const std::string_view finalizer =
        kind.kind == "PersistentVolumeClaim" ? "kubernetes.io/pvc-protection"
        : kind.kind == "PersistentVolume"    ? "kubernetes.io/pv-protection"
                                             : "";
    if (finalizer.empty()) return {};
    auto& [arena, root] = *admission.document;
    auto& list = root.make_object(arena, "metadata").make_array(arena, "finalizers");
    for (const auto& one : list.items())
        if (one.text() == finalizer) return {};
    list.push(arena, Json::string(arena, finalizer));
    return {};
}

}   // namespace skiff::apiserver
