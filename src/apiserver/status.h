// An Error as Kubernetes' Status object: what every client reads when something failed.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "net/http.h"
#include "store/store.h"

namespace skiff::apiserver {

std::string status_json(const Error& error);
// Status Success, as an immediate deletion answers; kind is the resource's plural, as upstream.
std::string success_status_json(std::string_view group, std::string_view resource,
                                std::string_view name, std::string_view uid);
// 504 for a resourceVersion that is yet to come; clients know it by its cause.
Error too_large_version(store::Revision wanted, store::Revision current);
int http_code_of(const Error& error);
net::Response error_response(const Error& error);   // Status body, Retry-After when it has one
net::Response json_response(int status, std::string body);
net::Response text_response(int status, std::string body);

}   // namespace skiff::apiserver
