#include "apiserver/admission_plugins.h"

namespace skiff::apiserver {
// Who asks for a certificate is the server's to say: signers and approvers go by it.
Result<> certificate_requester(Admission& admission) {
    const auto& kind = *admission.resource.stored;
    if (admission.operation != "CREATE" || kind.kind != "CertificateSigningRequest" ||
        !admission.document)
        return {};
    auto& arena = admission.document->arena;
    auto& spec = admission.document->root.make_object(arena, "spec");
    const auto& user = admission.call.user;
    for (const std::string_view key : {"username", "uid", "groups", "extra"}) spec.remove(key);
    spec.set(arena, "username", Json::string(arena, user.name));
    if (!user.uid.empty()) spec.set(arena, "uid", Json::string(arena, user.uid));
    if (!user.groups.empty()) spec.set(arena, "groups", text_array(user.groups, arena));
    if (user.extra.empty()) return {};
    auto& extra = spec.make_object(arena, "extra");
    for (const auto& [key, values] : user.extra) extra.set(arena, key, text_array(values, arena));
    return {};
}

}   // namespace skiff::apiserver
