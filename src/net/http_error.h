// Answers that are given before any handler sees the request. It knows the shape of a Kubernetes
// Status and nothing else of the API.
#pragma once

#include "net/http.h"

namespace skiff::net {

// {"kind":"Status","apiVersion":"v1",...}: code from `http_code` or the reason.
Response status_response(const Error& error);

}   // namespace skiff::net
