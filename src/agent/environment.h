// A container's environment, and command and arguments with $(NAME) put in. Pure: the ConfigMaps
// and Secrets it needs are named first, read by the caller, then given.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agent/cri_config.h"
#include "agent/pod_types.h"
#include "agent/service_variables.h"
#include "base/result.h"

namespace skiff::agent {

using KeyValues = std::map<std::string, std::string>;

// What a pod reads of the API: names of ConfigMaps, Secrets and claims in its own namespace.
struct ConfigNames {
    std::set<std::string> config_maps;
    std::set<std::string> secrets;
    std::set<std::string> claims;   // only watched: a change is told, nothing is read
    void add(const ConfigNames& other);
    bool empty() const { return config_maps.empty() && secrets.empty() && claims.empty(); }
};
ConfigNames environment_names(const Container& container);

// Their content; a name that is not there does not exist in the API.
struct ConfigValues {
    std::map<std::string, KeyValues> config_maps;
    std::map<std::string, KeyValues> secrets;
    ServiceList services;   // of the pod's namespace, and `kubernetes`
};

struct FieldSource {
    const Pod& pod;
    std::vector<std::string> pod_addresses;   // as status.podIPs will have them
    std::vector<std::string> host_addresses;
    int64_t allocatable_cpu_milli = 0;   // stands in for a limit that is not set
    int64_t allocatable_memory_bytes = 0;
};
// "metadata.labels['app']", "status.podIP", …; Invalid for what cannot be referred to.
Result<std::string> field_value(const FieldSource& source, std::string_view path);
// "limits.cpu" of a container, in units of the divisor, rounded up.
Result<std::string> resource_value(const FieldSource& source, const Container& container,
                                   const Pod::ResourceFieldSelector& selector);

// Invalid with kubelet's words when something it refers to is missing (CreateContainerConfigError).
Result<std::vector<cri::KeyValue>> make_environment(const Container& container,
                                                    const FieldSource& source,
                                                    const ConfigValues& values);

// "$(NAME)" becomes its value, "$$(NAME)" becomes "$(NAME)", an unknown name stays as it is.
std::string expand(std::string_view text, const std::map<std::string, std::string>& values);
std::vector<std::string> expand(const std::vector<std::string>& texts,
                                const std::vector<cri::KeyValue>& environment);

}   // namespace skiff::agent
