#include "apiserver/admission.h"

#include <array>

#include "base/text.h"

namespace skiff::apiserver {
namespace {

constexpr std::array<std::string_view, 3> immortal{"default", "kube-system", "kube-public"};

Error denied(const Admission& admission, std::string_view why) {
    Error error{.reason = Reason::Forbidden,
                .message = concat(admission.resource.kind->plural,
                                  admission.resource.kind->group.empty()
                                      ? ""
                                      : concat(".", admission.resource.kind->group),
                                  " \"", admission.name, "\" is forbidden: ", why)};
    error.subject = subject_of(admission.resource, admission.name);
    return error;
}

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

Json text_array(const std::vector<std::string>& texts, Arena& arena) {
    auto array = Json::array();
    for (const auto& text : texts) array.push(arena, Json::string(arena, text));
    return array;
}

// Who asks for a certificate is the server's to say: signers and approvers go by it.
void name_requester(Admission& admission) {
    const auto& kind = *admission.resource.stored;
    if (admission.operation != "CREATE" || kind.kind != "CertificateSigningRequest" ||
        !admission.document)
        return;
    auto& arena = admission.document->arena;
    auto& spec = admission.document->root.make_object(arena, "spec");
    const auto& user = admission.call.user;
    for (const std::string_view key : {"username", "uid", "groups", "extra"}) spec.remove(key);
    spec.set(arena, "username", Json::string(arena, user.name));
    if (!user.uid.empty()) spec.set(arena, "uid", Json::string(arena, user.uid));
    if (!user.groups.empty()) spec.set(arena, "groups", text_array(user.groups, arena));
    if (user.extra.empty()) return;
    auto& extra = spec.make_object(arena, "extra");
    for (const auto& [key, values] : user.extra) extra.set(arena, key, text_array(values, arena));
}

}   // namespace

Result<> admit(Admission& admission) {
    TRY_OK(namespace_lifecycle(admission));
    name_requester(admission);
    return {};
}

}   // namespace skiff::apiserver
