#include "net/websocket.h"

#include <algorithm>

#include <openssl/evp.h>

#include "base/text.h"

namespace skiff::net {
namespace {

constexpr size_t control_payload_bytes_max = 125;   // §5.5
constexpr size_t piece_bytes_max = 64u << 10;
constexpr std::string_view handshake_guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

bool is_control(WebSocketOpcode opcode) { return static_cast<uint8_t>(opcode) >= 8; }

// §7.4.1 and §7.4.2: what a peer may put on the wire.
bool valid_close_code(uint16_t code) {
    if (code >= 3000 && code <= 4999) return true;
    return code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006;
}

}   // namespace

std::string websocket_accept(std::string_view key) {
    const std::string text = concat(key, handshake_guid);
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    ASSERT(EVP_Digest(text.data(), text.size(), digest, &size, EVP_sha1(), nullptr) == 1);
    return base64({reinterpret_cast<const char*>(digest), size});
}

std::optional<std::string> choose_websocket_protocol(const Headers& request,
                                                     std::span<const std::string_view> supported) {
    const auto has = [&](std::string_view name) {
        return std::find(supported.begin(), supported.end(), name) != supported.end();
    };
    bool named_any = false;
    for (const auto line : request.all("sec-websocket-protocol")) {
        for (const auto part : split(line, ',')) {
            const auto name = trim(part);
            if (name.empty()) continue;
            named_any = true;
            if (has(name)) return std::string{name};
        }
    }
    if (!named_any && has("")) return std::string{};
    return std::nullopt;
}

bool is_websocket_upgrade(const Headers& request) {
    return request.has_token("connection", "upgrade") && request.has_token("upgrade", "websocket");
}

Result<Headers> websocket_handshake(const Headers& request, std::string_view protocol) {
    if (!is_websocket_upgrade(request))
        return fail(Reason::BadRequest, "the request does not upgrade to a WebSocket");
    if (request.find("sec-websocket-version").value_or("") != "13")
        return fail(Reason::BadRequest, "Sec-WebSocket-Version must be 13");
    const auto key = request.find("sec-websocket-key");
    if (!key || base64_decoded(trim(*key)).value_or("").size() != 16)
        return fail(Reason::BadRequest, "Sec-WebSocket-Key must be 16 bytes in base64");
    Headers headers;
    headers.add("connection", "Upgrade");
    headers.add("upgrade", "websocket");
    headers.add("sec-websocket-accept", websocket_accept(trim(*key)));
    if (!protocol.empty()) headers.add("sec-websocket-protocol", protocol);
    return headers;
}

void append_websocket_frame(std::string& out, WebSocketOpcode opcode, std::string_view payload,
                            bool last, std::string_view mask) {
    ASSERT(mask.empty() || mask.size() == 4);
    const char mask_bit = mask.empty() ? '\0' : '\x80';
    out.push_back(static_cast<char>((last ? 0x80 : 0) | static_cast<uint8_t>(opcode)));
    const auto size = payload.size();
    int length_bytes = 0;
    if (size <= 125) {
        out.push_back(static_cast<char>(size | static_cast<unsigned char>(mask_bit)));
    } else {
        length_bytes = size <= 0xffff ? 2 : 8;
        out.push_back(static_cast<char>((length_bytes == 2 ? 126 : 127) | mask_bit));
    }
    for (int i = length_bytes - 1; i >= 0; --i)
        out.push_back(static_cast<char>((uint64_t{size} >> (8 * i)) & 0xff));
    out += mask;
    const size_t begin = out.size();
    out += payload;
    if (mask.empty()) return;
    for (size_t i = begin; i < out.size(); ++i)
        out[i] = static_cast<char>(out[i] ^ mask[(i - begin) % 4]);
}

void append_websocket_close(std::string& out, uint16_t code, std::string_view reason,
                            std::string_view mask) {
    std::string payload{static_cast<char>(code >> 8), static_cast<char>(code & 0xff)};
    payload += reason.substr(0, control_payload_bytes_max - 2);
    append_websocket_frame(out, WebSocketOpcode::Close, payload, true, mask);
}

std::unexpected<Error> WebSocketReader::wrong(std::string message) {
    stopped_ = true;
    return fail(Reason::BadRequest, concat("WebSocket: ", message));
}

// How many bytes the header in head_ has in all, as far as can be told from what is there.
size_t WebSocketReader::head_size() const {
    if (head_.size() < 2) return 2;
    const auto second = static_cast<unsigned char>(head_[1]);
    const size_t length_bytes = (second & 0x7f) == 126 ? 2 : (second & 0x7f) == 127 ? 8 : 0;
    return 2 + length_bytes + (second & 0x80 ? 4 : 0);
}

Result<> WebSocketReader::begin_frame() {
    const auto first = static_cast<unsigned char>(head_[0]);
    const auto second = static_cast<unsigned char>(head_[1]);
    const unsigned opcode = first & 0x0f;
    const bool masked = second & 0x80;
    if (first & 0x70) return wrong("reserved bits are set");
    if (opcode > 10 || (opcode > 2 && opcode < 8)) return wrong(concat("opcode ", opcode));
    if (masked != (peer_ == Peer::Client))
        return wrong(masked ? "a server's frame is masked" : "a client's frame is not masked");
    last_ = first & 0x80;
    opcode_ = static_cast<WebSocketOpcode>(opcode);
    size_t at = 2;
    left_ = second & 0x7f;
    if (left_ >= 126) {
        const size_t bytes = left_ == 126 ? 2 : 8;
        left_ = 0;
        for (size_t i = 0; i < bytes; ++i)
            left_ = (left_ << 8) | static_cast<unsigned char>(head_[at++]);
        if (left_ >> 63) return wrong("a frame is longer than 2^63 bytes");
        if (left_ <= (bytes == 2 ? 125u : 0xffffu))
            return wrong("a length is not in its shortest form");
    }
    if (masked) std::copy_n(head_.data() + at, 4, mask_);
    mask_at_ = 0;
    if (is_control(opcode_)) {
        if (!last_) return wrong("a control frame is fragmented");
        if (left_ > control_payload_bytes_max) return wrong("a control frame is too long");
        control_.clear();
    } else {
        const bool continues = opcode_ == WebSocketOpcode::Continuation;
        if (continues != in_message_)
            return wrong(continues ? "a continuation of no message" : "a message inside another");
        if (!continues) {
            in_message_ = true;
            first_piece_ = true;
            message_text_ = opcode_ == WebSocketOpcode::Text;
        }
    }
    return {};
}

void WebSocketReader::unmask(char* bytes, size_t size) {
    if (peer_ == Peer::Server) return;
    for (char* at = bytes; at < bytes + size; ++at)
        *at = static_cast<char>(*at ^ mask_[mask_at_++ % 4]);
}

Result<> WebSocketReader::control(std::string_view payload) {
    if (opcode_ == WebSocketOpcode::Ping && sink_.ping) sink_.ping(payload);
    if (opcode_ != WebSocketOpcode::Close) return {};
    uint16_t code = websocket_close::no_code;
    if (payload.size() == 1) return wrong("half a close code");
    if (payload.size() >= 2) {
        code = static_cast<uint16_t>((static_cast<unsigned char>(payload[0]) << 8) |
                                     static_cast<unsigned char>(payload[1]));
        if (!valid_close_code(code)) return wrong(concat("close code ", code));
        payload.remove_prefix(2);
    } else {
        payload = {};
    }
    stopped_ = true;
    if (sink_.close) sink_.close(code, payload);
    return {};
}

Result<> WebSocketReader::feed(std::string_view bytes) {
    std::string piece;
    while (!stopped_) {
        if (!in_payload_) {
            while (head_.size() < head_size() && !bytes.empty()) {
                head_.push_back(bytes.front());
                bytes.remove_prefix(1);
            }
            if (head_.size() < head_size()) return {};
            TRY_OK(begin_frame());
            head_.clear();
            in_payload_ = true;
        }
        if (left_ > 0 && bytes.empty()) return {};
        const size_t part = std::min({left_, uint64_t{bytes.size()}, uint64_t{piece_bytes_max}});
        piece.assign(bytes.substr(0, part));
        bytes.remove_prefix(part);
        left_ -= part;
        unmask(piece.data(), piece.size());
        in_payload_ = left_ > 0;
        if (is_control(opcode_)) {
            control_ += piece;
            if (!in_payload_) TRY_OK(control(control_));
            continue;
        }
        const bool ends = !in_payload_ && last_;
        if (ends) in_message_ = false;
        sink_.data(message_text_, std::exchange(first_piece_, false), ends, piece);
    }
    return {};
}

}   // namespace skiff::net
