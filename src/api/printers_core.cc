// Columns of kinds with one or two of their own.
#include <algorithm>
#include <string>

#include "api/json_fields.h"
#include "api/printers_families.h"
#include "base/text.h"

namespace skiff::api {
namespace {

using codec::Arena;
using codec::Json;

Json count(size_t items) { return Json::integer(static_cast<int64_t>(items)); }

Json configmap_data(const Json& map, WallTime, Arena&) {
    return count(field(map, "data").size() + field(map, "binaryData").size());
}

Json secret_data(const Json& secret, WallTime, Arena&) {
    return count(field(secret, "data").size());
}

Json serviceaccount_secrets(const Json& account, WallTime, Arena&) {
    return count(field(account, "secrets").size());
}

Json lease_holder(const Json& lease, WallTime, Arena&) {
    return Json::borrowed(text_of(lease, "spec", "holderIdentity"));
}

Json csr_duration(const Json& request, WallTime, Arena& arena) {
    const Json& seconds = field(request, "spec", "expirationSeconds");
    if (!present(seconds)) return text_or_none({});
    return Json::string(arena, human_duration(std::chrono::seconds{int_or(seconds, 0)}));
}

Json csr_signer(const Json& request, WallTime, Arena&) {
    return text_or_none(text_of(request, "spec", "signerName"));
}

Json csr_condition(const Json& request, WallTime, Arena& arena) {
    const auto conditions = field(request, "status", "conditions").items();
    const auto has = [&](std::string_view type) {
        return std::ranges::any_of(conditions,
                                   [&](const Json& c) { return text_of(c, "type") == type; });
    };
    std::string text = has("Denied") ? "Denied" : has("Approved") ? "Approved" : "Pending";
    if (has("Failed")) text += ",Failed";
    if (!blank(field(request, "status", "certificate"))) text += ",Issued";
    return Json::string(arena, text);
}

const Json& health_of(const Json& component) {
    static const Json none;
    for (const Json& condition : field(component, "conditions").items())
        if (text_of(condition, "type") == "Healthy") return condition;
    return none;
}

Json component_status(const Json& component, WallTime, Arena&) {
    const Json& health = health_of(component);
    if (!present(health)) return Json::borrowed("Unknown");
    return Json::borrowed(text_of(health, "status") == "True" ? "Healthy" : "Unhealthy");
}

Json component_message(const Json& component, WallTime, Arena&) {
    return Json::borrowed(text_of(health_of(component), "message"));
}

Json component_error(const Json& component, WallTime, Arena&) {
    return Json::borrowed(text_of(health_of(component), "error"));
}

constexpr NamedPrinter printers[] = {
    {"component_error", component_error},
    {"component_message", component_message},
    {"component_status", component_status},
    {"configmap_data", configmap_data},
    {"csr_condition", csr_condition},
    {"csr_duration", csr_duration},
    {"csr_signer", csr_signer},
    {"lease_holder", lease_holder},
    {"secret_data", secret_data},
    {"serviceaccount_secrets", serviceaccount_secrets},
};

}   // namespace

std::span<const NamedPrinter> core_printers() { return printers; }

}   // namespace skiff::api
