#include "api/json_pull.h"

#include <cstring>

#include "base/text.h"

namespace skiff::api {
namespace {

constexpr size_t depth_max = 512;

void append_utf8(std::string& out, uint32_t code) {
    if (code < 0x80) {
        out += static_cast<char>(code);
    } else if (code < 0x800) {
        out += static_cast<char>(0xc0 | (code >> 6));
        out += static_cast<char>(0x80 | (code & 0x3f));
    } else if (code < 0x10000) {
        out += static_cast<char>(0xe0 | (code >> 12));
        out += static_cast<char>(0x80 | ((code >> 6) & 0x3f));
        out += static_cast<char>(0x80 | (code & 0x3f));
    } else {
        out += static_cast<char>(0xf0 | (code >> 18));
        out += static_cast<char>(0x80 | ((code >> 12) & 0x3f));
        out += static_cast<char>(0x80 | ((code >> 6) & 0x3f));
        out += static_cast<char>(0x80 | (code & 0x3f));
    }
}

// To the quote that ends the string which begins at `at`, behind its opening quote; null if none.
const char* closing_quote(const char* at, const char* end, bool& escapes) {
    escapes = false;
    while (at < end) {
        const auto* quote =
            static_cast<const char*>(std::memchr(at, '"', static_cast<size_t>(end - at)));
        if (!quote) return nullptr;
        const auto* slash =
            static_cast<const char*>(std::memchr(at, '\\', static_cast<size_t>(quote - at)));
        if (!slash) return quote;
        escapes = true;
        at = slash + 2;
    }
    return nullptr;
}

}   // namespace

void JsonPull::fail_with(const char* problem) {
    if (problem_) return;
    problem_ = problem;
    problem_at_ = static_cast<size_t>(at_ - begin_);
    at_ = end_;
}

Result<> JsonPull::finish() const {
    if (!problem_) return {};
    return fail(Reason::BadRequest, concat(problem_, " at byte ", problem_at_));
}

void JsonPull::skip_space() {
    while (at_ < end_ && (*at_ == ' ' || *at_ == '\n' || *at_ == '\t' || *at_ == '\r')) ++at_;
}

char JsonPull::peek() {
    skip_space();
    if (at_ == end_) return 0;
    const char byte = *at_;
    if (byte == '-' || (byte >= '0' && byte <= '9')) return '0';
    return std::strchr("{[\"tfn", byte) ? byte : '\0';
}

bool JsonPull::at_end() {
    skip_space();
    return at_ == end_;
}

bool JsonPull::take(char wanted, const char* problem) {
    skip_space();
    if (at_ < end_ && *at_ == wanted) {
        ++at_;
        return true;
    }
    fail_with(problem);
    return false;
}

bool JsonPull::next_member(bool& first, std::string_view& key) {
    if (first && !take('{', "expected an object")) return false;
    skip_space();
    if (at_ < end_ && *at_ == '}') {
        ++at_;
        return false;
    }
    if (!first && !take(',', "expected ',' or '}'")) return false;
    first = false;
    skip_space();
    key =
        string(unescaped_key_);   // a buffer of its own: the key outlives the reading of its value
    return !failed() && take(':', "expected ':'");
}

bool JsonPull::next_element(bool& first) {
    if (first && !take('[', "expected a list")) return false;
    skip_space();
    if (at_ < end_ && *at_ == ']') {
        ++at_;
        return false;
    }
    if (!first && !take(',', "expected ',' or ']'")) return false;
    first = false;
    return !failed();
}

std::string_view JsonPull::string(std::string& unescaped) {
    if (!take('"', "expected a string")) return {};
    bool escapes = false;
    const char* close = closing_quote(at_, end_, escapes);
    if (!close) {
        fail_with("a string does not end");
        return {};
    }
    if (!escapes) {
        const std::string_view text{at_, static_cast<size_t>(close - at_)};
        at_ = close + 1;
        return text;
    }
    unescaped.clear();
    while (at_ < close)
        if (!unescape(unescaped)) return {};
    at_ = close + 1;
    return unescaped;
}

bool JsonPull::unescape(std::string& out) {
    if (*at_ != '\\') {
        out += *at_++;
        return true;
    }
    const char kind = at_[1];
    at_ += 2;
    switch (kind) {
    case '"':
    case '\\':
    case '/': out += kind; return true;
    case 'b': out += '\b'; return true;
    case 'f': out += '\f'; return true;
    case 'n': out += '\n'; return true;
    case 'r': out += '\r'; return true;
    case 't': out += '\t'; return true;
    case 'u': return unescape_unicode(out);
    default: fail_with("an unknown escape"); return false;
    }
}

bool JsonPull::unescape_unicode(std::string& out) {
    uint32_t code = 0;
    if (!read_hex(code)) return false;
    const bool high = code >= 0xd800 && code < 0xdc00;
    if (high && end_ - at_ >= 6 && at_[0] == '\\' && at_[1] == 'u') {
        const char* back = at_;
        at_ += 2;
        uint32_t low = 0;
        if (!read_hex(low)) return false;
        if (low >= 0xdc00 && low < 0xe000)
            code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        else
            at_ = back;
    }
    if (code >= 0xd800 && code < 0xe000) code = 0xfffd;   // a lone surrogate, as Go does
    append_utf8(out, code);
    return true;
}

bool JsonPull::read_hex(uint32_t& value) {
    if (end_ - at_ < 4) {
        fail_with("a string does not end");
        return false;
    }
    for (int i = 0; i < 4; ++i) {
        const char byte = *at_++;
        const int digit = byte >= '0' && byte <= '9'   ? byte - '0'
                          : byte >= 'a' && byte <= 'f' ? byte - 'a' + 10
                          : byte >= 'A' && byte <= 'F' ? byte - 'A' + 10
                                                       : -1;
        if (digit < 0) {
            fail_with("no hexadecimal digit");
            return false;
        }
        value = value * 16 + static_cast<uint32_t>(digit);
    }
    return true;
}

bool JsonPull::boolean() {
    skip_space();
    const std::string_view rest{at_, static_cast<size_t>(end_ - at_)};
    if (rest.starts_with("true")) {
        at_ += 4;
        return true;
    }
    if (rest.starts_with("false"))
        at_ += 5;
    else
        fail_with("expected true or false");
    return false;
}

std::string_view JsonPull::number() {
    if (peek() != '0') {
        fail_with("expected a number");
        return {};
    }
    const char* first = at_;
    while (at_ < end_ && (std::strchr("+-.eE", *at_) || (*at_ >= '0' && *at_ <= '9')) && *at_)
        ++at_;
    return {first, static_cast<size_t>(at_ - first)};
}

void JsonPull::skip_string() {
    bool escapes = false;
    const char* close = closing_quote(at_ + 1, end_, escapes);
    if (close)
        at_ = close + 1;
    else
        fail_with("a string does not end");
}

std::string_view JsonPull::skip() {
    const char kind = peek();
    const char* first = at_;
    if (kind == '"') {
        skip_string();
    } else if (kind == '{' || kind == '[') {
        size_t depth = 0;
        do {
            if (at_ == end_) fail_with("an object or list does not end");
            if (failed()) return {};
            const char byte = *at_;
            if (byte == '"') {
                skip_string();
                continue;
            }
            if (byte == '{' || byte == '[') ++depth;
            if (byte == '}' || byte == ']') --depth;
            if (depth > depth_max) fail_with("too deep");
            ++at_;
        } while (depth != 0 && !failed());
    } else if (kind == '0') {
        number();
    } else if (kind == 'n') {
        if (end_ - at_ >= 4 && std::string_view{at_, 4} == "null")
            at_ += 4;
        else
            fail_with("expected null");
    } else {
        boolean();
    }
    return failed() ? std::string_view{}
                    : std::string_view{first, static_cast<size_t>(at_ - first)};
}

}   // namespace skiff::api
