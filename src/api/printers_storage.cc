// The columns of volumes, claims, classes, drivers and quotas.
#include <map>
#include <string>

#include "api/json_fields.h"
#include "api/printers_families.h"
#include "base/text.h"

namespace skiff::api {
namespace {

using codec::Arena;
using codec::Json;

constexpr std::string_view class_annotation = "volume.beta.kubernetes.io/storage-class";
constexpr std::string_view default_annotations[] = {
    "storageclass.kubernetes.io/is-default-class",
    "storageclass.beta.kubernetes.io/is-default-class"};

void add_to(std::string& list, std::string_view item, std::string_view between = ",") {
    append(list, list.empty() ? "" : between, item);
}

std::string short_modes(const Json& modes) {
    constexpr std::pair<std::string_view, std::string_view> known[] = {
        {"ReadWriteOnce", "RWO"},
        {"ReadOnlyMany", "ROX"},
        {"ReadWriteMany", "RWX"},
        {"ReadWriteOncePod", "RWOP"},
    };
    std::string text;
    for (const auto& [name, abbreviation] : known)
        if (contains(modes, name)) add_to(text, abbreviation);
    return text;
}

std::string_view phase_or_terminating(const Json& object) {
    if (present(field(object, "metadata", "deletionTimestamp"))) return "Terminating";
    return text_of(object, "status", "phase");
}

Json access_modes(const Json& volume, WallTime, Arena& arena) {
    return Json::string(arena, short_modes(field(volume, "spec", "accessModes")));
}

Json volume_phase(const Json& volume, WallTime, Arena&) {
    return Json::borrowed(phase_or_terminating(volume));
}

Json volume_claim(const Json& volume, WallTime, Arena& arena) {
    const Json& claim = field(volume, "spec", "claimRef");
    if (!present(claim)) return Json::borrowed("");
    return Json::string(arena, concat(text_of(claim, "namespace"), "/", text_of(claim, "name")));
}

// The annotation is how the class was named before there was a field.
Json storage_class_of(const Json& object, WallTime, Arena&) {
    const Json& old = field(object, "metadata", "annotations", class_annotation);
    return Json::borrowed(old.is_string() ? old.text()
                                          : text_of(object, "spec", "storageClassName"));
}

Json attributes_class_of(const Json& object, WallTime, Arena&) {
    const Json& name = field(object, "spec", "volumeAttributesClassName");
    return Json::borrowed(name.is_string() ? name.text() : "<unset>");
}

Json volume_mode(const Json& object, WallTime, Arena&) {
    const Json& mode = field(object, "spec", "volumeMode");
    return Json::borrowed(mode.is_string() ? mode.text() : "<unset>");
}

Json claim_phase(const Json& claim, WallTime, Arena&) {
    return Json::borrowed(phase_or_terminating(claim));
}

// What a claim has is known once it is bound.
Json claim_capacity(const Json& claim, WallTime, Arena&) {
    if (text_of(claim, "spec", "volumeName").empty()) return Json::borrowed("");
    const Json& size = field(claim, "status", "capacity", "storage");
    return Json::borrowed(size.is_string() ? size.text() : "0");
}

Json claim_access_modes(const Json& claim, WallTime, Arena& arena) {
    if (text_of(claim, "spec", "volumeName").empty()) return Json::borrowed("");
    return Json::string(arena, short_modes(field(claim, "status", "accessModes")));
}

Json storage_class_name(const Json& object, WallTime, Arena& arena) {
    const auto name = text_of(object, "metadata", "name");
    for (const auto annotation : default_annotations)
        if (text_of(object, "metadata", "annotations", annotation) == "true")
            return Json::string(arena, concat(name, " (default)"));
    return Json::borrowed(name);
}

Json storage_class_expansion(const Json& object, WallTime, Arena&) {
    return Json::boolean(truth(field(object, "allowVolumeExpansion")));
}

Json csidriver_token_requests(const Json& driver, WallTime, Arena& arena) {
    std::string text;
    for (const Json& request : field(driver, "spec", "tokenRequests").items())
        add_to(text, text_of(request, "audience"));
    return Json::string(arena, text.empty() ? "<unset>" : text);
}

Json csidriver_modes(const Json& driver, WallTime, Arena& arena) {
    std::string text;
    for (const Json& mode : field(driver, "spec", "volumeLifecycleModes").items())
        add_to(text, mode.text());
    return Json::string(arena, text.empty() ? "<none>" : text);
}

Json csinode_drivers(const Json& node, WallTime, Arena&) {
    return Json::integer(static_cast<int64_t>(field(node, "spec", "drivers").size()));
}

// "pods: 1/10, services: 0/5": used of hard, limits and the rest apart.
Json quota_column(const Json& quota, bool limits, Arena& arena) {
    std::map<std::string_view, std::string> sorted;
    for (const auto& [resource, hard] : field(quota, "status", "hard").members()) {
        if (resource.starts_with("limits") != limits) continue;
        const auto used = text_of(quota, "status", "used", resource);
        sorted.emplace(resource,
                       concat(resource, ": ", used.empty() ? "0" : used, "/", hard.text()));
    }
    std::string text;
    for (const auto& [resource, item] : sorted) add_to(text, item, ", ");
    return Json::string(arena, text);
}

Json quota_requests(const Json& quota, WallTime, Arena& arena) {
    return quota_column(quota, false, arena);
}

Json quota_limits(const Json& quota, WallTime, Arena& arena) {
    return quota_column(quota, true, arena);
}

constexpr NamedPrinter printers[] = {
    {"access_modes", access_modes},
    {"attributes_class_of", attributes_class_of},
    {"claim_access_modes", claim_access_modes},
    {"claim_capacity", claim_capacity},
    {"claim_phase", claim_phase},
    {"csidriver_modes", csidriver_modes},
    {"csidriver_token_requests", csidriver_token_requests},
    {"csinode_drivers", csinode_drivers},
    {"quota_limits", quota_limits},
    {"quota_requests", quota_requests},
    {"storage_class_expansion", storage_class_expansion},
    {"storage_class_name", storage_class_name},
    {"storage_class_of", storage_class_of},
    {"volume_claim", volume_claim},
    {"volume_mode", volume_mode},
    {"volume_phase", volume_phase},
};

}   // namespace

std::span<const NamedPrinter> storage_printers() { return printers; }

}   // namespace skiff::api
