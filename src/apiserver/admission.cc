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

Result<> admit(Admission& admission) {
    for (const auto plugin : plugins) TRY_OK(plugin(admission));
    return {};
}

}   // namespace skiff::apiserver
