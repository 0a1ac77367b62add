// Small helpers over nghttp2 for both sides of HTTP/2. For .cc files of net/ only.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include <nghttp2/nghttp2.h>

#include "net/channel.h"
#include "net/http.h"

namespace skiff::net {

struct FreeNghttp2 {
    void operator()(nghttp2_session* session) const { nghttp2_session_del(session); }
    void operator()(nghttp2_session_callbacks* callbacks) const {
        nghttp2_session_callbacks_del(callbacks);
    }
    void operator()(nghttp2_option* option) const { nghttp2_option_del(option); }
};
using Nghttp2Session = std::unique_ptr<nghttp2_session, FreeNghttp2>;
using Nghttp2Callbacks = std::unique_ptr<nghttp2_session_callbacks, FreeNghttp2>;
using Nghttp2Option = std::unique_ptr<nghttp2_option, FreeNghttp2>;

inline nghttp2_nv header_field(std::string_view name, std::string_view value) {
    auto* bytes = const_cast<char*>(name.data());
    auto* content = const_cast<char*>(value.data());
    return {reinterpret_cast<uint8_t*>(bytes), reinterpret_cast<uint8_t*>(content), name.size(),
            value.size(), NGHTTP2_NV_FLAG_NONE};
}

inline std::string_view view_of(const uint8_t* bytes, size_t size) {
    return {reinterpret_cast<const char*>(bytes), size};
}

// Headers that belong to one HTTP/1.1 connection and may not appear in HTTP/2 (RFC 9113 8.2.2).
inline bool is_connection_header(std::string_view name) {
    return name == "connection" || name == "transfer-encoding" || name == "keep-alive" ||
           name == "upgrade" || name == "proxy-connection";
}

// Moves frames of all streams into the channel's one buffer and that to the socket, as long as
// both take more, up to a bound a round. False: the session is broken.
inline bool send_frames(nghttp2_session* session, Channel& channel, size_t bytes_max) {
    size_t round = 0;
    while (true) {
        bool more = false;
        while (channel.room() > 0) {
            const uint8_t* data = nullptr;
            const auto size = nghttp2_session_mem_send(session, &data);
            if (size < 0) return false;
            if (size == 0) break;
            channel.output().append(reinterpret_cast<const char*>(data), static_cast<size_t>(size));
            round += static_cast<size_t>(size);
            more = true;
        }
        channel.flush();
        if (!more || channel.waiting() > 0) return true;   // writable() goes on
        if (round >= bytes_max) {
            channel.ask_writable();
            return true;
        }
    }
}

}   // namespace skiff::net
