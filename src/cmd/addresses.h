// This machine's own addresses.
#pragma once

#include <string>
#include <vector>

namespace skiff::cmd {

// IPv4 addresses of interfaces that are up, the one of the default route first, without loopback
// and without pod networks (bridges, veths of our own). Empty on a machine without a network.
std::vector<std::string> machine_addresses();
std::string primary_address();   // the first of them, else 127.0.0.1

}   // namespace skiff::cmd
