// exec, attach and port-forward: what a request asks of the runtime, and the passing of bytes
// between the caller and the runtime's streaming server.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "agent/cri_config.h"
#include "net/http.h"
#include "net/remote_command.h"

namespace skiff::agent {

// kubelet's parameters: command (repeated), input, output, error, tty.
cri::ExecRequest exec_request(const std::string& container_id, const net::Query& query);
cri::AttachRequest attach_request(const std::string& container_id, const net::Query& query,
                                  bool tty);
std::vector<uint16_t> forwarded_ports(const net::Query& query);

enum class StreamKind { Command, PortForward };
struct StreamFacts {
    StreamKind kind = StreamKind::Command;
    net::RemoteCommand command;    // of Command
    std::vector<uint16_t> ports;   // of PortForward over WebSocket channels
};

// Takes the caller's connection over and joins it with the runtime's at `url`. On the caller's
// loop; answers the responder whatever happens.
void join_streams(const net::Request& request, const std::shared_ptr<net::Responder>& responder,
                  const std::string& url, StreamFacts facts);

bool is_upgrade(const net::Headers& headers);

// "http://127.0.0.1:4321/exec/abc": host, port and target. Invalid for anything else.
struct StreamUrl {
    std::string host;
    uint16_t port = 0;
    std::string target;
};
Result<StreamUrl> parse_stream_url(std::string_view url);

void answer_error(const std::shared_ptr<net::Responder>& responder, int status,
                  std::string message);

}   // namespace skiff::agent
