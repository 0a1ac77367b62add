// Environment variables of containers, and references to fields of pods.
#include <algorithm>
#include <array>
#include <string>

#include "api/json_fields.h"
#include "api/names.h"
#include "api/pod_validation.h"
#include "api/quantity.h"
#include "base/text.h"

namespace skiff::api {
namespace {

using codec::Json;
using Names = std::initializer_list<std::string_view>;

constexpr std::string_view env_fields[] = {"metadata.name",
                                           "metadata.namespace",
                                           "metadata.uid",
                                           "spec.nodeName",
                                           "spec.serviceAccountName",
                                           "status.hostIP",
                                           "status.hostIPs",
                                           "status.podIP",
                                           "status.podIPs"};
constexpr std::string_view file_fields[] = {"metadata.annotations", "metadata.labels",
                                            "metadata.name", "metadata.namespace", "metadata.uid"};
constexpr std::string_view container_resources[] = {
    "limits.cpu",   "limits.ephemeral-storage",   "limits.memory",
    "requests.cpu", "requests.ephemeral-storage", "requests.memory"};

bool has(std::span<const std::string_view> names, std::string_view name) {
    return std::ranges::find(names, name) != names.end();
}

// Since 1.32 any printable ASCII but '='.
std::string check_env_name(std::string_view name) {
    const bool printable =
        std::ranges::all_of(name, [](char c) { return c >= ' ' && c <= '~' && c != '='; });
    if (printable) return "";
    return "a valid environment variable name must consist only of printable ASCII characters "
           "other than '='";
}

// "metadata.labels['key']": the path and the key.
std::pair<std::string_view, std::optional<std::string_view>> subscripted(std::string_view path) {
    if (!path.ends_with("']")) return {path, {}};
    const auto open = path.find("['");
    if (open == path.npos || open == 0) return {path, {}};
    return {path.substr(0, open), path.substr(open + 2, path.size() - open - 4)};
}

void validate_reference_name(const Json& reference, const FieldPath& path, Causes& causes) {
    const FieldPath name_path = path.child("name");
    const auto name = text_of(reference, "name");
    if (name.empty()) return add_required(causes, name_path);
    add_unless_ok(causes, name_path, name, check_dns1123_subdomain(name));
}

void validate_key_ref(const Json& reference, const FieldPath& path, Causes& causes) {
    const auto name = text_of(reference, "name");
    add_unless_ok(causes, path.child("name"), name, check_dns1123_subdomain(name));
    const auto key = text_of(reference, "key");
    if (!key.empty())
        add_unless_ok(causes, path.child("key"), key, check_format(Format::ConfigMapKey, key));
}

void validate_value_from(const Json& variable, const FieldPath& path, Causes& causes) {
    const Json& from = field(variable, "valueFrom");
    if (!present(from)) return;
    size_t sources = 0;
    const auto source = [&](std::string_view name) -> const Json* {
        const Json& found = field(from, name);
        sources += present(found);
        return present(found) ? &found : nullptr;
    };
    if (const Json* reference = source("fieldRef"))
        validate_field_ref(*reference, FieldRefUse::Environment, path.child("fieldRef"), causes);
    if (const Json* reference = source("resourceFieldRef"))
        validate_resource_field_ref(*reference, FieldRefUse::Environment,
                                    path.child("resourceFieldRef"), causes);
    if (const Json* reference = source("configMapKeyRef"))
        validate_key_ref(*reference, path.child("configMapKeyRef"), causes);
    if (const Json* reference = source("secretKeyRef"))
        validate_key_ref(*reference, path.child("secretKeyRef"), causes);
    if (sources == 0)
        add_invalid(causes, path, "",
                    "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or "
                    "`secretKeyRef`");
    else if (!text_of(variable, "value").empty())
        add_invalid(causes, path, "", "may not be specified when `value` is not empty");
    else if (sources > 1)
        add_invalid(causes, path, "", "may not have more than one field specified at a time");
}

// What is wrong with the sources as such stands at the list, as upstream has it.
void validate_env_from(const Json& source, const FieldPath& list, const FieldPath& path,
                       Causes& causes) {
    const auto prefix = text_of(source, "prefix");
    if (!prefix.empty())
        add_unless_ok(causes, path.child("prefix"), prefix, check_env_name(prefix));
    size_t sources = 0;
    for (const std::string_view name : {"configMapRef", "secretRef"}) {
        const Json& reference = field(source, name);
        if (!present(reference)) continue;
        ++sources;
        const FieldPath reference_path = path.child(name);
        validate_reference_name(reference, reference_path, causes);
    }
    if (sources == 0)
        add_invalid(causes, list, "", "must specify one of: `configMapRef` or `secretRef`");
    else if (sources > 1)
        add_invalid(causes, list, "", "may not have more than one field specified at a time");
}

void validate_divisor(std::string_view resource, std::string_view text, const FieldPath& path,
                      Causes& causes) {
    const auto divisor = Quantity::parse(text);
    if (text.empty() || !divisor || *divisor == Quantity{}) return;
    const std::string exact = divisor->canonical();
    const auto check = [&](Names allowed, std::string_view detail) {
        if (std::ranges::find(allowed, exact) == allowed.end())
            add_invalid(causes, path.child("divisor"), resource, detail);
    };
    if (resource.ends_with(".cpu"))
        check({"1", "1m"}, "only divisor's values 1m and 1 are supported with the cpu resource");
    else if (resource.ends_with(".memory"))
        check({"1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei"},
              "only divisor's values 1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, 1Pi, 1Ei are "
              "supported with the memory resource");
    else if (resource.ends_with(".ephemeral-storage"))
        check({"1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei"},
              "only divisor's values 1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, 1Pi, 1Ei are "
              "supported with the local ephemeral storage resource");
}

void validate_subscript(std::string_view path_text, std::string_view key, const FieldPath& path,
                        Causes& causes) {
    if (path_text == "metadata.annotations")
        add_unless_ok(causes, path, key, check_qualified_name(lower(key)));
    else if (path_text == "metadata.labels")
        add_unless_ok(causes, path, key, check_qualified_name(key));
    else
        add_invalid(causes, path, path_text, "does not support subscript");
}

}   // namespace

void validate_field_ref(const Json& reference, FieldRefUse use, const FieldPath& path,
                        Causes& causes) {
    const FieldPath field_path = path.child("fieldPath");
    const auto wanted = text_of(reference, "fieldPath");
    if (wanted.empty()) return;   // required, says the table
    const auto version = text_of(reference, "apiVersion");
    if (version != "v1" && !version.empty())
        return add_invalid(
            causes, field_path, wanted,
            concat("error converting fieldPath: unsupported pod version: ", version));
    const auto [name, key] = subscripted(wanted);
    const bool known = has(env_fields, name) || has(file_fields, name);
    if (!known)
        return add_invalid(causes, field_path, wanted,
                           concat("error converting fieldPath: field label not supported: ", name));
    if (key) return validate_subscript(name, *key, path, causes);
    using Allowed = std::span<const std::string_view>;
    const Allowed allowed =
        use == FieldRefUse::Environment ? Allowed{env_fields} : Allowed{file_fields};
    if (!has(allowed, name)) add_not_supported(causes, field_path, name, allowed);
}

void validate_resource_field_ref(const Json& reference, FieldRefUse use, const FieldPath& path,
                                 Causes& causes) {
    if (use == FieldRefUse::File && text_of(reference, "containerName").empty())
        add_required(causes, path.child("containerName"));
    const auto resource = text_of(reference, "resource");
    if (resource.empty()) return;   // required, says the table
    const bool huge_pages =
        resource.starts_with("limits.hugepages-") || resource.starts_with("requests.hugepages-");
    if (!has(container_resources, resource) && !huge_pages)
        add_not_supported(causes, path.child("resource"), resource, std::span{container_resources});
    else
        validate_divisor(resource, text_of(reference, "divisor"), path, causes);
}

void validate_env(const Json& container, const FieldPath& path, Causes& causes) {
    const auto variables = field(container, "env").items();
    for (size_t i = 0; i < variables.size(); ++i) {
        const FieldPath variable_path = path.child("env", i);
        const auto name = text_of(variables[i], "name");
        if (!name.empty())
            add_unless_ok(causes, variable_path.child("name"), name, check_env_name(name));
        const FieldPath from_path = variable_path.child("valueFrom");
        validate_value_from(variables[i], from_path, causes);
    }
    const auto sources = field(container, "envFrom").items();
    const FieldPath list = path.child("envFrom");
    for (size_t i = 0; i < sources.size(); ++i) {
        const FieldPath source_path = path.child("envFrom", i);
        validate_env_from(sources[i], list, source_path, causes);
    }
}

}   // namespace skiff::api
