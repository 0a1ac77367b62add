// Containers of the three kinds.
#include <algorithm>
#include <set>
#include <string>

#include "api/json_fields.h"
#include "api/names.h"
#include "api/pod_validation.h"
#include "base/text.h"

namespace skiff::api {
namespace {

using codec::Json;

void validate_image(const Json& container, const FieldPath& path, Causes& causes) {
    const auto image = text_of(container, "image");
    if (image.empty())
        add_required(causes, path.child("image"));
    else if (trim(image) != image)
        add_invalid(causes, path.child("image"), image,
                    "must not have leading or trailing whitespace");
}

void validate_ports(const Json& container, const PodFacts& pod, const FieldPath& path,
                    Causes& causes) {
    const auto ports = field(container, "ports").items();
    std::set<std::string_view> names;
    for (size_t i = 0; i < ports.size(); ++i) {
        const FieldPath port_path = path.child("ports", i);
        if (const auto name = text_of(ports[i], "name"); !name.empty()) {
            const auto problem = check_format(Format::PortName, name);
            add_unless_ok(causes, port_path.child("name"), name, problem);
            if (problem.empty() && !names.insert(name).second)
                add_duplicate(causes, port_path.child("name"), name);
        }
        const int64_t number = int_or(field(ports[i], "containerPort"), 0);
        const int64_t host_port = int_or(field(ports[i], "hostPort"), 0);
        if (pod.host_network && host_port != number)
            add_invalid(causes, port_path.child("hostPort"), host_port,
                        "must match `containerPort` when `hostNetwork` is true");
    }
}

// Two containers of a pod cannot have the same port of the node.
void validate_host_ports(const Json& containers, std::string_view list, const FieldPath& path,
                         Causes& causes) {
    std::set<std::string> taken;
    const auto all = containers.items();
    for (size_t i = 0; i < all.size(); ++i) {
        const FieldPath container_path = path.child(list, i);
        const auto ports = field(all[i], "ports").items();
        for (size_t j = 0; j < ports.size(); ++j) {
            const int64_t number = int_or(field(ports[j], "hostPort"), 0);
            if (number == 0) continue;
            auto key = concat(text_of(ports[j], "protocol"), "/", text_of(ports[j], "hostIP"), "/",
                              number);
            const FieldPath port_path = container_path.child("ports", j);
            if (taken.contains(key)) add_duplicate(causes, port_path.child("hostPort"), key);
            taken.insert(std::move(key));
        }
    }
}

void validate_resize_policy(const Json& container, const FieldPath& path, Causes& causes) {
    const auto policies = field(container, "resizePolicy").items();
    const FieldPath list = path.child("resizePolicy");
    for (size_t i = 0; i < policies.size(); ++i) {
        const auto resource = text_of(policies[i], "resourceName");
        const auto policy = text_of(policies[i], "restartPolicy");
        if (!resource.empty() && resource != "cpu" && resource != "memory")
            add_not_supported(causes, list, resource, {"cpu", "memory"});
        if (!policy.empty() && policy != "NotRequired" && policy != "RestartContainer")
            add_not_supported(causes, list, policy, {"NotRequired", "RestartContainer"});
    }
}

void validate_restart_policy(const Json& container, ContainerRole role, const FieldPath& path,
                             Causes& causes) {
    const Json& policy = field(container, "restartPolicy");
    if (!present(policy)) return;
    const FieldPath policy_path = path.child("restartPolicy");
    if (role == ContainerRole::Regular)
        add_forbidden(causes, policy_path, "may not be set for non-init containers");
    else if (role == ContainerRole::Ephemeral)
        add_forbidden(causes, policy_path, "cannot be set for an Ephemeral Container");
    else if (policy.text() != "Always")
        add_not_supported(causes, policy_path, policy.text(), {"Always"});
}

// What only containers that are there from the start may have.
void validate_ephemeral(const Json& container, const Json& spec, const FieldPath& path,
                        Causes& causes) {
    for (const std::string_view name : {"ports", "resizePolicy"})
        if (!blank(field(container, name)))
            add_forbidden(causes, path.child(name), "cannot be set for an Ephemeral Container");
    if (!blank(field(container, "resources")))
        add_forbidden(causes, path.child("resources"), "cannot be set for an Ephemeral Container");
    const auto target = text_of(container, "targetContainerName");
    if (target.empty()) return;
    const auto named = [&](const Json& other) { return text_of(other, "name") == target; };
    if (std::ranges::none_of(field(spec, "containers").items(), named) &&
        std::ranges::none_of(field(spec, "initContainers").items(), named))
        add_not_found(causes, path.child("targetContainerName"), target);
}

void validate_container(const Json& container, ContainerRole role, const PodFacts& pod,
                        const FieldPath& path, Causes& causes) {
    if (const auto name = text_of(container, "name"); !name.empty())
        add_unless_ok(causes, path.child("name"), name, check_dns1123_label(name));
    validate_image(container, path, causes);
    validate_restart_policy(container, role, path, causes);
    validate_probes(container, role, pod, path, causes);
    validate_env(container, path, causes);
    validate_volume_mounts(container, role, pod, path, causes);
    validate_container_security(field(container, "securityContext"), path.child("securityContext"),
                                causes);
    if (role == ContainerRole::Ephemeral)
        return validate_ephemeral(container, pod.spec, path, causes);
    validate_ports(container, pod, path, causes);
    validate_resources(field(container, "resources"), pod, path.child("resources"), causes);
    validate_resize_policy(container, path, causes);
}

ContainerRole role_of(std::string_view list, const Json& container) {
    if (list == "containers") return ContainerRole::Regular;
    if (list == "ephemeralContainers") return ContainerRole::Ephemeral;
    return text_of(container, "restartPolicy") == "Always" ? ContainerRole::Sidecar
                                                           : ContainerRole::Init;
}

}   // namespace

void validate_containers(const PodFacts& pod, const FieldPath& path, Causes& causes) {
    std::set<std::string_view> names;
    for (const std::string_view list : {"containers", "initContainers", "ephemeralContainers"}) {
        const auto containers = field(pod.spec, list).items();
        for (size_t i = 0; i < containers.size(); ++i) {
            const FieldPath container_path = path.child(list, i);
            validate_container(containers[i], role_of(list, containers[i]), pod, container_path,
                               causes);
            const auto name = text_of(containers[i], "name");
            if (!name.empty() && !names.insert(name).second)
                add_duplicate(causes, container_path.child("name"), name);
        }
        if (list == "containers") validate_host_ports(field(pod.spec, list), list, path, causes);
    }
}

}   // namespace skiff::api
