// Kubernetes' defaults of pods that no table can say; also those of pod templates.
#pragma once

#include <string_view>

#include "codec/json.h"

namespace skiff::api {

// Whatever has a pod spec: policies of pulling, volumes without a source, the two names of the
// service account.
void default_pod_spec(codec::Json& spec, codec::Arena& arena);
// Only pods themselves: requests from limits, host ports, service links.
void default_pod(codec::Json& pod, codec::Arena& arena);

// "Always" when the image's tag is latest or not said at all, else "IfNotPresent".
std::string_view default_pull_policy(std::string_view image);
// Guaranteed, Burstable or BestEffort.
std::string_view qos_class_of(const codec::Json& pod_spec);

}   // namespace skiff::api
