#include "api/pod_defaults.h"

#include <string>

#include "api/json_fields.h"
#include "api/quantity.h"

namespace skiff::api {
namespace {

using codec::Arena;
using codec::Json;

constexpr std::string_view container_lists[] = {"containers", "initContainers",
                                                "ephemeralContainers"};

std::span<Json> items_of(Json& object, std::string_view name) {
    Json* list = object.is_object() ? object.find(name) : nullptr;
    return list ? list->items() : std::span<Json>{};
}

void default_pull_policies(Json& spec, Arena& arena) {
    for (const auto list : container_lists)
        for (Json& container : items_of(spec, list))
            if (blank(field(container, "imagePullPolicy")))
                container.set_borrowed(
                    arena, "imagePullPolicy",
                    Json::borrowed(default_pull_policy(text_of(container, "image"))));
}

// A volume that says nothing but its name is an empty folder.
void default_volume_sources(Json& spec, Arena& arena) {
    for (Json& volume : items_of(spec, "volumes")) {
        bool has_source = false;
        for (const auto& member : volume.members())
            has_source |= member.key != "name" && present(member.value);
        if (!has_source) volume.set_borrowed(arena, "emptyDir", Json::object());
    }
}

void requests_from_limits(Json& holder, Arena& arena) {
    Json* resources = holder.find("resources");
    if (!resources || blank(field(*resources, "limits"))) return;
    const Json limits = field(*resources, "limits");   // by value: members move when one is added
    Json& requests = resources->make_object(arena, "requests");
    for (const auto& limit : limits.members())
        if (!present(field(requests, limit.key))) requests.set(arena, limit.key, limit.value);
}

void default_host_ports(Json& spec, Arena& arena) {
    for (const auto list : {"containers", "initContainers"})
        for (Json& container : items_of(spec, list))
            for (Json& port : items_of(container, "ports"))
                if (int_or(field(port, "hostPort"), 0) == 0 &&
                    present(field(port, "containerPort")))
                    port.set_borrowed(arena, "hostPort", field(port, "containerPort"));
}

// The sum over containers of cpu or memory, as far as QoS is concerned.
struct Totals {
    Quantity cpu;
    Quantity memory;
    bool has_cpu = false;
    bool has_memory = false;

    bool any() const { return has_cpu || has_memory; }
    bool both() const { return has_cpu && has_memory; }
    void add(const Json& list) {
        add(list, "cpu", cpu, has_cpu);
        add(list, "memory", memory, has_memory);
    }
    static void add(const Json& list, std::string_view name, Quantity& sum, bool& seen) {
        const auto amount = Quantity::parse(text_of(list, name));
        if (!amount || !(*amount > Quantity{})) return;
        sum = sum + *amount;
        seen = true;
    }
};

}   // namespace

std::string_view default_pull_policy(std::string_view image) {
    constexpr std::string_view unless_there = "IfNotPresent";
    if (image.empty()) return unless_there;
    const auto digest = image.find('@');
    const std::string_view name = image.substr(0, digest);
    const auto slash = name.rfind('/');
    const auto colon = name.find(':', slash == name.npos ? 0 : slash);
    if (colon == name.npos) return digest == image.npos ? "Always" : unless_there;
    return name.substr(colon + 1) == "latest" ? "Always" : unless_there;
}

void default_pod_spec(Json& spec, Arena& arena) {
    default_pull_policies(spec, arena);
    default_volume_sources(spec, arena);
    // serviceAccount is the name of old: both always say the same.
    const auto name = text_of(spec, "serviceAccountName");
    const auto old_name = text_of(spec, "serviceAccount");
    if (!name.empty() && old_name != name)
        spec.set_borrowed(arena, "serviceAccount", field(spec, "serviceAccountName"));
    else if (name.empty() && !old_name.empty())
        spec.set_borrowed(arena, "serviceAccountName", field(spec, "serviceAccount"));
}

void default_pod(Json& pod, Arena& arena) {
    Json* spec = pod.is_object() ? pod.find("spec") : nullptr;
    if (!spec || !spec->is_object()) return;
    default_pod_spec(*spec, arena);
    for (const auto list : {"containers", "initContainers"})
        for (Json& container : items_of(*spec, list)) requests_from_limits(container, arena);
    requests_from_limits(*spec, arena);
    if (!present(field(*spec, "enableServiceLinks")))
        spec->set_borrowed(arena, "enableServiceLinks", Json::boolean(true));
    if (truth(field(*spec, "hostNetwork"))) default_host_ports(*spec, arena);
}

std::string_view qos_class_of(const Json& pod_spec) {
    Totals requests;
    Totals limits;
    bool guaranteed = true;
    if (const Json& whole = field(pod_spec, "resources"); !blank(whole)) {
        requests.add(field(whole, "requests"));
        limits.add(field(whole, "limits"));
        guaranteed = limits.both();
    } else {
        for (const auto list : {"containers", "initContainers"}) {
            for (const Json& container : field(pod_spec, list).items()) {
                Totals own;
                own.add(field(container, "resources", "limits"));
                guaranteed &= own.both();
                requests.add(field(container, "resources", "requests"));
                limits.add(field(container, "resources", "limits"));
            }
        }
    }
    if (!requests.any() && !limits.any()) return "BestEffort";
    if (guaranteed && requests.cpu == limits.cpu && requests.memory == limits.memory)
        return "Guaranteed";
    return "Burstable";
}

}   // namespace skiff::api
