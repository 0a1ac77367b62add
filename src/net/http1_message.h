// Parsing HTTP/1.1 messages (RFC 9112), strictly: where two readers of a message could see
// different ends of it, it is refused, because that is what request smuggling lives on.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "net/http.h"

namespace skiff::net {

// Finds the empty line that ends a head, looking at each byte once however it arrives.
class HeadScanner {
  public:
    // 0: not complete yet; else the size of the head with its empty line. Fails on a bare LF and
    // above limits::request_header_bytes_max (431).
    Result<size_t> find_end(std::string_view buffer);
    void restart() { scanned_ = 0, line_ = 0; }

  private:
    size_t scanned_ = 0;
    size_t line_ = 0;   // where the current line starts
};

struct RequestHead {
    std::string method;
    std::string path;
    std::string query;
    int minor_version = 1;
    Headers headers;
};
struct ResponseHead {
    int status = 0;
    int minor_version = 1;
    Headers headers;
};
// `head` includes the empty line.
Result<RequestHead> parse_request_head(std::string_view head);
Result<ResponseHead> parse_response_head(std::string_view head);

// How the end of a body is found.
struct Framing {
    enum class Kind { None, Length, Chunked, UntilClose } kind = Kind::None;
    uint64_t length = 0;
};
Result<Framing> request_framing(const RequestHead& head);
Result<Framing> response_framing(const ResponseHead& head, std::string_view request_method);

// Whether the connection may carry another message after this one.
bool keeps_alive(const Headers& headers, int minor_version);

class ChunkedDecoder {
  public:
    // Hands data out as it comes; returns how much of `input` belongs to this body.
    Result<size_t> feed(std::string_view input, const std::function<void(std::string_view)>& data);
    bool done() const { return state_ == State::Done; }

  private:
    enum class State { Size, Data, DataEnd, Trailer, Done };
    Result<bool> take_line(std::string_view input, size_t& at);
    Result<> take_size();

    State state_ = State::Size;
    uint64_t left_ = 0;
    size_t trailer_bytes_ = 0;
    std::string line_;
};

// A header's name as people write it: content-type becomes Content-Type.
void append_header(std::string& out, std::string_view name, std::string_view value);

}   // namespace skiff::net
