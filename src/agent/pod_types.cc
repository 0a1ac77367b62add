#include "agent/pod_types.h"

#include <algorithm>

namespace skiff::agent {

Container as_container(const EphemeralContainer& ephemeral) {
    Container out;
    out.name = ephemeral.name;
    out.image = ephemeral.image;
    out.command = ephemeral.command;
    out.args = ephemeral.args;
    out.workingDir = ephemeral.workingDir;
    out.env = ephemeral.env;
    out.envFrom = ephemeral.envFrom;
    out.resources = ephemeral.resources;
    out.volumeMounts = ephemeral.volumeMounts;
    out.terminationMessagePath = ephemeral.terminationMessagePath;
    out.terminationMessagePolicy = ephemeral.terminationMessagePolicy;
    out.imagePullPolicy = ephemeral.imagePullPolicy;
    out.securityContext = ephemeral.securityContext;
    out.stdin = ephemeral.stdin;
    out.stdinOnce = ephemeral.stdinOnce;
    out.tty = ephemeral.tty;
    return out;
}

const Container* find_container(const PodSpec& spec, std::string_view name) {
    for (const auto* list : {&spec.containers, &spec.initContainers}) {
        const auto found = std::ranges::find(*list, name, &Container::name);
        if (found != list->end()) return &*found;
    }
    return nullptr;
}

Pod pod_without_spec(const Pod& pod) {
    Pod out;
    out.metadata = pod.metadata;
    return out;
}

}   // namespace skiff::agent
