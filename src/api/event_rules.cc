// Events, of either group: stored as core/v1.
#include <string>

#include "api/field_errors.h"
#include "api/json_fields.h"
#include "api/kind_rules.h"
#include "api/names.h"
#include "api/selectable.h"
#include "base/text.h"

namespace skiff::api {
namespace {

using codec::Json;

constexpr size_t name_characters_max = 128;
constexpr size_t note_characters_max = 1024;

// What an event tells in its newer form, which has eventTime.
void require_text(const Json& event, std::string_view name, Causes& causes) {
    const FieldPath path{name};
    const auto text = text_of(event, name);
    if (text.empty()) add_required(causes, path);
    if (text.size() > name_characters_max)
        add_invalid(causes, path, "",
                    concat("can have at most ", name_characters_max, " characters"));
}

void validate_newer(const Json& event, Causes& causes) {
    const auto component = text_of(event, "reportingComponent");
    const FieldPath path{"reportingComponent"};
    if (component.empty()) add_required(causes, path);
    add_unless_ok(causes, path, component, check_qualified_name(component));
    for (const std::string_view name : {"reportingInstance", "action", "reason"})
        require_text(event, name, causes);
    if (text_of(event, "message").size() > note_characters_max)
        add_invalid(causes, FieldPath{"message"}, "",
                    concat("can have at most ", note_characters_max, " characters"));
}

// An event stands beside its object; those of cluster-wide objects in `default`.
void validate(const Json& event, const Json*, Causes& causes) {
    const auto space = text_of(event, "metadata", "namespace");
    const auto involved = text_of(event, "involvedObject", "namespace");
    const bool newer = present(field(event, "eventTime"));
    const bool clusters = space.empty() || space == "default" || (newer && space == "kube-system");
    const bool fits = involved.empty() ? clusters : newer || space == involved;
    const FieldPath object{"involvedObject"};
    if (!fits)
        add_invalid(causes, object.child("namespace"), involved, "does not match event.namespace");
    if (newer) validate_newer(event, causes);
}

std::string selectable(const Json& event, std::string_view name) {
    if (name == "source") {
        const auto component = text_of(event, "source", "component");
        return std::string{component.empty() ? text_of(event, "reportingComponent") : component};
    }
    return text_at_path(event, name);
}

}   // namespace

const Rules event_rules{.validate = validate, .selectable = selectable};

}   // namespace skiff::api
