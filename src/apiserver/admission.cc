#include "apiserver/admission.h"

#include <array>

#include "base/text.h"

namespace skiff::apiserver {
namespace {

constexpr std::array<std::string_view, 3> immortal{"default", "kube-system", "kube-public"};

Error denied(const Admission& admission, std::string_view why) {
    Error error{.reason = Reason::Forbidden,
                .message = concat(admission.resource.kind->plural,
                                  admission.resource.kind->group.empty() ? "" : concat(".", admission.resource.kind->group),
                                  " \"", admission.name, "\" is forbidden: ", why)};
    error.subject = subject_of(admission.resource, admission.name);
    return error;
}

// Nothing is created in a namespace that does not exist or is going away.
Result<> namespace_lifecycle(Admission& admission) {
    const bool is_namespace = admission.resource.kind->plural == "namespaces" && admission.resource.kind->group.empty();
    if (admission.operation == "DELETE" && is_namespace && std::ranges::find(immortal, admission.name) != immortal.end())
        return std::unexpected{denied(admission, "this namespace may not be deleted")};
    if (admission.operation != "CREATE" || !admission.resource.namespaced || !admission.resource.persistent) return {};

    const auto& namespaces = admission.registry.core("namespaces");
    const auto object = admission.registry.find(namespaces, {}, admission.name_space);
    if (!object) return std::unexpected{not_found(namespaces, admission.name_space)};
    TRY(const auto document, parse_current(*object));
    if (document.root.text_at({"status", "phase"}) == "Terminating" || being_deleted(document.root)) {
        auto error = denied(admission, concat("unable to create new content in namespace ", admission.name_space,
                                              " because it is being terminated"));
        error.causes.push_back({.type = "NamespaceTerminating",
                                .message = concat("namespace ", admission.name_space, " is being terminated"),
                                .field = "metadata.namespace"});
        return std::unexpected{std::move(error)};
    }
    if (admission.also) {
        admission.also->push_back({.must = store::Precondition::Must::Exist,
                                   .key = admission.registry.key_of(namespaces, {}, admission.name_space)});
    }
    return {};
}

}   // namespace

Result<> admit(Admission& admission) {
    TRY_OK(namespace_lifecycle(admission));
    return {};
}

}   // namespace skiff::apiserver
