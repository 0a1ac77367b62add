// The columns of what makes pods from a template.
#include <map>
#include <string>

#include "api/json_fields.h"
#include "api/printers_families.h"
#include "api/selectors.h"
#include "base/text.h"

namespace skiff::api {
namespace {

using codec::Arena;
using codec::Json;

// "a,b": one member of each of the template's containers.
Json of_containers(const Json& pod_template, std::string_view name, Arena& arena) {
    std::string text;
    for (const Json& container : field(pod_template, "spec", "containers").items())
        append(text, text.empty() ? "" : ",", text_of(container, name));
    return Json::string(arena, text);
}

// "a=1,b=2", sorted by key.
Json pairs(const Json& labels, Arena& arena) {
    std::map<std::string_view, std::string_view> sorted;
    for (const auto& [key, value] : labels.members()) sorted.emplace(key, value.text());
    std::string text;
    for (const auto& [key, value] : sorted) append(text, text.empty() ? "" : ",", key, "=", value);
    return Json::string(arena, text.empty() ? "<none>" : text);
}

Json template_containers(const Json& object, WallTime, Arena& arena) {
    return of_containers(field(object, "spec", "template"), "name", arena);
}

Json template_images(const Json& object, WallTime, Arena& arena) {
    return of_containers(field(object, "spec", "template"), "image", arena);
}

Json template_node_selector(const Json& object, WallTime, Arena& arena) {
    return pairs(field(object, "spec", "template", "spec", "nodeSelector"), arena);
}

Json podtemplate_containers(const Json& object, WallTime, Arena& arena) {
    return of_containers(field(object, "template"), "name", arena);
}

Json podtemplate_images(const Json& object, WallTime, Arena& arena) {
    return of_containers(field(object, "template"), "image", arena);
}

Json podtemplate_labels(const Json& object, WallTime, Arena& arena) {
    return pairs(field(object, "template", "metadata", "labels"), arena);
}

Json label_selector(const Json& object, WallTime, Arena& arena) {
    const Json& selector = field(object, "spec", "selector");
    if (!present(selector)) return Json::borrowed("<none>");
    const auto parsed = LabelSelector::from_object(selector);
    if (!parsed) return Json::borrowed("<error>");
    const std::string text = parsed->text();
    return Json::string(arena, text.empty() ? "<none>" : text);
}

Json map_selector(const Json& object, WallTime, Arena& arena) {
    return pairs(field(object, "spec", "selector"), arena);
}

// "statefulset.apps/web": who controls it.
Json controller_reference(const Json& object, WallTime, Arena& arena) {
    for (const Json& owner : field(object, "metadata", "ownerReferences").items()) {
        if (!truth(field(owner, "controller"))) continue;
        std::string text = lower(text_of(owner, "kind"));
        const auto version = text_of(owner, "apiVersion");
        if (const auto slash = version.find('/'); slash != version.npos)
            append(text, ".", version.substr(0, slash));
        return Json::string(arena, concat(text, "/", text_of(owner, "name")));
    }
    return Json::borrowed("<none>");
}

constexpr NamedPrinter printers[] = {
    {"controller_reference", controller_reference},
    {"label_selector", label_selector},
    {"map_selector", map_selector},
    {"podtemplate_containers", podtemplate_containers},
    {"podtemplate_images", podtemplate_images},
    {"podtemplate_labels", podtemplate_labels},
    {"template_containers", template_containers},
    {"template_images", template_images},
    {"template_node_selector", template_node_selector},
};

}   // namespace

std::span<const NamedPrinter> workload_printers() { return printers; }

}   // namespace skiff::api
