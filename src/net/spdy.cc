#include "net/spdy.h"

#include <algorithm>

#include <zlib.h>

#include "base/text.h"

namespace skiff::net {
namespace {

constexpr uint16_t version = 3;
constexpr size_t frame_head_bytes = 8;
constexpr size_t control_frame_bytes_max = 64u << 10;   // ours are some hundred bytes
constexpr size_t header_block_bytes_max = 256u << 10;   // inflated
constexpr size_t headers_max = 256;

enum Type : uint16_t {
    SynStream = 1,
    SynReply = 2,
    RstStream = 3,
    Settings = 4,
    Ping = 6,
    GoAway = 7,
    HeadersFrame = 8,
    WindowUpdate = 9,
};
constexpr uint8_t flag_fin = 1;
constexpr uint8_t flag_unidirectional = 2;

// The dictionary that both sides of the header compression start from (SPDY/3, 2.6.10.1): words
// with their lengths before them, then text without. Its Adler-32 is 0xe3c6a7c2.
constexpr const char* dictionary_words[] = {
    "options",
    "head",
    "post",
    "put",
    "delete",
    "trace",
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "accept-ranges",
    "age",
    "allow",
    "authorization",
    "cache-control",
    "connection",
    "content-base",
    "content-encoding",
    "content-language",
    "content-length",
    "content-location",
    "content-md5",
    "content-range",
    "content-type",
    "date",
    "etag",
    "expect",
    "expires",
    "from",
    "host",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "last-modified",
    "location",
    "max-forwards",
    "pragma",
    "proxy-authenticate",
    "proxy-authorization",
    "range",
    "referer",
    "retry-after",
    "server",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "vary",
    "via",
    "warning",
    "www-authenticate",
    "method",
    "get",
    "status",
    "200 OK",
    "version",
    "HTTP/1.1",
    "url",
    "public",
    "set-cookie",
    "keep-alive",
    "origin",
};
constexpr std::string_view dictionary_text =
    "1001012012022052063003023033043053063074024054064074084094104114124134144154164175025045"
    "05203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401"
    " Unauthorized403 Forbidden404 Not Found500 Internal Server Error501 Not Implemented503 S"
    "ervice UnavailableJan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, We"
    "d, Thu, Fri, Sat, Sun, GMTchunked,text/html,image/png,image/jpg,image/gif,application/xm"
    "l,application/xhtml+xml,text/plain,text/javascript,publicprivatemax-age=gzip,deflate,sdc"
    "hcharset=utf-8charset=iso-8859-1,utf-,*,enq=0.";

void append_number(std::string& out, uint32_t value, int bytes = 4) {
    for (int i = bytes - 1; i >= 0; --i)
        out.push_back(static_cast<char>((value >> (8 * i)) & 0xff));
}

uint32_t number_at(std::string_view bytes, size_t at, int size = 4) {
    uint32_t value = 0;
    for (int i = 0; i < size; ++i) value = (value << 8) | static_cast<unsigned char>(bytes[at + i]);
    return value;
}

const std::string& dictionary() {
    static const std::string built = [] {
        std::string out;
        for (const std::string_view word : dictionary_words) {
            append_number(out, static_cast<uint32_t>(word.size()));
            out += word;
        }
        return out += dictionary_text;
    }();
    return built;
}

const Bytef* zlib_bytes(std::string_view text) {
    return reinterpret_cast<const Bytef*>(text.data());
}

}   // namespace

struct SpdyWriter::Deflate {
    z_stream stream{};
    Deflate() {
        // A window of 2 KiB and little memory: what is compressed is a few hundred bytes.
        ASSERT(deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, 11, 1,
                            Z_DEFAULT_STRATEGY) == Z_OK);
        ASSERT(deflateSetDictionary(&stream, zlib_bytes(dictionary()),
                                    static_cast<uInt>(dictionary().size())) == Z_OK);
    }
    ~Deflate() { deflateEnd(&stream); }

    void append(std::string& out, std::string_view block) {
        stream.next_in = const_cast<Bytef*>(zlib_bytes(block));
        stream.avail_in = static_cast<uInt>(block.size());
        char buffer[1024];
        do {
            stream.next_out = reinterpret_cast<Bytef*>(buffer);
            stream.avail_out = sizeof buffer;
            deflate(&stream, Z_SYNC_FLUSH);
            out.append(buffer, sizeof buffer - stream.avail_out);
        } while (stream.avail_out == 0);
    }
};

SpdyWriter::SpdyWriter(std::string& out) : out_{out}, deflate_{std::make_unique<Deflate>()} {}
SpdyWriter::~SpdyWriter() = default;

void SpdyWriter::control(uint16_t type, uint8_t flags, std::string_view body) {
    append_number(out_, 0x8000u | version, 2);
    append_number(out_, type, 2);
    append_number(out_, flags, 1);
    append_number(out_, static_cast<uint32_t>(body.size()), 3);
    out_ += body;
}

void SpdyWriter::header_frame(uint16_t type, uint8_t flags, std::string body,
                              const SpdyHeaders& headers) {
    std::string block;
    append_number(block, static_cast<uint32_t>(headers.size()));
    for (const auto& [name, value] : headers) {
        append_number(block, static_cast<uint32_t>(name.size()));
        block += lower(name);
        append_number(block, static_cast<uint32_t>(value.size()));
        block += value;
    }
    deflate_->append(body, block);
    control(type, flags, body);
}

void SpdyWriter::syn_stream(const SpdySynStream& frame) {
    std::string body;
    append_number(body, frame.stream);
    append_number(body, frame.associated);
    append_number(body, static_cast<uint32_t>(frame.priority) << 5, 1);
    append_number(body, 0, 1);   // credential slot, unused
    const auto flags = static_cast<uint8_t>((frame.fin ? flag_fin : 0) |
                                            (frame.unidirectional ? flag_unidirectional : 0));
    header_frame(SynStream, flags, std::move(body), frame.headers);
}

void SpdyWriter::syn_reply(uint32_t stream, const SpdyHeaders& headers, bool fin) {
    std::string body;
    append_number(body, stream);
    header_frame(SynReply, fin ? flag_fin : 0, std::move(body), headers);
}

void SpdyWriter::headers(uint32_t stream, const SpdyHeaders& headers, bool fin) {
    std::string body;
    append_number(body, stream);
    header_frame(HeadersFrame, fin ? flag_fin : 0, std::move(body), headers);
}

void SpdyWriter::data(uint32_t stream, std::string_view content, bool fin) {
    constexpr size_t frame_bytes_max = (1u << 24) - 1;
    do {
        const auto part = content.substr(0, frame_bytes_max);
        content.remove_prefix(part.size());
        append_number(out_, stream & 0x7fffffffu);
        append_number(out_, fin && content.empty() ? flag_fin : 0, 1);
        append_number(out_, static_cast<uint32_t>(part.size()), 3);
        out_ += part;
    } while (!content.empty());
}

void SpdyWriter::rst_stream(uint32_t stream, uint32_t status) {
    std::string body;
    append_number(body, stream);
    append_number(body, status);
    control(RstStream, 0, body);
}

void SpdyWriter::settings(const std::vector<SpdySetting>& settings) {
    std::string body;
    append_number(body, static_cast<uint32_t>(settings.size()));
    for (const auto& setting : settings) {
        append_number(body, setting.flags, 1);
        append_number(body, setting.id, 3);
        append_number(body, setting.value);
    }
    control(Settings, 0, body);
}

void SpdyWriter::ping(uint32_t id) {
    std::string body;
    append_number(body, id);
    control(Ping, 0, body);
}

void SpdyWriter::goaway(uint32_t last_good_stream, uint32_t status) {
    std::string body;
    append_number(body, last_good_stream);
    append_number(body, status);
    control(GoAway, 0, body);
}

void SpdyWriter::window_update(uint32_t stream, uint32_t delta) {
    std::string body;
    append_number(body, stream);
    append_number(body, delta);
    control(WindowUpdate, 0, body);
}

struct SpdyReader::Inflate {
    z_stream stream{};
    Inflate() { ASSERT(inflateInit(&stream) == Z_OK); }
    ~Inflate() { inflateEnd(&stream); }

    // nullptr, or what is wrong with the block.
    const char* append(std::string& out, std::string_view block) {
        stream.next_in = const_cast<Bytef*>(zlib_bytes(block));
        stream.avail_in = static_cast<uInt>(block.size());
        char buffer[4096];
        while (true) {
            stream.next_out = reinterpret_cast<Bytef*>(buffer);
            stream.avail_out = sizeof buffer;
            int result = inflate(&stream, Z_SYNC_FLUSH);
            if (result == Z_NEED_DICT) {
                result = inflateSetDictionary(&stream, zlib_bytes(dictionary()),
                                              static_cast<uInt>(dictionary().size()));
                if (result != Z_OK) return "compressed with another dictionary";
                continue;
            }
            out.append(buffer, sizeof buffer - stream.avail_out);
            if (out.size() > header_block_bytes_max) return "larger than 256 KiB";
            if (result == Z_BUF_ERROR || (result == Z_OK && stream.avail_out > 0)) return nullptr;
            if (result != Z_OK) return "not compressed as it should be";
        }
    }
};

SpdyReader::SpdyReader(SpdySink sink)
    : sink_{std::move(sink)}, inflate_{std::make_unique<Inflate>()} {}
SpdyReader::~SpdyReader() = default;

std::unexpected<Error> SpdyReader::wrong(std::string message) {
    failed_ = true;
    return fail(Reason::BadRequest, concat("SPDY: ", message));
}

Result<> SpdyReader::headers_of(std::string_view block, SpdyHeaders& headers) {
    std::string text;
    if (const char* problem = inflate_->append(text, block))
        return wrong(concat("a header block is ", problem));
    if (text.size() < 4) return wrong("a header block is empty");
    const uint32_t count = number_at(text, 0);
    if (count > headers_max) return wrong(concat(count, " headers"));
    size_t at = 4;
    const auto next = [&](std::string& word) {
        if (text.size() - at < 4) return false;
        const uint32_t size = number_at(text, at);
        at += 4;
        if (size > text.size() - at) return false;
        word = text.substr(at, size);
        at += size;
        return true;
    };
    for (uint32_t i = 0; i < count; ++i) {
        auto& [name, value] = headers.emplace_back();
        if (!next(name) || !next(value)) return wrong("a header block ends inside a header");
    }
    return {};
}

Result<> SpdyReader::frame_head() {
    const uint32_t first = number_at(pending_, 0);
    flags_ = static_cast<uint8_t>(pending_[4]);
    length_ = number_at(pending_, 5, 3);
    pending_.clear();
    if (!(first & 0x80000000u)) {
        stream_ = first;
        left_ = length_;
        in_data_ = true;
        if (left_ == 0) data_piece({});
        return {};
    }
    if (((first >> 16) & 0x7fff) != version)
        return wrong(concat("version ", (first >> 16) & 0x7fff, " instead of 3"));
    type_ = static_cast<uint16_t>(first & 0xffff);
    if (length_ > control_frame_bytes_max)
        return wrong(concat("a control frame of ", length_, " bytes"));
    in_control_ = true;
    return {};
}

void SpdyReader::data_piece(std::string_view piece) {
    left_ -= static_cast<uint32_t>(piece.size());
    in_data_ = left_ > 0;
    if (sink_.data) sink_.data(stream_, piece, !in_data_ && (flags_ & flag_fin));
}

Result<> SpdyReader::control_frame() {
    static constexpr uint32_t length_min[] = {0, 10, 4, 8, 4, 0, 4, 8, 4, 8};
    const std::string_view body = pending_;
    if (type_ >= std::size(length_min)) return {};   // unknown: to be ignored
    if (length_ < length_min[type_])
        return wrong(concat("a frame of type ", type_, " is too short"));
    const uint32_t first = body.size() >= 4 ? number_at(body, 0) : 0;
    const uint32_t stream = first & 0x7fffffffu;
    const bool fin = flags_ & flag_fin;
    SpdyHeaders headers;   // always read: the compression goes on from frame to frame
    switch (type_) {
    case SynStream:
        TRY_OK(headers_of(body.substr(10), headers));
        if (sink_.syn_stream) {
            sink_.syn_stream({.stream = stream,
                              .associated = number_at(body, 4) & 0x7fffffffu,
                              .priority = static_cast<uint8_t>(number_at(body, 8, 1) >> 5),
                              .fin = fin,
                              .unidirectional = (flags_ & flag_unidirectional) != 0,
                              .headers = std::move(headers)});
        }
        break;
    case SynReply:
        TRY_OK(headers_of(body.substr(4), headers));
        if (sink_.syn_reply) sink_.syn_reply(stream, std::move(headers), fin);
        break;
    case HeadersFrame:
        TRY_OK(headers_of(body.substr(4), headers));
        if (sink_.headers) sink_.headers(stream, std::move(headers), fin);
        break;
    case RstStream:
        if (sink_.rst_stream) sink_.rst_stream(stream, number_at(body, 4));
        break;
    case Settings: {
        if (uint64_t{first} * 8 + 4 != length_) return wrong("a SETTINGS frame of another length");
        std::vector<SpdySetting> settings;
        for (size_t at = 4; at < length_; at += 8)
            settings.push_back({static_cast<uint8_t>(body[at]), number_at(body, at + 1, 3),
                                number_at(body, at + 4)});
        if (sink_.settings) sink_.settings(settings);
        break;
    }
    case Ping:
        if (sink_.ping) sink_.ping(first);
        break;
    case GoAway:
        if (sink_.goaway) sink_.goaway(stream, number_at(body, 4));
        break;
    case WindowUpdate:
        if (sink_.window_update) sink_.window_update(stream, number_at(body, 4) & 0x7fffffffu);
        break;
    default: break;
    }
    return {};
}

Result<> SpdyReader::feed(std::string_view bytes) {
    while (!failed_ && (!bytes.empty() || (in_control_ && length_ == 0))) {
        if (in_data_) {
            const auto piece = bytes.substr(0, left_);
            bytes.remove_prefix(piece.size());
            data_piece(piece);
            continue;
        }
        const size_t wanted = in_control_ ? length_ : frame_head_bytes;
        const auto part = bytes.substr(0, wanted - pending_.size());
        pending_ += part;
        bytes.remove_prefix(part.size());
        if (pending_.size() < wanted) break;
        if (in_control_) {
            in_control_ = false;
            TRY_OK(control_frame());
            pending_.clear();
        } else {
            TRY_OK(frame_head());
        }
    }
    return {};
}

}   // namespace skiff::net
