// What must hold for a pod beyond what the schema's tables say, with Kubernetes' paths and words.
// The parts are split by what they look at; pod_rules.cc and pod_validation_spec.cc call them.
#pragma once

#include <map>
#include <string_view>

#include "api/field_errors.h"
#include "codec/json.h"

namespace skiff::api {

// A pod spec as a user may write it, of a pod or of a template.
void validate_pod_spec(const codec::Json& spec, const FieldPath& path, Causes& causes);
// Which parts of a pod may change by an ordinary update.
void validate_pod_update(const codec::Json& pod, const codec::Json& old, Causes& causes);
// By an update of the subresources ephemeralcontainers, resize and status.
void validate_ephemeral_containers_update(const codec::Json& pod, const codec::Json& old,
                                          Causes& causes);
void validate_pod_resize(const codec::Json& pod, const codec::Json& old, Causes& causes);
void validate_pod_status_update(const codec::Json& pod, const codec::Json& old, Causes& causes);

// pod_warnings.cc
void warn_of_pod(const codec::Json& pod, const codec::Json* old,
                 std::vector<std::string>& warnings);

enum class ContainerRole : uint8_t { Regular, Init, Sidecar, Ephemeral };

// What the checks of a container need to know of its pod.
struct PodFacts {
    explicit PodFacts(const codec::Json& pod_spec);
    const codec::Json* volume(std::string_view name) const;

    const codec::Json& spec;
    bool host_network;
    int64_t grace_period_seconds;
    std::map<std::string_view, const codec::Json*> volumes;
};

// pod_validation_containers.cc
void validate_containers(const PodFacts& pod, const FieldPath& path, Causes& causes);
// pod_validation_env.cc
void validate_env(const codec::Json& container, const FieldPath& path, Causes& causes);
enum class FieldRefUse : uint8_t { Environment, File };
void validate_field_ref(const codec::Json& reference, FieldRefUse use, const FieldPath& path,
                        Causes& causes);
void validate_resource_field_ref(const codec::Json& reference, FieldRefUse use,
                                 const FieldPath& path, Causes& causes);
// pod_validation_resources.cc
void validate_resources(const codec::Json& resources, const PodFacts& pod, const FieldPath& path,
                        Causes& causes);
void validate_pod_level_resources(const codec::Json& spec, const FieldPath& path, Causes& causes);
// pod_validation_probes.cc
void validate_probes(const codec::Json& container, ContainerRole role, const PodFacts& pod,
                     const FieldPath& path, Causes& causes);
// pod_validation_volumes.cc
void validate_volumes(const codec::Json& spec, const FieldPath& path, Causes& causes);
void validate_volume_mounts(const codec::Json& container, ContainerRole role, const PodFacts& pod,
                            const FieldPath& path, Causes& causes);
// pod_validation_security.cc
void validate_container_security(const codec::Json& context, const FieldPath& path, Causes& causes);
void validate_pod_security(const codec::Json& spec, const FieldPath& path, Causes& causes);
// pod_validation_placement.cc
void validate_placement(const codec::Json& spec, const FieldPath& path, Causes& causes);
// Taken up again by other kinds.
void validate_label_selector(const codec::Json& selector, const FieldPath& path, Causes& causes);
void validate_labels(const codec::Json& labels, const FieldPath& path, Causes& causes);
void validate_node_selector(const codec::Json& selector, const FieldPath& path, Causes& causes);

}   // namespace skiff::api
