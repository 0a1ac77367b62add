// The admission plug-ins, a file each (admission_<name>.cc); admission.cc has their order.
#pragma once

#include "apiserver/admission.h"

namespace skiff::apiserver {

// Forbidden, as upstream words it: `pods "x" is forbidden: why`.
Error denied(const Admission& admission, std::string_view why);
Error denied(const ServedResource& resource, std::string_view name, std::string_view why);

Result<> namespace_lifecycle(Admission& admission);
Result<> certificate_requester(Admission& admission);   // who asks is the server's to say
Result<> default_ingress_class(Admission& admission);   // where an ingress names none
Result<> default_storage_class(Admission& admission);   // where a claim says nothing of one
Result<> storage_object_in_use_protection(Admission& admission);
Result<> service_account(Admission& admission);    // every pod has one, and its token
Result<> no_escalation(Admission& admission);      // RBAC: nobody grants what he has not
Result<> node_restriction(Admission& admission);   // a node changes only what is its own
Result<> default_toleration_seconds(Admission& admission);
Result<> limit_ranger(Admission& admission);   // defaults and bounds of what is asked for
Result<> priority(Admission& admission);       // of pods, from their class
Result<> pod_security(Admission& admission);   // what a namespace's labels ask of its pods

}   // namespace skiff::apiserver
