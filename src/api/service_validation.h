// The rules of services that are wide enough for a file of their own (service_validation.cc).
#pragma once

#include "api/field_errors.h"
#include "codec/json.h"

namespace skiff::api {

bool has_node_ports(std::string_view type);
bool reached_from_outside(const codec::Json& spec);   // node ports, or external addresses
bool needs_health_port(const codec::Json& spec);      // LoadBalancer with the Local policy

void validate_service(const codec::Json& service, const codec::Json* old, Causes& causes);
void validate_service_status(const codec::Json& service, const codec::Json* old, Causes& causes);

}   // namespace skiff::api
