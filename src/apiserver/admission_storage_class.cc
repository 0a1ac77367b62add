// A claim that says nothing of a class gets the one that is marked as the default; of several the
// newest. A class of "" is a choice: none.
#include "apiserver/admission_plugins.h"
#include "base/text.h"

namespace skiff::apiserver {
namespace {

constexpr std::string_view storage = "storage.k8s.io";
constexpr std::string_view class_annotation = "volume.beta.kubernetes.io/storage-class";
constexpr std::string_view default_annotations[] = {
    "storageclass.kubernetes.io/is-default-class",
    "storageclass.beta.kubernetes.io/is-default-class",
};

bool says_class(const Json& claim) {
    const auto* name = claim.at_path({"spec", "storageClassName"});
    return (name && !name->is_null()) ||
           claim.at_path({"metadata", "annotations", class_annotation}) != nullptr;
}

bool is_default(const Json& storage_class) {
    return std::ranges::any_of(default_annotations, [&](std::string_view annotation) {
        return storage_class.text_at({"metadata", "annotations", annotation}) == "true";
    });
}

}   // namespace

Result<> default_storage_class(Admission& admission) {
    const auto& kind = *admission.resource.stored;
    if (admission.operation != "CREATE" || kind.kind != "PersistentVolumeClaim" ||
        !kind.group.empty() || !admission.document || !admission.subresource.empty() ||
        says_class(admission.document->root))
        return {};
    const auto& parts = admission.registry.parts();
    const auto* classes = parts.catalog.find_kind(storage, "v1", "StorageClass");
    if (!classes) return {};
    std::string best;
    std::string made;
    parts.store.view(classes->resource)
        .scan("", {}, [&](std::string_view name, const store::ObjectPtr& object) {
            const auto document = parse_stored(*object);
            if (!document || !is_default(document->root)) return true;
            const auto since = document->root.text_at({"metadata", "creationTimestamp"});
            if (best.empty() || since > made) {
                best = name;
                made = since;
            }
            return true;
        });
    if (best.empty()) return {};
    auto& arena = admission.document->arena;
    admission.document->root.make_object(arena, "spec")
        .set(arena, "storageClassName", Json::string(arena, best));
    return {};
}

}   // namespace skiff::apiserver
