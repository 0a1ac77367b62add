// Addresses that mean the machine itself, or something else in every network.
#pragma once

#include <string_view>

#include "api/field_errors.h"

namespace skiff::api {

// Refuses unspecified, loopback and link-local ones, also IPv4 within IPv6: what a service or an
// endpoint may not have (CVE-2020-8555, CVE-2020-8562, CVE-2021-25740). What is no address is left
// to who checks the form.
void validate_no_special_address(std::string_view ip, const FieldPath& path, Causes& causes);

}   // namespace skiff::api
