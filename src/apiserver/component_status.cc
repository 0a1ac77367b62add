#include "apiserver/component_status.h"

namespace skiff::apiserver {

bool serve_component_status(const CallPtr& call, Registry& registry, bool well) {
    if (!call->info.group.empty() || call->info.resource != "componentstatuses") return false;
    std::vector<store::ObjectPtr> objects;
    // etcd-0 is the store, under the name that tools look for.
    for (const std::string_view name : {"controller-manager", "etcd-0", "scheduler"}) {
        Arena arena;
        auto object = Json::object();
        metadata_of(object, arena).set(arena, "name", Json::borrowed(name));
        const bool healthy = well || name == "etcd-0";
        auto condition = Json::object();
        condition.set(arena, "type", Json::borrowed("Healthy"));
        condition.set(arena, "status", Json::borrowed(healthy ? "True" : "False"));
        condition.set(arena, "message",
                      Json::borrowed(healthy ? "ok" : "the server is starting or stopping"));
        auto conditions = Json::array();
        conditions.push(arena, condition);
        object.set(arena, "conditions", conditions);
        objects.push_back(made_object(*call->resource, object));
    }
    registry.answer_made(call, std::move(objects));
    return true;
}

}   // namespace skiff::apiserver
