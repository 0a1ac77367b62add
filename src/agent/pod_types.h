// Short names for the parts of a pod that the agent's functions take.
#pragma once

#include <memory>
#include <string_view>

#include "agent/pod.h"

namespace skiff::agent {

using view::Pod;
using PodSpec = Pod::PodSpec;
using Container = Pod::Container;
using EphemeralContainer = Pod::EphemeralContainer;
using Volume = Pod::Volume;
using Probe = Pod::Probe;
using SharedPod = std::shared_ptr<const Pod>;

// What a container is in its pod. A sidecar is an init container with restartPolicy Always.
enum class Role { Init, Sidecar, Main, Ephemeral };

inline bool is_sidecar(const Container& container) { return container.restartPolicy == "Always"; }

// An ephemeral container has every field of others, and a target.
Container as_container(const EphemeralContainer& ephemeral);
const Container* find_container(const PodSpec& spec, std::string_view name);   // main or init

Pod pod_without_spec(const Pod& pod);   // who it was, when nothing else is known

}   // namespace skiff::agent
