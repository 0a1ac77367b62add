// A pod's priority is what its class says, never what the pod itself claims; a pod that names no
// class gets the default one's. The classes of the system stay.
#include "apiserver/admission_plugins.h"
#include "apiserver/default_objects.h"
#include "base/text.h"

namespace skiff::apiserver {
namespace {

constexpr std::string_view scheduling = "scheduling.k8s.io";
constexpr std::string_view preempts = "PreemptLowerPriority";

struct Class {
    std::string name;
    int64_t value = 0;
    std::string preemption{preempts};
};

const ServedResource& classes_of(const Admission& admission) {
    const auto* found =
        admission.registry.parts().catalog.find(scheduling, "v1", "priorityclasses");
    ASSERT(found != nullptr);
    return *found;
}

int64_t integer_at(const Json& object, std::string_view key) {
    const auto* value = object.find(key);
    return value && value->is_integer() ? value->as_int() : 0;
}

bool is_default(const Json& priority_class) {
    const auto* value = priority_class.find("globalDefault");
    return value && value->is_bool() && value->as_bool();
}

Class class_of(const Json& object) {
    Class found{.name = std::string{metadata_text(object, "name")},
                .value = integer_at(object, "value")};
    if (const auto policy = object.text_at({"preemptionPolicy"}); !policy.empty())
        found.preemption = policy;
    return found;
}

// The one marked as the default; of several the least.
std::optional<Class> default_class(const Admission& admission) {
    std::optional<Class> found;
    admission.registry.parts()
        .store.view(classes_of(admission).resource)
        .scan("", {}, [&](std::string_view, const store::ObjectPtr& object) {
            const auto document = parse_stored(*object);
            if (!document || !is_default(document->root)) return true;
            auto other = class_of(document->root);
            if (!found || other.value < found->value) found = std::move(other);
            return true;
        });
    return found;
}

Result<Class> class_named(const Admission& admission, std::string_view name) {
    const auto object = admission.registry.find(classes_of(admission), {}, name);
    if (!object)
        return std::unexpected{
            denied(admission, concat("no PriorityClass with name ", name, " was found"))};
    TRY(const auto document, parse_stored(*object));
    return class_of(document.root);
}

Result<> settle_pod(const Admission& admission) {
    auto& [arena, root] = *admission.document;
    auto& spec = root.make_object(arena, "spec");
    Class chosen;
    if (const auto name = spec.text_at({"priorityClassName"}); !name.empty()) {
        TRY(chosen, class_named(admission, name));
    } else if (const auto usual = default_class(admission)) {
        chosen = *usual;
        spec.set(arena, "priorityClassName", Json::string(arena, chosen.name));
    }
    if (const auto* given = spec.find("priority");
        given && given->is_integer() && given->as_int() != chosen.value)
        return std::unexpected{
            denied(admission, concat("the integer value of priority (", given->as_int(),
                                     ") must not be provided in pod spec; priority admission "
                                     "controller computed ",
                                     chosen.value, " from the given PriorityClass name"))};
    if (const auto given = spec.text_at({"preemptionPolicy"});
        !given.empty() && given != chosen.preemption)
        return std::unexpected{
            denied(admission, concat("the string value of PreemptionPolicy (", given,
                                     ") must not be provided in pod spec; priority admission "
                                     "controller computed ",
                                     chosen.preemption, " from the given PriorityClass name"))};
    spec.set_borrowed(arena, "priority", Json::integer(chosen.value));
    spec.set(arena, "preemptionPolicy", Json::string(arena, chosen.preemption));
    return {};
}

// An old client's PUT, which knows neither, takes neither away.
void keep_of_pod(const Admission& admission) {
    auto& [arena, root] = *admission.document;
    const auto* old = admission.old ? admission.old->find("spec") : nullptr;
    if (!old) return;
    auto& spec = root.make_object(arena, "spec");
    for (const std::string_view key : {"priority", "preemptionPolicy"}) {
        const auto* given = spec.find(key);
        const auto* before = old->find(key);
        if ((!given || given->is_null()) && before)
            spec.set_borrowed(arena, key, before->deep_copy(arena));
    }
}

Result<> check_class(const Admission& admission) {
    if (admission.operation == "DELETE") {
        if (!is_system_priority_class(admission.name)) return {};
        return std::unexpected{
            denied(admission, "this is a system priority class and cannot be deleted")};
    }
    if (!admission.document || !is_default(admission.document->root)) return {};
    const auto other = default_class(admission);
    if (!other || other->name == admission.name) return {};
    return std::unexpected{
        denied(admission, concat("PriorityClass ", other->name,
                                 " is already marked as default. Only one default can exist"))};
}

}   // namespace

Result<> priority(Admission& admission) {
    if (!admission.subresource.empty()) return {};
    const auto& kind = *admission.resource.stored;
    if (kind.kind == "PriorityClass" && kind.group == scheduling) return check_class(admission);
    if (kind.kind != "Pod" || !kind.group.empty() || !admission.document) return {};
    if (admission.operation == "CREATE") return settle_pod(admission);
    keep_of_pod(admission);
    return {};
}

}   // namespace skiff::apiserver
