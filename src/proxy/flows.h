// What the kernel keeps in mind of connections, where a change of services must not leave it:
// UDP "connections" to endpoints that are gone, and clients that are held to them.
#pragma once

#include <string>
#include <vector>

#include "proxy/service_rules.h"

namespace skiff::proxy {

// Entries of UDP whose entrance is named and whose endpoint is none of its any more. Counts them.
Result<size_t> forget_connections(NetfilterSocket& socket, const std::vector<StaleFlows>& stale);

// The same for the maps of affinity in the table of services.
Result<size_t> forget_clients(NetfilterSocket& socket, const std::string& table,
                              const std::vector<StaleFlows>& stale);

// What those maps hold; empty when there is no such table.
Result<std::vector<Ruleset::Kept>> kept_clients(NetfilterSocket& socket, const std::string& table);

}   // namespace skiff::proxy
