// Admission: may this change be let in, and what is added to it. The plug-ins: admission_plugins.h.
#pragma once

#include "apiserver/registry.h"

namespace skiff::apiserver {

struct Admission {
    Call& call;
    const Registry& registry;
    const ServedResource& resource;
    std::string_view operation;   // CREATE UPDATE DELETE
    std::string_view subresource;
    std::string_view name_space;
    std::string_view name;
    Document* document = nullptr;   // stored form, may be changed; null on DELETE
    const Json* old = nullptr;      // null on CREATE
    std::vector<store::Precondition>* also = nullptr;   // conditions for the transaction
};
Result<> admit(Admission& admission);

}   // namespace skiff::apiserver
