// exec, attach and port-forward for clients that speak WebSocket, towards a container runtime's
// streaming server that speaks SPDY/3.1 only. SPDY clients need none of this: their bytes pass as
// they are (bridge_bytes). Each function takes two upgraded connections of one loop over, pumps
// with backpressure until either ends, closes both and calls `done` once, on the loop.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "net/http.h"

namespace skiff::net {

// Subprotocols to choose from (choose_websocket_protocol); "" is a client that names none.
std::span<const std::string_view> remote_command_protocols();
std::span<const std::string_view> port_forward_protocols();
// Binary messages of this one carry the bytes of a SPDY connection: see bridge_spdy_tunnel.
inline constexpr std::string_view spdy_tunnel_protocol = "SPDY/3.1+portforward.k8s.io";

// What the runtime is asked for in X-Stream-Protocol-Version. Before v4 the error channel carried
// plain text, from then on a Status; the backend is asked for what the client understands.
std::string_view remote_command_backend_protocol(std::string_view client_protocol);
inline constexpr std::string_view port_forward_backend_protocol = "portforward.k8s.io";

struct RemoteCommand {   // as the runtime was asked for
    bool stdin = false;
    bool stdout = false;
    bool stderr = false;
    bool tty = false;   // then there is a resize channel
};

using BridgeDone = std::function<void()>;

// Channels 0 stdin, 1 stdout, 2 stderr, 3 error, 4 resize; in v5, 255 closes the channel it names.
void bridge_remote_command(std::unique_ptr<RawStream> client, std::unique_ptr<RawStream> backend,
                           std::string_view protocol, const RemoteCommand& command,
                           BridgeDone done);
// Two channels a port: data and error, the first message of each being the port in two bytes,
// little-endian. There is one connection to each port.
void bridge_port_forward(std::unique_ptr<RawStream> client, std::unique_ptr<RawStream> backend,
                         std::string_view protocol, const std::vector<uint16_t>& ports,
                         BridgeDone done);
void bridge_spdy_tunnel(std::unique_ptr<RawStream> client, std::unique_ptr<RawStream> backend,
                        BridgeDone done);
void bridge_bytes(std::unique_ptr<RawStream> client, std::unique_ptr<RawStream> backend,
                  BridgeDone done);

}   // namespace skiff::net
