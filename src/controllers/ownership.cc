#include "controllers/ownership.h"

#include "base/text.h"
#include "codec/json_text.h"

namespace skiff::controllers {
using codec::quoted;

std::string owner_reference_json(const client::ObjectReference& owner) {
    return concat(R"({"apiVersion":)", quoted(owner.api_version), R"(,"kind":)", quoted(owner.kind),
                  R"(,"name":)", quoted(owner.name), R"(,"uid":)", quoted(owner.uid),
                  R"(,"controller":true,"blockOwnerDeletion":true})");
}

std::string adoption_patch(const client::ObjectReference& owner) {
    return concat(R"({"metadata":{"ownerReferences":[)", owner_reference_json(owner), "]}}");
}

std::string release_patch(std::string_view owner_uid) {
    return concat(R"({"metadata":{"ownerReferences":[{"$patch":"delete","uid":)", quoted(owner_uid),
                  "}]}}");
}

}   // namespace skiff::controllers
