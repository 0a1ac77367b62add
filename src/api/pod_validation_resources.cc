// Requests and limits.
#include <algorithm>
#include <set>
#include <string>

#include "api/json_fields.h"
#include "api/names.h"
#include "api/pod_validation.h"
#include "api/quantity.h"
#include "base/text.h"

namespace skiff::api {
namespace {

using codec::Json;

bool is_huge_pages(std::string_view name) { return name.starts_with("hugepages-"); }
bool is_standard(std::string_view name) {
    return name == "cpu" || name == "memory" || name == "ephemeral-storage" || is_huge_pages(name);
}
// Kubernetes' own resources stand without a domain or under its own; others are extended ones.
bool is_extended(std::string_view name) {
    return name.find('/') != name.npos && name.find("kubernetes.io/") == name.npos &&
           !name.starts_with("requests.");
}
bool may_be_overcommitted(std::string_view name) {
    return !is_extended(name) && !is_huge_pages(name);
}

void validate_resource_name(std::string_view name, const FieldPath& path, Causes& causes) {
    if (const auto problem = check_qualified_name(name); !problem.empty())
        return add_invalid(causes, path, name, problem);
    if (name.find('/') != name.npos || is_standard(name)) return;
    add_invalid(causes, path, name, "must be a standard resource type or fully qualified");
    add_invalid(causes, path, name, "must be a standard resource for containers");
}

void validate_amount(std::string_view name, std::string_view text, const Quantity& amount,
                     const FieldPath& path, Causes& causes) {
    if (amount.is_negative()) add_invalid(causes, path, text, not_negative_message);
    if (is_extended(name) && amount.milli_value() % 1000 != 0)
        add_invalid(causes, path, text, "must be an integer");
}

void validate_list(const Json& list, const FieldPath& path, Causes& causes) {
    for (const auto& [name, value] : list.members()) {
        const FieldPath entry = path.key(name);
        validate_resource_name(name, entry, causes);
        if (const auto amount = Quantity::parse(value.text()))
            validate_amount(name, value.text(), *amount, entry, causes);
    }
}

// A request against its limit.
void validate_pair(std::string_view name, const Json& request, const Json& limit,
                   const FieldPath& path, Causes& causes) {
    const auto asked = Quantity::parse(request.text());
    const auto allowed = Quantity::parse(limit.text());
    if (!asked || !allowed) return;
    if (!may_be_overcommitted(name) && *asked != *allowed)
        add_invalid(causes, path, asked->canonical(),
                    concat("must be equal to ", name, " limit of ", allowed->canonical()));
    else if (*asked > *allowed)
        add_invalid(
            causes, path, asked->canonical(),
            concat("must be less than or equal to ", name, " limit of ", allowed->canonical()));
}

void validate_claims(const Json& resources, const PodFacts& pod, const FieldPath& path,
                     Causes& causes) {
    const auto claims = field(resources, "claims").items();
    std::set<std::string_view> known;
    for (const Json& claim : field(pod.spec, "resourceClaims").items())
        known.insert(text_of(claim, "name"));
    for (size_t i = 0; i < claims.size(); ++i) {
        const auto name = text_of(claims[i], "name");
        const FieldPath claim = path.child("claims", i);
        if (name.empty()) continue;
        if (!known.contains(name)) add_not_found(causes, claim.child("name"), name);
    }
}

void validate_lists(const Json& resources, const FieldPath& path, Causes& causes) {
    const Json& limits = field(resources, "limits");
    const Json& requests = field(resources, "requests");
    const FieldPath limits_path = path.child("limits");
    const FieldPath requests_path = path.child("requests");
    validate_list(limits, limits_path, causes);
    validate_list(requests, requests_path, causes);
    for (const auto& [name, value] : requests.members()) {
        const Json& limit = field(limits, name);
        if (present(limit))
            validate_pair(name, value, limit, requests_path, causes);
        else if (!may_be_overcommitted(name))
            add_required(causes, limits_path, "Limit must be set for non overcommitable resources");
    }
}

bool names_huge_pages(const Json& list) {
    return std::ranges::any_of(list.members(),
                               [](const auto& entry) { return is_huge_pages(entry.key); });
}

}   // namespace

void validate_resources(const Json& resources, const PodFacts& pod, const FieldPath& path,
                        Causes& causes) {
    if (!present(resources)) return;
    validate_lists(resources, path, causes);
    const Json& limits = field(resources, "limits");
    const Json& requests = field(resources, "requests");
    const auto either = [&](std::string_view name) {
        return present(field(limits, name)) || present(field(requests, name));
    };
    if ((names_huge_pages(limits) || names_huge_pages(requests)) && !either("cpu") &&
        !either("memory"))
        add_forbidden(causes, path, "HugePages require cpu or memory");
    validate_claims(resources, pod, path, causes);
}

void validate_pod_level_resources(const Json& spec, const FieldPath& path, Causes& causes) {
    const Json& resources = field(spec, "resources");
    if (!present(resources)) return;
    const FieldPath resources_path = path.child("resources");
    validate_lists(resources, resources_path, causes);
    if (!blank(field(resources, "claims")))
        add_forbidden(causes, resources_path.child("claims"),
                      "claims cannot be set for Resources at pod-level");
}

}   // namespace skiff::api
