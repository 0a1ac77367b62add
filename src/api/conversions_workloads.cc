// Workloads as they were before apps/v1: selectors that follow from the template, and two fields
// that later versions keep as annotations.
#include <charconv>
#include <optional>

#include "api/conversions_families.h"
#include "api/json_fields.h"
#include "base/text.h"

namespace skiff::api {
namespace {

using codec::Arena;
using codec::Json;

constexpr std::string_view rollback_annotation = "deprecated.deployment.rollback.rollbackTo";
constexpr std::string_view generation_annotation = "deprecated.daemonset.template.generation";

// The template's labels stand in for a selector, and for labels of the object's own.
Result<> selector_from_template(Json& object, const Json*, Arena& arena) {
    const Json labels = field(object, "spec", "template", "metadata", "labels");
    if (blank(labels)) return {};
    Json& spec = object.make_object(arena, "spec");
    if (!present(field(spec, "selector"))) {
        Json& selector = spec.set_borrowed(arena, "selector", Json::object());
        selector.set_borrowed(arena, "matchLabels", labels.deep_copy(arena));
    }
    Json& metadata = object.make_object(arena, "metadata");
    if (blank(field(metadata, "labels")))
        metadata.set_borrowed(arena, "labels", labels.deep_copy(arena));
    return {};
}

void annotate(Json& object, std::string_view name, int64_t value, Arena& arena) {
    object.make_object(arena, "metadata")
        .make_object(arena, "annotations")
        .set_borrowed(arena, name, Json::string(arena, concat(value)));
}

// The number in the annotation, which is taken off; none when it is absent or no number.
std::optional<int64_t> take_annotation(Json& object, std::string_view name) {
    Json* annotations = object.at_path({"metadata", "annotations"});
    const Json* found = annotations ? annotations->find(name) : nullptr;
    if (!found) return {};
    int64_t number = 0;
    const auto text = found->text();
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{} || end != text.data() + text.size()) return {};
    annotations->remove(name);
    if (annotations->empty()) object.find("metadata")->remove("annotations");
    return number;
}

Result<> rollback_to_stored(Json& object, const Json* existing, Arena& arena) {
    if (Json* spec = object.find("spec"); spec && present(field(*spec, "rollbackTo"))) {
        annotate(object, rollback_annotation, int_or(field(*spec, "rollbackTo", "revision"), 0),
                 arena);
        spec->remove("rollbackTo");
    }
    return selector_from_template(object, existing, arena);
}

Result<> rollback_from_stored(Json& object, Arena& arena) {
    const auto revision = take_annotation(object, rollback_annotation);
    if (!revision) return {};
    Json& rollback =
        object.make_object(arena, "spec").set_borrowed(arena, "rollbackTo", Json::object());
    if (*revision != 0) rollback.set_borrowed(arena, "revision", Json::integer(*revision));
    return {};
}

// One pod at a time, where later versions say a quarter.
Result<> deployment_to_stored(Json& object, const Json* existing, Arena& arena) {
    Json& strategy = object.make_object(arena, "spec").make_object(arena, "strategy");
    const auto type = text_of(strategy, "type");
    if (type.empty() || type == "RollingUpdate") {
        Json& rolling = strategy.make_object(arena, "rollingUpdate");
        for (const std::string_view name : {"maxUnavailable", "maxSurge"})
            if (!present(field(rolling, name))) rolling.set_borrowed(arena, name, Json::integer(1));
    }
    return rollback_to_stored(object, existing, arena);
}

Result<> daemon_set_to_stored(Json& object, const Json* existing, Arena& arena) {
    if (Json* spec = object.find("spec")) {
        if (const int64_t number = int_or(field(*spec, "templateGeneration"), 0); number != 0)
            annotate(object, generation_annotation, number, arena);
        object.find("spec")->remove("templateGeneration");
    }
    return selector_from_template(object, existing, arena);
}

Result<> daemon_set_from_stored(Json& object, Arena& arena) {
    if (const auto number = take_annotation(object, generation_annotation))
        object.make_object(arena, "spec")
            .set_borrowed(arena, "templateGeneration", Json::integer(*number));
    return {};
}

constexpr NamedConversion conversions[] = {
    {"daemonset_extensions", {daemon_set_to_stored, daemon_set_from_stored}},
    {"deployment_beta", {rollback_to_stored, rollback_from_stored}},
    {"deployment_extensions", {deployment_to_stored, rollback_from_stored}},
    {"selector_from_template", {selector_from_template, nullptr}},
};

}   // namespace

std::span<const NamedConversion> workload_conversions() { return conversions; }

}   // namespace skiff::api
