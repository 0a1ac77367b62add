// The columns of events, in the words of core/v1 and of events.k8s.io.
#include <string>

#include "api/json_fields.h"
#include "api/printers_families.h"
#include "base/text.h"

namespace skiff::api {
namespace {

using codec::Arena;
using codec::Json;

const Json& either(const Json& event, std::string_view core, std::string_view newer) {
    const Json& value = field(event, core);
    return present(value) ? value : field(event, newer);
}

std::string first_seen(const Json& event, WallTime now) {
    const auto first = either(event, "firstTimestamp", "deprecatedFirstTimestamp").text();
    return age_of(first.empty() ? text_of(event, "eventTime") : first, now);
}

Json event_first_seen(const Json& event, WallTime now, Arena& arena) {
    return Json::string(arena, first_seen(event, now));
}

Json event_last_seen(const Json& event, WallTime now, Arena& arena) {
    if (const Json& series = field(event, "series"); present(series))
        return Json::string(arena, age_of(text_of(series, "lastObservedTime"), now));
    const auto last = either(event, "lastTimestamp", "deprecatedLastTimestamp").text();
    return Json::string(arena, last.empty() ? first_seen(event, now) : age_of(last, now));
}

Json event_count(const Json& event, WallTime, Arena&) {
    if (const Json& series = field(event, "series"); present(series))
        return Json::integer(int_or(field(series, "count"), 0));
    const int64_t count = int_or(either(event, "count", "deprecatedCount"), 0);
    return Json::integer(count == 0 ? 1 : count);
}

Json event_object(const Json& event, WallTime, Arena& arena) {
    const Json& object = either(event, "involvedObject", "regarding");
    const auto name = text_of(object, "name");
    std::string text = lower(text_of(object, "kind"));
    if (!name.empty()) append(text, "/", name);
    return Json::string(arena, text);
}

Json event_subobject(const Json& event, WallTime, Arena&) {
    return Json::borrowed(text_of(either(event, "involvedObject", "regarding"), "fieldPath"));
}

Json event_source(const Json& event, WallTime, Arena& arena) {
    const Json& source = either(event, "source", "deprecatedSource");
    auto component = text_of(source, "component");
    if (component.empty())
        component = either(event, "reportingComponent", "reportingController").text();
    auto instance = text_of(source, "host");
    if (instance.empty()) instance = text_of(event, "reportingInstance");
    if (instance.empty()) return Json::borrowed(component);
    return Json::string(arena, concat(component, ", ", instance));
}

Json event_message(const Json& event, WallTime, Arena&) {
    return Json::borrowed(trim(either(event, "message", "note").text()));
}

constexpr NamedPrinter printers[] = {
    {"event_count", event_count},         {"event_first_seen", event_first_seen},
    {"event_last_seen", event_last_seen}, {"event_message", event_message},
    {"event_object", event_object},       {"event_source", event_source},
    {"event_subobject", event_subobject},
};

}   // namespace

std::span<const NamedPrinter> event_printers() { return printers; }

}   // namespace skiff::api
