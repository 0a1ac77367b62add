#include "apiserver/admission.h"

#include "apiserver/admission_plugins.h"
#include "base/text.h"

namespace skiff::apiserver {
namespace {

using Plugin = Result<> (*)(Admission& admission);

// In this order, upstream's: what changes the object comes before what only looks at it.
constexpr Plugin plugins[] = {
    namespace_lifecycle,                //
    certificate_requester,              //
    default_ingress_class,              //
    limit_ranger,                       //
    service_account,                    //
    node_restriction,                   //
    priority,                           //
    default_toleration_seconds,         //
    default_storage_class,              //
    storage_object_in_use_protection,   //
    no_escalation,                      //
    pod_security,                       //
};

}   // namespace

Error denied(const ServedResource& resource, std::string_view name, std::string_view why) {
    const auto& kind = *resource.kind;
    Error error{.reason = Reason::Forbidden,
                .message = concat(kind.plural, kind.group.empty() ? "" : concat(".", kind.group),
                                  " \"", name, "\" is forbidden: ", why)};
    error.subject = subject_of(resource, name);
    return error;
}

Error denied(const Admission& admission, std::string_view why) {
    return denied(admission.resource, admission.name, why);
}

Result<> admit(Admission& admission) {
    for (const auto plugin : plugins) TRY_OK(plugin(admission));
    return {};
}

}   // namespace skiff::apiserver
