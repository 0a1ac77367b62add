// An ingress that names no class gets the one that is marked as the default.
#include "apiserver/admission_plugins.h"
#include "base/text.h"

namespace skiff::apiserver {
namespace {

constexpr std::string_view networking = "networking.k8s.io";
constexpr std::string_view class_annotation = "kubernetes.io/ingress.class";
constexpr std::string_view default_annotation = "ingressclass.kubernetes.io/is-default-class";

bool names_a_class(const Json& ingress) {
    const auto* name = ingress.at_path({"spec", "ingressClassName"});
    return (name && !name->is_null()) ||
           ingress.at_path({"metadata", "annotations", class_annotation}) != nullptr;
}

}   // namespace

Result<> default_ingress_class(Admission& admission) {
    const auto& kind = *admission.resource.stored;
    if (admission.operation != "CREATE" || kind.kind != "Ingress" || kind.group != networking ||
        !admission.document || !admission.subresource.empty() ||
        names_a_class(admission.document->root))
        return {};
    const auto& parts = admission.registry.parts();
    const auto* classes = parts.catalog.find_kind(networking, "v1", "IngressClass");
    if (!classes) return {};
    std::vector<std::string> defaults;
    parts.store.view(classes->resource)
        .scan("", {}, [&](std::string_view name, const store::ObjectPtr& object) {
            const auto document = parse_stored(*object);
            if (document &&
                document->root.text_at({"metadata", "annotations", default_annotation}) == "true")
                defaults.emplace_back(name);
            return true;
        });
    if (defaults.empty()) return {};
    if (defaults.size() > 1)
        return std::unexpected{
            denied(admission, concat("Internal error occurred: ", defaults.size(),
                                     " default IngressClasses were found, only 1 allowed"))};
    auto& arena = admission.document->arena;
    admission.document->root.make_object(arena, "spec")
        .set(arena, "ingressClassName", Json::string(arena, defaults.front()));
    return {};
}

}   // namespace skiff::apiserver
