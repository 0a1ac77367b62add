// Listening sockets. Apart from the server, so that the supervisor needs nothing else of net.
#pragma once

#include <string>

#include "base/os.h"
#include "base/result.h"

namespace skiff::net {

// "127.0.0.1", "::", ... ; port 0 lets the kernel choose. Errors name address, port and reason.
Result<Fd> listen_tcp(const std::string& address, uint16_t port);
Result<Fd> listen_udp(const std::string& address, uint16_t port);
// The same at an address that the machine may not have yet.
Result<Fd> listen_tcp_ahead(const std::string& address, uint16_t port);
Result<Fd> listen_udp_ahead(const std::string& address, uint16_t port);
Result<Fd> connect_udp(const std::string& address, uint16_t port);
// Under way when it returns: writable when it is there or has failed.
Result<Fd> begin_connect_tcp(const std::string& address, uint16_t port);
Result<uint16_t> port_of(const Fd& listener);

}   // namespace skiff::net
