// The environment variables by which a container finds the services that were there before it:
// {SVC}_SERVICE_HOST, {SVC}_SERVICE_PORT, and the forms of Docker's links. Pure.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "agent/config.h"

namespace skiff::agent {

using ServiceList = std::vector<std::shared_ptr<const view::Service>>;

// Those of the pod's namespace when it wants links, and always those of `kubernetes` in default,
// which a service of that name in the pod's own namespace stands before.
std::map<std::string, std::string> service_variables(const ServiceList& services,
                                                     std::string_view name_space, bool links);

}   // namespace skiff::agent
