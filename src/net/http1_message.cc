#include "net/http1_message.h"

#include <algorithm>

#include "base/limits.h"
#include "base/text.h"

namespace skiff::net {
namespace {

constexpr size_t header_lines_max = 256;
constexpr size_t chunk_line_bytes_max = 256;
constexpr size_t trailer_bytes_max = 8192;
constexpr uint64_t length_max = uint64_t{1} << 60;

std::unexpected<Error> bad(std::string message, int code = 400) {
    Error error{.reason = Reason::BadRequest, .message = std::move(message)};
    error.http_code = code;
    return std::unexpected{std::move(error)};
}

bool is_token_char(char c) {
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')) return true;
    return std::string_view{"!#$%&'*+-.^_`|~"}.find(c) != std::string_view::npos;
}

bool is_token(std::string_view text) {
    return !text.empty() && std::ranges::all_of(text, is_token_char);
}

bool is_field_value(std::string_view text) {
    return std::ranges::none_of(text, [](char c) {
        const auto byte = static_cast<unsigned char>(c);
        return (byte < 0x20 && c != '\t') || byte == 0x7f;
    });
}

bool is_target(std::string_view text) {
    return !text.empty() && std::ranges::none_of(text, [](char c) {
        const auto byte = static_cast<unsigned char>(c);
        return byte <= 0x20 || byte == 0x7f;
    });
}

std::string_view trim_blanks(std::string_view text) {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
    return text;
}

// The next line without its CR LF, which find_end has checked to be there.
std::string_view take_head_line(std::string_view& head) {
    const auto end = head.find("\r\n");
    const auto line = head.substr(0, end);
    head.remove_prefix(end == std::string_view::npos ? head.size() : end + 2);
    return line;
}

Result<> parse_field(std::string_view line, Headers& headers) {
    if (line.front() == ' ' || line.front() == '\t')
        return bad("header line folding is not allowed");
    const auto colon = line.find(':');
    if (colon == std::string_view::npos) return bad("a header line must have a colon");
    const auto name = line.substr(0, colon);
    if (!is_token(name)) return bad("a header name must be a token directly before the colon");
    const auto value = trim_blanks(line.substr(colon + 1));
    if (!is_field_value(value)) return bad("a header value must not have control characters");
    headers.add(name, value);
    return {};
}

Result<Headers> parse_fields(std::string_view rest) {
    Headers headers;
    while (true) {
        const auto line = take_head_line(rest);
        if (line.empty()) return headers;
        if (headers.size() == header_lines_max) return bad("too many header lines", 431);
        TRY_OK(parse_field(line, headers));
    }
}

Result<int> parse_version(std::string_view text) {
    if (text == "HTTP/1.1") return 1;
    if (text == "HTTP/1.0") return 0;
    if (text.starts_with("HTTP/")) return bad("this HTTP version is not supported", 505);
    return bad("malformed HTTP version");
}

Result<> parse_target(std::string_view target, RequestHead& head) {
    if (!is_target(target)) return bad("malformed request target");
    for (const std::string_view scheme : {"http://", "https://"}) {
        if (!iequals(target.substr(0, scheme.size()), scheme)) continue;   // absolute-form
        const auto slash = target.find('/', scheme.size());
        target = slash == std::string_view::npos ? std::string_view{"/"} : target.substr(slash);
        break;
    }
    if (target.front() != '/') return bad("the request target must start with '/'");
    const auto [path, query] = cut(target, '?');
    head.path = path;
    head.query = query.value_or("");
    return {};
}

Result<uint64_t> parse_length(std::string_view text) {
    const bool digits = !text.empty() && text.size() <= 19 &&
                        std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
    const auto value = digits ? parse_number<uint64_t>(text) : std::nullopt;
    if (!value || *value > length_max) return bad("malformed Content-Length");
    return *value;
}

// Shared by both directions; `absent` is what neither header means.
Result<Framing> framing_of(const Headers& headers, int minor_version, Framing::Kind absent) {
    const auto codings = headers.all("transfer-encoding");
    const auto lengths = headers.all("content-length");
    if (!codings.empty()) {
        if (!lengths.empty()) return bad("Content-Length and Transfer-Encoding exclude each other");
        if (minor_version == 0) return bad("Transfer-Encoding needs HTTP/1.1");
        if (codings.size() != 1 || !iequals(codings.front(), "chunked"))
            return bad("the only Transfer-Encoding here is chunked");
        return Framing{Framing::Kind::Chunked};
    }
    if (lengths.empty()) return Framing{absent};
    if (lengths.size() != 1) return bad("more than one Content-Length");
    TRY(const auto length, parse_length(lengths.front()));
    return Framing{length ? Framing::Kind::Length : Framing::Kind::None, length};
}

int hex_value(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

}   // namespace

Result<size_t> HeadScanner::find_end(std::string_view buffer) {
    while (true) {
        const auto feed = buffer.find('\n', scanned_);
        if (feed == std::string_view::npos) break;
        if (feed == line_ || buffer[feed - 1] != '\r') return bad("lines must end with CR LF");
        scanned_ = feed + 1;
        const bool empty = feed == line_ + 1;
        line_ = feed + 1;
        if (empty) return line_;
        if (line_ > limits::request_header_bytes_max) return bad("the header is too large", 431);
    }
    scanned_ = buffer.size();
    if (buffer.size() > limits::request_header_bytes_max)
        return bad("the header is too large", 431);
    return 0;
}

Result<RequestHead> parse_request_head(std::string_view head) {
    RequestHead parsed;
    const auto line = take_head_line(head);
    const auto first = line.find(' ');
    const auto last = line.rfind(' ');
    if (first == std::string_view::npos || first == last) return bad("malformed request line");
    const auto method = line.substr(0, first);
    if (!is_token(method) || method.size() > 32) return bad("malformed method");
    parsed.method = method;
    TRY(parsed.minor_version, parse_version(line.substr(last + 1)));
    TRY_OK(parse_target(line.substr(first + 1, last - first - 1), parsed));
    TRY(parsed.headers, parse_fields(head));
    const auto hosts = parsed.headers.all("host").size();
    if (hosts > 1 || (hosts == 0 && parsed.minor_version == 1))
        return bad("there must be exactly one Host header");
    return parsed;
}

Result<ResponseHead> parse_response_head(std::string_view head) {
    ResponseHead parsed;
    const auto line = take_head_line(head);
    const auto [version, rest] = cut(line, ' ');
    TRY(parsed.minor_version, parse_version(version));
    const auto status = parse_number<int>(rest.value_or("").substr(0, 3));
    if (!status || *status < 100 || *status > 599) return bad("malformed status line");
    parsed.status = *status;
    TRY(parsed.headers, parse_fields(head));
    return parsed;
}

Result<Framing> request_framing(const RequestHead& head) {
    return framing_of(head.headers, head.minor_version, Framing::Kind::None);
}

Result<Framing> response_framing(const ResponseHead& head, std::string_view request_method) {
    const bool bodiless =
        request_method == "HEAD" || head.status < 200 || head.status == 204 || head.status == 304;
    if (bodiless) return Framing{};
    return framing_of(head.headers, head.minor_version, Framing::Kind::UntilClose);
}

bool keeps_alive(const Headers& headers, int minor_version) {
    if (headers.has_token("connection", "close")) return false;
    return minor_version == 1 || headers.has_token("connection", "keep-alive");
}

// True when line_ holds a whole line, without its CR LF.
Result<bool> ChunkedDecoder::take_line(std::string_view input, size_t& at) {
    const auto feed = input.find('\n', at);
    const auto end = feed == std::string_view::npos ? input.size() : feed + 1;
    line_.append(input.substr(at, end - at));
    at = end;
    if (line_.size() > (state_ == State::Trailer ? trailer_bytes_max : chunk_line_bytes_max))
        return bad("a chunk's line is too long");
    if (feed == std::string_view::npos) return false;
    if (!line_.ends_with("\r\n")) return bad("lines must end with CR LF");
    line_.resize(line_.size() - 2);
    return true;
}

Result<> ChunkedDecoder::take_size() {
    size_t at = 0;
    left_ = 0;
    for (; at < line_.size() && hex_value(line_[at]) >= 0; ++at) {
        if (left_ > length_max >> 4) return bad("a chunk is too large");
        left_ = left_ << 4 | static_cast<uint64_t>(hex_value(line_[at]));
    }
    if (at == 0) return bad("malformed chunk size");
    // Extensions are allowed and mean nothing.
    if (at < line_.size() && line_[at] != ';') return bad("malformed chunk size");
    if (!is_field_value(line_)) return bad("malformed chunk extension");
    state_ = left_ ? State::Data : State::Trailer;
    line_.clear();
    return {};
}

Result<size_t> ChunkedDecoder::feed(std::string_view input,
                                    const std::function<void(std::string_view)>& data) {
    size_t at = 0;
    while (at < input.size() && state_ != State::Done) {
        if (state_ == State::Data) {
            const auto piece =
                input.substr(at, static_cast<size_t>(std::min<uint64_t>(left_, input.size() - at)));
            at += piece.size();
            left_ -= piece.size();
            if (left_ == 0) state_ = State::DataEnd;
            data(piece);
            continue;
        }
        TRY(const bool whole, take_line(input, at));
        if (!whole) break;
        if (state_ == State::Size) {
            TRY_OK(take_size());
        } else if (state_ == State::DataEnd) {
            if (!line_.empty()) return bad("a chunk is longer than its size");
            state_ = State::Size;
        } else if (line_.empty()) {
            state_ = State::Done;
        } else {
            trailer_bytes_ += line_.size();
            if (trailer_bytes_ > trailer_bytes_max) return bad("the trailer is too large");
            Headers ignored;   // nobody here reads trailers, but they must be well formed
            TRY_OK(parse_field(line_, ignored));
            line_.clear();
        }
    }
    return at;
}

void append_header(std::string& out, std::string_view name, std::string_view value) {
    bool start = true;
    for (const char c : name) {
        out += start && c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
        start = c == '-';
    }
    out += ": ";
    // A value may quote what a user sent: a line end in it would be a header of theirs.
    for (const char c : value) out += c == '\r' || c == '\n' || c == '\0' ? ' ' : c;
    out += "\r\n";
}

}   // namespace skiff::net
