// gRPC's messages out of a stream of bytes, in whatever pieces it comes: a byte that says whether
// it is compressed, four of length, the message.
#pragma once

#include <string>
#include <string_view>

#include "net/grpc.h"

namespace skiff::net {

class GrpcMessages {
  public:
    // Hands out each whole message, a view that lasts until `message` returns; it returns false to
    // hear of no more. Gives what is wrong with the stream, or "".
    template <class F>
    std::string_view feed(std::string_view data, F&& message);
    bool inside() const { return !incoming_.empty(); }   // a message is not whole yet

  private:
    static constexpr size_t head_bytes = 5;
    static constexpr size_t kept_bytes_max = 16u << 10;

    std::string incoming_;
};

template <class F>
std::string_view GrpcMessages::feed(std::string_view data, F&& message) {
    incoming_ += data;
    size_t at = 0;
    while (incoming_.size() - at >= head_bytes) {
        const auto* head = reinterpret_cast<const unsigned char*>(incoming_.data()) + at;
        const size_t size = (size_t{head[1]} << 24) | (size_t{head[2]} << 16) |
                            (size_t{head[3]} << 8) | size_t{head[4]};
        if (head[0] != 0) return "the answer is compressed, which was not offered";
        if (size > grpc_message_bytes_max) return "the answer is larger than 16 MiB";
        if (incoming_.size() - at - head_bytes < size) break;
        const bool more = message(std::string_view{incoming_}.substr(at + head_bytes, size));
        at += head_bytes + size;
        if (!more) break;
    }
    incoming_.erase(0, at);
    if (incoming_.empty() && incoming_.capacity() > kept_bytes_max) incoming_.shrink_to_fit();
    return {};
}

}   // namespace skiff::net
