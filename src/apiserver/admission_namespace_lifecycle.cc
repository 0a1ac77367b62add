#include <algorithm>
#include <array>

#include "apiserver/admission_plugins.h"
#include "base/text.h"

namespace skiff::apiserver {
namespace {

constexpr std::array<std::string_view, 3> immortal{"default", "kube-system", "kube-public"};

}   // namespace

// Nothing is created in a namespace that does not exist or is going away.
Result<> namespace_lifecycle(Admission& admission) {
    const bool is_namespace =
        admission.resource.kind->plural == "namespaces" && admission.resource.kind->group.empty();
    if (admission.operation == "DELETE" && is_namespace &&
        std::ranges::find(immortal, admission.name) != immortal.end())
        return std::unexpected{denied(admission, "this namespace may not be deleted")};
    if (admission.operation != "CREATE" || !admission.resource.namespaced ||
        !admission.resource.persistent)
        return {};

    const auto& namespaces = admission.registry.core("namespaces");
    const auto object = admission.registry.find(namespaces, {}, admission.name_space);
    if (!object) return std::unexpected{not_found(namespaces, admission.name_space)};
    TRY(const auto document, parse_current(*object));
    if (document.root.text_at({"status", "phase"}) == "Terminating" ||
        being_deleted(document.root)) {
        auto error =
            denied(admission, concat("unable to create new content in namespace ",
                                     admission.name_space, " because it is being terminated"));
        error.causes.push_back(
            {.type = "NamespaceTerminating",
             .message = concat("namespace ", admission.name_space, " is being terminated"),
             .field = "metadata.namespace"});
        return std::unexpected{std::move(error)};
    }
    if (admission.also) {
        // As it was when it was looked at: else it may be found empty and removed in between.
        admission.also->push_back(
            {.must = store::Precondition::Must::BeAt,
             .key = admission.registry.key_of(namespaces, {}, admission.name_space),
             .at = object->modified});
    }
    return {};
}

}   // namespace skiff::apiserver
