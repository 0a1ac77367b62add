#include <optional>

#include "base/fuzz.h"
#include "base/text.h"
#include "net/http1_message.h"

namespace skiff::net {
namespace {

// A connection's side that reads: what it makes of the bytes does not depend on how they come.
class Reader {
  public:
    explicit Reader(bool requests) : requests_{requests} {}

    void feed(std::string_view bytes) {
        buffer_ += bytes;
        while (!failed_ && step()) {}
    }
    const std::string& seen() const { return seen_; }

  private:
    bool step() {
        if (chunks_) return chunk();
        if (left_ > 0) return content();
        const auto size = scanner_.find_end(buffer_);
        if (!size) return wrong(size.error());
        if (*size == 0) return false;
        const auto head = std::string{buffer_.substr(0, *size)};
        buffer_.erase(0, *size);
        scanner_.restart();
        return requests_ ? request(head) : response(head);
    }

    bool request(const std::string& text) {
        const auto head = parse_request_head(text);
        if (!head) return wrong(head.error());
        ASSERT(head->path.starts_with('/') || head->path == "*");
        const auto framing = request_framing(*head);
        if (!framing) return wrong(framing.error());
        append(seen_, head->method, " ", head->path, "?", head->query, "\n");
        (void)keeps_alive(head->headers, head->minor_version);
        return body(*framing, head->headers);
    }
    bool response(const std::string& text) {
        const auto head = parse_response_head(text);
        if (!head) return wrong(head.error());
        const auto framing = response_framing(*head, "GET");
        if (!framing) return wrong(framing.error());
        append(seen_, head->status, "\n");
        return body(*framing, head->headers);
    }
    // What smuggling lives on: two ways to find the end of one message.
    bool body(const Framing& framing, const Headers& headers) {
        const bool length = headers.find("content-length").has_value();
        if (requests_ && headers.find("transfer-encoding")) ASSERT(!length);
        for (const auto& [name, value] : headers) {
            ASSERT(name.find_first_of("\r\n :") == std::string::npos);
            ASSERT(value.find_first_of("\r\n") == std::string::npos);
            append(seen_, name, ":", value, "\n");
        }
        if (framing.kind == Framing::Kind::Length) left_ = framing.length;
        if (framing.kind == Framing::Kind::Chunked) chunks_.emplace();
        if (framing.kind == Framing::Kind::UntilClose) left_ = UINT64_MAX;
        return true;
    }
    bool content() {
        const auto part = std::min<uint64_t>(left_, buffer_.size());
        seen_ += buffer_.substr(0, part);
        buffer_.erase(0, part);
        left_ -= part;
        return part > 0;
    }
    bool chunk() {
        const auto used = chunks_->feed(buffer_, [&](std::string_view data) { seen_ += data; });
        if (!used) return wrong(used.error());
        ASSERT(*used <= buffer_.size());
        buffer_.erase(0, *used);
        if (!chunks_->done()) return false;
        chunks_.reset();
        return true;
    }
    bool wrong(const Error& error) {
        append(seen_, "wrong: ", error.message);
        failed_ = true;
        return false;
    }

    bool requests_;
    std::string buffer_;
    HeadScanner scanner_;
    std::optional<ChunkedDecoder> chunks_;
    uint64_t left_ = 0;
    bool failed_ = false;
    std::string seen_;
};

void read_both_ways(std::string_view input, bool requests) {
    Reader whole{requests};
    whole.feed(input);
    Reader pieces{requests};
    fuzz::in_pieces(input, [&](std::string_view piece) { pieces.feed(piece); });
    ASSERT(whole.seen() == pieces.seen());
}

const fuzz::Target http1{"http1", [](std::string_view input) {
                             read_both_ways(input, true);
                             read_both_ways(input, false);
                         }};

const fuzz::Target uri{"uri", [](std::string_view input) {
                           ASSERT(percent_decoded(percent_encoded(input)) == input);
                           ASSERT(percent_decoded(input).size() <= input.size());
                           for (const auto& [name, value] : parse_query(input))
                               (void)query_switch(value);
                       }};

}   // namespace
}   // namespace skiff::net
