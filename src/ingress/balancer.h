// The part of nginx that chooses an endpoint for each request, in nginx's own Lua: endpoints come
// and go through a socket, so that no change of theirs needs a reload, which closes the
// connections that clients keep. No text of a user stands in it.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"

namespace skiff::ingress {

// What nginx.conf loads as the Lua module `skiff` from the folder's `lua`.
std::string_view balancer_lua();

using Endpoints = std::map<std::string, std::vector<std::string>>;   // by upstream

// As nginx reads them, from the file at its start and from the socket: a line an upstream.
std::string endpoints_text(const Endpoints& endpoints);
std::string endpoints_file(const std::string& folder);
std::string control_folder(const std::string& folder);
std::string control_socket(const std::string& folder);

// In force for every request that comes when it returns. Blocks.
Result<> tell_endpoints(const std::string& folder, const Endpoints& changed);

// Before a reload: asks clients for new connections, so that busy ones meet none that is closed
// under their next request. Blocks.
void drain_connections(const std::string& folder);

// Returns when no request is under way to these servers, or the time is over. Blocks.
void wait_until_idle(const std::string& folder, const std::vector<std::string>& servers,
                     Duration timeout);

}   // namespace skiff::ingress
