// What is allowed in a pod but most likely not meant, or soon not allowed: Warning headers.
#include <map>
#include <set>
#include <string>

#include "api/json_fields.h"
#include "api/pod_validation.h"
#include "api/quantity.h"
#include "base/text.h"

namespace skiff::api {
namespace {

using codec::Json;
using Warnings = std::vector<std::string>;

struct Replaced {
    std::string_view key;
    std::string_view since;
    std::string_view instead;
};
constexpr Replaced node_labels[] = {
    {"beta.kubernetes.io/arch", "v1.14", "kubernetes.io/arch"},
    {"beta.kubernetes.io/os", "v1.14", "kubernetes.io/os"},
    {"failure-domain.beta.kubernetes.io/region", "v1.17", "topology.kubernetes.io/region"},
    {"failure-domain.beta.kubernetes.io/zone", "v1.17", "topology.kubernetes.io/zone"},
    {"beta.kubernetes.io/instance-type", "v1.17", "node.kubernetes.io/instance-type"},
};

// Volumes that are or soon will be without function.
constexpr std::pair<std::string_view, std::string_view> old_volumes[] = {
    {"gitRepo", "deprecated in v1.11, and disabled by default in v1.33+"},
    {"glusterfs", "deprecated in v1.25, non-functional in v1.26+"},
    {"scaleIO", "deprecated in v1.16, non-functional in v1.22+"},
    {"flocker", "deprecated in v1.22, non-functional in v1.25+"},
    {"storageos", "deprecated in v1.22, non-functional in v1.25+"},
    {"quobyte", "deprecated in v1.22, non-functional in v1.25+"},
    {"cephfs", "deprecated in v1.28, non-functional in v1.31+"},
    {"rbd", "deprecated in v1.28, non-functional in v1.31+"},
};

void warn(Warnings& warnings, const FieldPath& path, std::string_view text) {
    warnings.push_back(concat(path.text(), ": ", text));
}

void warn_of_node_selector(const Json& spec, const FieldPath& path, Warnings& warnings) {
    for (const auto& [key, value] : field(spec, "nodeSelector").members())
        for (const Replaced& label : node_labels)
            if (key == label.key)
                warn(warnings, path.child("nodeSelector", key),
                     concat("deprecated since ", label.since, "; use \"", label.instead,
                            "\" instead"));
}

void warn_of_volumes(const Json& spec, const FieldPath& path, Warnings& warnings) {
    const auto volumes = field(spec, "volumes").items();
    for (size_t i = 0; i < volumes.size(); ++i) {
        const FieldPath volume = path.child("volumes", i);
        for (const auto& [name, text] : old_volumes)
            if (present(field(volumes[i], name))) warn(warnings, volume.child(name), text);
    }
}

void warn_of_pull_secrets(const Json& spec, const FieldPath& path, Warnings& warnings) {
    const auto secrets = field(spec, "imagePullSecrets").items();
    std::set<std::string_view> names;
    for (size_t i = 0; i < secrets.size(); ++i) {
        const FieldPath entry = path.child("imagePullSecrets", i);
        const auto name = text_of(secrets[i], "name");
        if (name.empty())
            warn(warnings, entry.child("name"), "invalid empty name \"\"");
        else if (!names.insert(name).second)
            warn(warnings, entry.child("name"), concat("duplicate name \"", name, "\""));
    }
}

void warn_of_env(const Json& container, const FieldPath& path, Warnings& warnings) {
    const auto variables = field(container, "env").items();
    std::map<std::string_view, const Json*> seen;
    for (size_t i = 0; i < variables.size(); ++i) {
        const auto name = text_of(variables[i], "name");
        const auto [before, is_new] = seen.emplace(name, &variables[i]);
        if (is_new) continue;
        // Taking up one's own earlier value is a way to append to it.
        const bool extends =
            text_of(variables[i], "value").find(concat("$(", name, ")")) != std::string_view::npos;
        if (!extends)
            warn(warnings, path.child("env", i),
                 concat("hides previous definition of \"", name,
                        "\", which may be dropped when using apply"));
        before->second = &variables[i];
    }
}

// A container's port that says again what another of it says.
void warn_of_ports(const Json& container, const FieldPath& path, Warnings& warnings) {
    const auto ports = field(container, "ports").items();
    std::map<std::string, size_t> seen;
    for (size_t i = 0; i < ports.size(); ++i) {
        const std::string key =
            concat(int_or(field(ports[i], "containerPort"), 0), "/", text_of(ports[i], "protocol"),
                   "/", int_or(field(ports[i], "hostPort"), 0), "/", text_of(ports[i], "hostIP"));
        const auto [before, is_new] = seen.emplace(key, i);
        if (is_new) continue;
        const FieldPath first = path.child("ports", before->second);
        warn(warnings, path.child("ports", i),
             concat("duplicate port definition with ", first.text()));
    }
}

void warn_of_resources(const Json& container, const FieldPath& path, Warnings& warnings) {
    const FieldPath resources = path.child("resources");
    for (const std::string_view list : {"limits", "requests"}) {
        for (const std::string_view name : {"memory", "ephemeral-storage"}) {
            const auto text = text_of(container, "resources", list, name);
            const auto amount = Quantity::parse(text);
            if (!text.empty() && amount && amount->milli_value() % 1000 != 0)
                warn(warnings, resources.child(list, name),
                     concat("fractional byte value \"", text, "\" is invalid, must be an integer"));
        }
    }
}

}   // namespace

void warn_of_pod(const Json& pod, const Json*, Warnings& warnings) {
    const Json& spec = field(pod, "spec");
    const FieldPath path{"spec"};
    warn_of_node_selector(spec, path, warnings);
    warn_of_volumes(spec, path, warnings);
    warn_of_pull_secrets(spec, path, warnings);
    for (const std::string_view list : {"initContainers", "containers"}) {
        const auto containers = field(spec, list).items();
        for (size_t i = 0; i < containers.size(); ++i) {
            const FieldPath container = path.child(list, i);
            warn_of_env(containers[i], container, warnings);
            warn_of_ports(containers[i], container, warnings);
            warn_of_resources(containers[i], container, warnings);
        }
    }
    if (int_or(field(spec, "terminationGracePeriodSeconds"), 0) < 0)
        warn(warnings, path.child("terminationGracePeriodSeconds"),
             "must be >= 0; negative values are invalid and will be treated as 1");
}

}   // namespace skiff::api
