// WebSocket frames (RFC 6455) over byte buffers: no sockets here. The reader hands messages out as
// they come, piece by piece, so that one of any size needs no memory.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "net/http.h"

namespace skiff::net {

enum class WebSocketOpcode : uint8_t {
    Continuation = 0,
    Text = 1,
    Binary = 2,
    Close = 8,
    Ping = 9,
    Pong = 10,
};

namespace websocket_close {   // §7.4.1
inline constexpr uint16_t normal = 1000;
inline constexpr uint16_t going_away = 1001;
inline constexpr uint16_t protocol_error = 1002;
inline constexpr uint16_t unsupported = 1003;
inline constexpr uint16_t no_code = 1005;   // a Close frame without one; never sent
inline constexpr uint16_t internal_error = 1011;
}   // namespace websocket_close

std::string websocket_accept(std::string_view key);   // Sec-WebSocket-Accept, §4.2.2

// The first of the client's protocols that is among `supported`; "" in `supported` is taken when
// the client names none. Absent: nothing in common.
std::optional<std::string> choose_websocket_protocol(const Headers& request,
                                                     std::span<const std::string_view> supported);
bool is_websocket_upgrade(const Headers& request);
// The headers of the 101, for Responder::upgrade. BadRequest when the request is not a handshake
// of version 13. An empty protocol is not named.
Result<Headers> websocket_handshake(const Headers& request, std::string_view protocol);

// Appends one frame; with `mask` (four bytes) as clients must.
void append_websocket_frame(std::string& out, WebSocketOpcode opcode, std::string_view payload,
                            bool last = true, std::string_view mask = {});
void append_websocket_close(std::string& out, uint16_t code, std::string_view reason,
                            std::string_view mask = {});

struct WebSocketSink {
    // A piece of a Text or Binary message: `first` begins one, `last` ends it. Pieces may be empty.
    std::function<void(bool text, bool first, bool last, std::string_view piece)> data;
    std::function<void(std::string_view payload)> ping;   // to be answered with a Pong
    std::function<void(uint16_t code, std::string_view reason)> close;   // nothing follows
};

class WebSocketReader {
  public:
    enum class Peer { Client, Server };   // a client masks, a server does not: both are checked
    WebSocketReader(Peer peer, WebSocketSink sink) : peer_{peer}, sink_{std::move(sink)} {}

    // An error is the peer's fault; close with close_code(). What follows is ignored. The sink
    // may call stop().
    Result<> feed(std::string_view bytes);
    void stop() { stopped_ = true; }
    uint16_t close_code() const { return close_code_; }

  private:
    Result<> begin_frame();
    size_t head_size() const;
    Result<> control(std::string_view payload);
    std::unexpected<Error> wrong(std::string message);
    void unmask(char* bytes, size_t size);

    Peer peer_;
    WebSocketSink sink_;
    bool stopped_ = false;
    uint16_t close_code_ = websocket_close::protocol_error;
    std::string head_;      // a frame's header in the making
    std::string control_;   // a control frame's payload in the making
    bool in_payload_ = false;
    bool last_ = false;   // FIN of the frame
    WebSocketOpcode opcode_ = WebSocketOpcode::Continuation;
    uint64_t left_ = 0;   // payload still to come
    char mask_[4] = {};
    unsigned mask_at_ = 0;
    bool in_message_ = false;
    bool message_text_ = false;
    bool first_piece_ = false;
};

}   // namespace skiff::net
