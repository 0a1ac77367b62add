// Events, of either group: stored as core/v1.
#include <string>

#include "api/field_errors.h"
#include "api/json_fields.h"
#include "api/kind_rules.h"
#include "api/selectable.h"

namespace skiff::api {
namespace {

using codec::Arena;
using codec::Json;

void prepare(Json& event, const Json*, Arena& arena) {
    // Where no component is named, the reporting controller is it, and the other way round.
    if (present(field(event, "reportingComponent")) || !present(field(event, "source"))) return;
    event.set_borrowed(arena, "reportingComponent", Json::borrowed(""));
}

// An event stands beside its object; those of cluster-wide objects in `default`.
void validate(const Json& event, const Json*, Causes& causes) {
    const auto space = text_of(event, "metadata", "namespace");
    const auto involved = text_of(event, "involvedObject", "namespace");
    const bool fits = involved.empty() ? space.empty() || space == "default" : space == involved;
    const FieldPath object{"involvedObject"};
    if (!fits)
        add_invalid(causes, object.child("namespace"), involved, "does not match event.namespace");
    const Json& series = field(event, "series");
    const FieldPath series_path{"series"};
    if (present(series) && present(field(event, "eventTime")) &&
        !present(field(series, "lastObservedTime")))
        add_required(causes, series_path.child("lastObservedTime"));
}

std::string selectable(const Json& event, std::string_view name) {
    if (name == "source") {
        const auto component = text_of(event, "source", "component");
        return std::string{component.empty() ? text_of(event, "reportingComponent") : component};
    }
    return text_at_path(event, name);
}

}   // namespace

const Rules event_rules{.prepare = prepare, .validate = validate, .selectable = selectable};

}   // namespace skiff::api
