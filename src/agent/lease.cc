#include "agent/lease.h"

#include "base/text.h"
#include "codec/json.h"

namespace skiff::agent {

std::string lease_object(std::string_view node, std::string_view node_uid, WallTime now) {
    using codec::Json;
    codec::Arena arena;
    const auto set = [&](Json& object, std::string_view key, std::string_view value) {
        object.set(arena, key, Json::string(arena, value));
    };
    Json lease = Json::object();
    set(lease, "apiVersion", "coordination.k8s.io/v1");
    set(lease, "kind", "Lease");
    Json& metadata = lease.make_object(arena, "metadata");
    set(metadata, "name", node);
    set(metadata, "namespace", lease_namespace);
    if (!node_uid.empty()) {   // goes with its node
        Json owner = Json::object();
        set(owner, "apiVersion", "v1");
        set(owner, "kind", "Node");
        set(owner, "name", node);
        set(owner, "uid", node_uid);
        metadata.make_array(arena, "ownerReferences").push(arena, owner);
    }
    Json& spec = lease.make_object(arena, "spec");
    set(spec, "holderIdentity", node);
    spec.set(arena, "leaseDurationSeconds", Json::integer(lease_duration_seconds));
    set(spec, "renewTime", rfc3339_micro(now));
    return codec::to_json(lease);
}

std::string lease_renewal_patch(WallTime now) {
    return concat(R"({"spec":{"renewTime":")", rfc3339_micro(now), R"("}})");
}

}   // namespace skiff::agent
