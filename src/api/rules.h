// What no table can say, by kind: functions registered under the schema's `rules` name. One file a
// kind or family beside this one (pod_rules.cc, node_rules.cc …).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "api/schema.h"
#include "base/result.h"
#include "codec/json.h"

namespace skiff::api {

struct Rules {
    // After the table's defaults.
    void (*defaults)(codec::Json& object, codec::Arena& arena) = nullptr;
    // Before create and update: resets what a client may not set (status on create, immutable
    // parts), fills what the server decides (clusterIP aside). `old` is null on create.
    void (*prepare)(codec::Json& object, const codec::Json* old, codec::Arena& arena) = nullptr;
    void (*validate)(const codec::Json& object, const codec::Json* old,
                     std::vector<Cause>& causes) = nullptr;
    // For the status subresource only.
    void (*validate_status)(const codec::Json& object, const codec::Json* old,
                            std::vector<Cause>& causes) = nullptr;
    // For the other subresources that speak the kind itself (pods/ephemeralcontainers, pods/resize,
    // certificatesigningrequests/approval, namespaces/finalize), instead of `validate`.
    void (*validate_subresource)(std::string_view subresource, const codec::Json& object,
                                 const codec::Json& old, std::vector<Cause>& causes) = nullptr;
    // What is allowed but most likely not meant; becomes Warning headers of creates and updates.
    void (*warn)(const codec::Json& object, const codec::Json* old,
                 std::vector<std::string>& warnings) = nullptr;
    // The value of a selectable field that is not its own path (e.g. involvedObject.*); absent:
    // path.
    std::string (*selectable)(const codec::Json& object, std::string_view field) = nullptr;
};
const Rules& rules_of(std::string_view name);   // an empty set of rules for "" and unknown names

}   // namespace skiff::api
