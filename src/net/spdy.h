// SPDY/3.1 frames (the protocol's draft 3.1) over byte buffers, as Kubernetes' exec, attach and
// port-forward use them. No sockets and no stream states here. One reader and one writer serve one
// direction of one connection each: the header compression has a memory.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace skiff::net {

// Names in lower case; several values of one name are joined by '\0'.
using SpdyHeaders = std::vector<std::pair<std::string, std::string>>;

struct SpdySetting {
    uint8_t flags = 0;
    uint32_t id = 0;   // 24 bits
    uint32_t value = 0;
};

namespace spdy_status {   // of RST_STREAM
inline constexpr uint32_t protocol_error = 1;
inline constexpr uint32_t invalid_stream = 2;
inline constexpr uint32_t refused_stream = 3;
inline constexpr uint32_t cancel = 5;
inline constexpr uint32_t internal_error = 6;
inline constexpr uint32_t flow_control_error = 7;
}   // namespace spdy_status

struct SpdySynStream {
    uint32_t stream = 0;
    uint32_t associated = 0;
    uint8_t priority = 0;   // 0 is the highest of 7
    bool fin = false;
    bool unidirectional = false;
    SpdyHeaders headers;
};

// Appends frames to `out`.
class SpdyWriter {
  public:
    explicit SpdyWriter(std::string& out);
    ~SpdyWriter();
    SpdyWriter(const SpdyWriter&) = delete;
    SpdyWriter& operator=(const SpdyWriter&) = delete;

    void syn_stream(const SpdySynStream& frame);
    void syn_reply(uint32_t stream, const SpdyHeaders& headers, bool fin = false);
    void headers(uint32_t stream, const SpdyHeaders& headers, bool fin = false);
    void data(uint32_t stream, std::string_view content, bool fin = false);
    void rst_stream(uint32_t stream, uint32_t status);
    void settings(const std::vector<SpdySetting>& settings);
    void ping(uint32_t id);
    void goaway(uint32_t last_good_stream, uint32_t status);
    void window_update(uint32_t stream, uint32_t delta);

  private:
    struct Deflate;
    void control(uint16_t type, uint8_t flags, std::string_view body);
    void header_frame(uint16_t type, uint8_t flags, std::string body, const SpdyHeaders& headers);

    std::string& out_;
    std::unique_ptr<Deflate> deflate_;
};

// Every member may be absent: that frame is then ignored.
struct SpdySink {
    std::function<void(SpdySynStream frame)> syn_stream;
    std::function<void(uint32_t stream, SpdyHeaders headers, bool fin)> syn_reply;
    std::function<void(uint32_t stream, SpdyHeaders headers, bool fin)> headers;
    // Data comes in pieces as it arrives; fin is on the last piece of the last frame.
    std::function<void(uint32_t stream, std::string_view piece, bool fin)> data;
    std::function<void(uint32_t stream, uint32_t status)> rst_stream;
    std::function<void(const std::vector<SpdySetting>& settings)> settings;
    std::function<void(uint32_t id)> ping;
    std::function<void(uint32_t last_good_stream, uint32_t status)> goaway;
    std::function<void(uint32_t stream, uint32_t delta)> window_update;
};

class SpdyReader {
  public:
    explicit SpdyReader(SpdySink sink);
    ~SpdyReader();
    SpdyReader(const SpdyReader&) = delete;
    SpdyReader& operator=(const SpdyReader&) = delete;

    // An error is the peer's and ends the connection: what follows is ignored.
    Result<> feed(std::string_view bytes);

  private:
    struct Inflate;
    Result<> frame_head();
    Result<> control_frame();
    Result<> headers_of(std::string_view block, SpdyHeaders& headers);
    void data_piece(std::string_view piece);
    std::unexpected<Error> wrong(std::string message);

    SpdySink sink_;
    std::unique_ptr<Inflate> inflate_;
    bool failed_ = false;
    std::string pending_;   // a frame's head, or a control frame, in the making
    bool in_control_ = false;
    bool in_data_ = false;
    uint16_t type_ = 0;
    uint8_t flags_ = 0;
    uint32_t stream_ = 0;   // of data
    uint32_t length_ = 0;   // of the frame's payload
    uint32_t left_ = 0;     // of data's payload
};

}   // namespace skiff::net
