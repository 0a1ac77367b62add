// JSON text into the tree: one pass over one copy of the text, without recursion. The strings of
// the tree point into that copy, where escapes are decoded in place. About 1 GB/s; simdjson 3.0
// makes its tape in a quarter of that time, but a tree would have to be made of the tape, and it
// says neither which character was wrong nor where.
#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <optional>

#include "base/text.h"
#include "codec/json.h"
#include "codec/utf8.h"

namespace skiff::codec {
namespace {

constexpr size_t padding_bytes = 8;           // so that whole words can be read to the end
constexpr size_t pending_kept_max = 2048;     // members; a larger scratch is given back
constexpr size_t text_bytes_max = 1u << 30;   // sizes are 32 bits
constexpr size_t duplicates_max = 100;        // paths told
constexpr size_t quadratic_max = 16;          // members compared each with each

// A character as Go's error texts show it: 'x', '\'', '"', '\n', '\x00'.
std::string quoted(unsigned char byte) {
    switch (byte) {
    case '\'': return "'\\''";
    case '\\': return "'\\\\'";
    case '\a': return "'\\a'";
    case '\b': return "'\\b'";
    case '\f': return "'\\f'";
    case '\n': return "'\\n'";
    case '\r': return "'\\r'";
    case '\t': return "'\\t'";
    case '\v': return "'\\v'";
    default: break;
    }
    constexpr char digits[] = "0123456789abcdef";
    if (byte < 0x20 || byte == 0x7f)
        return concat("'\\x", digits[byte >> 4], digits[byte & 15], "'");
    if (byte < 0x80) return concat("'", static_cast<char>(byte), "'");
    if (byte < 0xa1 || byte == 0xad)
        return concat("'\\u00", digits[byte >> 4], digits[byte & 15], "'");
    char text[4];
    return concat("'", std::string_view{text, write_utf8(text, byte)}, "'");
}

// The first of eight bytes that is a quote, a backslash, a control character or not ASCII; 8: none.
size_t first_special(const char* at) {
    constexpr uint64_t ones = 0x0101010101010101u;
    constexpr uint64_t tops = 0x8080808080808080u;
    uint64_t word = 0;
    std::memcpy(&word, at, sizeof word);
    const auto below = [&](uint64_t value, uint64_t bound) {
        return (value - ones * bound) & ~value & tops;
    };
    const uint64_t found = below(word, 0x20) | below(word ^ (ones * '"'), 1) |
                           below(word ^ (ones * '\\'), 1) | (word & tops);
    return static_cast<size_t>(std::countr_zero(found)) / 8;
}

bool is_digit(char byte) { return byte >= '0' && byte <= '9'; }
bool is_space(char byte) { return byte == ' ' || byte == '\n' || byte == '\r' || byte == '\t'; }

}   // namespace

class JsonParser {
  public:
    JsonParser(Arena& arena, const ParseOptions& options) : arena_{arena}, options_{options} {}

    Result<Json> parse(std::string_view text) {
        if (text.size() > text_bytes_max)
            return fail(Reason::BadRequest, "the JSON text is too large");
        begin_ = arena_.array<char>(text.size() + padding_bytes);
        if (!text.empty()) std::memcpy(begin_, text.data(), text.size());
        std::memset(begin_ + text.size(), 0, padding_bytes);
        at_ = begin_;
        end_ = begin_ + text.size();
        pending_.clear();
        Json root;
        const bool good = parse_document(root);
        if (pending_.capacity() > pending_kept_max) std::vector<Member>{}.swap(pending_);
        if (!good) return fail(Reason::BadRequest, std::move(problem_));
        return root;
    }

  private:
    struct Frame {
        bool object;
        uint32_t first;   // in pending_
    };
    using Member = Json::Member;

    bool parse_document(Json& value);
    bool open(bool object, Json& value, bool& complete);
    void close(Json& value);
    bool parse_key();
    bool parse_scalar(Json& value);
    bool parse_literal(std::string_view literal);
    bool parse_number(Json& value);
    bool parse_double(std::string_view text, Json& value);
    bool parse_string(std::string_view& text);
    bool parse_escape(char*& out);
    std::optional<uint32_t> parse_hex();
    void fold_duplicates(size_t first);
    void note_duplicate(std::string_view key);
    void skip_space() {
        while (is_space(*at_)) ++at_;
    }
    bool wrong(std::string_view where);
    bool wrong_with(std::string text, const char* place);

    Arena& arena_;
    const ParseOptions& options_;
    char* begin_ = nullptr;
    char* at_ = nullptr;
    char* end_ = nullptr;   // a zero stands here
    std::string problem_;
    std::vector<Frame> frames_;
    std::vector<Member>& pending_ = scratch();   // what is read of the open containers

    static std::vector<Member>& scratch() {
        static thread_local std::vector<Member> members;
        return members;
    }
};

bool JsonParser::wrong_with(std::string text, const char* place) {
    problem_ = concat(text, " at offset ", static_cast<size_t>(place - begin_));
    return false;
}

bool JsonParser::wrong(std::string_view where) {
    if (at_ >= end_) return wrong_with("unexpected end of JSON input", end_);
    return wrong_with(
        concat("invalid character ", quoted(static_cast<unsigned char>(*at_)), " ", where), at_);
}

bool JsonParser::parse_document(Json& value) {
    for (;;) {
        skip_space();
        bool complete = true;
        if (*at_ == '{' || *at_ == '[') {
            if (!open(*at_ == '{', value, complete)) return false;
        } else if (!parse_scalar(value)) {
            return false;
        }
        // Take the value in, and with it every container that ends behind it.
        while (complete && !frames_.empty()) {
            const bool object = frames_.back().object;
            if (object)
                pending_.back().value = value;
            else
                pending_.push_back({{}, value});
            skip_space();
            if (*at_ == ',') {
                ++at_;
                skip_space();
                if (object && !parse_key()) return false;
                complete = false;
            } else if (*at_ == (object ? '}' : ']')) {
                ++at_;
                close(value);
            } else {
                return wrong(object ? "after object key:value pair" : "after array element");
            }
        }
        if (complete) break;
    }
    skip_space();
    return at_ == end_ || wrong("after top-level value");
}

// Behind it stands the first element or the first member's value; `complete` when there is none.
bool JsonParser::open(bool object, Json& value, bool& complete) {
    if (frames_.size() >= options_.depth_max) return wrong_with("exceeded max depth", at_);
    ++at_;
    skip_space();
    if (*at_ == (object ? '}' : ']')) {
        ++at_;
        value = object ? Json::object() : Json::array();
        return true;
    }
    frames_.push_back({object, static_cast<uint32_t>(pending_.size())});
    complete = false;
    return !object || parse_key();
}

void JsonParser::close(Json& value) {
    const Frame frame = frames_.back();
    if (frame.object) fold_duplicates(frame.first);
    const auto part = std::span{pending_}.subspan(frame.first);
    value = frame.object ? Json::object_of(arena_, part) : Json::array_of(arena_, part);
    frames_.pop_back();
    pending_.resize(frame.first);
}

bool JsonParser::parse_key() {
    if (*at_ != '"') return wrong("looking for beginning of object key string");
    std::string_view key;
    if (!parse_string(key)) return false;
    skip_space();
    if (*at_ != ':') return wrong("after object key");
    ++at_;
    pending_.push_back({key, {}});
    return true;
}

// The last of several members with one key stays, at the place of the first.
void JsonParser::fold_duplicates(size_t first) {
    const auto part = std::span{pending_}.subspan(first);
    std::vector<uint32_t> order;
    if (part.size() <= quadratic_max) {
        bool unique = true;
        for (size_t i = 1; i < part.size() && unique; ++i)
            for (size_t j = 0; j < i && unique; ++j) unique = part[i].key != part[j].key;
        if (unique) return;
    }
    order.resize(part.size());
    for (uint32_t i = 0; i < order.size(); ++i) order[i] = i;
    std::ranges::stable_sort(order, {}, [&](uint32_t i) { return part[i].key; });
    std::vector<bool> gone;
    for (size_t i = 1, head = 0; i < order.size(); ++i) {
        if (part[order[i]].key != part[order[head]].key) {
            head = i;
            continue;
        }
        if (gone.empty()) gone.resize(part.size());
        gone[order[i]] = true;
        part[order[head]].value = part[order[i]].value;
        note_duplicate(part[order[i]].key);
    }
    if (gone.empty()) return;
    size_t kept = 0;
    for (size_t i = 0; i < part.size(); ++i)
        if (!gone[i]) part[kept++] = part[i];
    pending_.resize(first + kept);
}

void JsonParser::note_duplicate(std::string_view key) {
    if (!options_.duplicate_keys || options_.duplicate_keys->size() >= duplicates_max) return;
    std::string path;
    for (size_t i = 0; i + 1 < frames_.size(); ++i) {
        const uint32_t behind = frames_[i + 1].first;
        if (frames_[i].object)
            append(path, path.empty() ? "" : ".", pending_[behind - 1].key);
        else
            append(path, "[", behind - frames_[i].first, "]");
    }
    append(path, path.empty() ? "" : ".", key);
    if (std::ranges::find(*options_.duplicate_keys, path) == options_.duplicate_keys->end())
        options_.duplicate_keys->push_back(std::move(path));
}

bool JsonParser::parse_scalar(Json& value) {
    switch (*at_) {
    case '"': {
        std::string_view text;
        if (!parse_string(text)) return false;
        value = Json::string_at(text.data(), text.size());
        return true;
    }
    case 't': value = Json::boolean(true); return parse_literal("true");
    case 'f': value = Json::boolean(false); return parse_literal("false");
    case 'n': value = Json{}; return parse_literal("null");
    default:
        if (*at_ == '-' || is_digit(*at_)) return parse_number(value);
        return wrong("looking for beginning of value");
    }
}

bool JsonParser::parse_literal(std::string_view literal) {
    for (const char expected : literal) {
        if (*at_ != expected)
            return wrong(concat("in literal ", literal, " (expecting '", expected, "')"));
        ++at_;
    }
    return true;
}

bool JsonParser::parse_number(Json& value) {
    const char* start = at_;
    const bool negative = *at_ == '-';
    if (negative) ++at_;
    if (!is_digit(*at_)) return wrong("in numeric literal");
    const char* first = at_;
    uint64_t whole = 0;
    if (*at_ == '0') {
        ++at_;
    } else {
        // 19 digits fit; what is longer is looked at again below.
        for (; is_digit(*at_); ++at_) whole = whole * 10 + static_cast<uint64_t>(*at_ - '0');
    }
    const auto count = at_ - first;
    bool real = false;
    if (*at_ == '.') {
        real = true;
        ++at_;
        if (!is_digit(*at_)) return wrong("after decimal point in numeric literal");
        while (is_digit(*at_)) ++at_;
    }
    if (*at_ == 'e' || *at_ == 'E') {
        real = true;
        ++at_;
        if (*at_ == '+' || *at_ == '-') ++at_;
        if (!is_digit(*at_)) return wrong("in exponent of numeric literal");
        while (is_digit(*at_)) ++at_;
    }
    const std::string_view text{start, at_};
    if (real) return parse_double(text, value);
    constexpr uint64_t int_max = uint64_t{std::numeric_limits<int64_t>::max()};
    if (count >= 20) {
        const auto exact = negative ? std::nullopt : skiff::parse_number<uint64_t>(text);
        if (!exact) return parse_double(text, value);
        whole = *exact;
    }
    if (!negative)
        value = Json::unsigned_integer(whole);
    else if (whole <= int_max + 1)
        value = Json::integer(static_cast<int64_t>(0 - whole));
    else
        return parse_double(text, value);
    return true;
}

bool JsonParser::parse_double(std::string_view text, Json& value) {
    double number = 0;
    const auto done = std::from_chars(text.data(), text.data() + text.size(), number);
    // from_chars does not tell too small, which is zero as in Go, from too large.
    if (done.ec == std::errc::result_out_of_range) {
        number = std::strtod(std::string{text}.c_str(), nullptr);
        if (std::isinf(number))
            return wrong_with(
                concat("json: cannot unmarshal number ", text.substr(0, 40),
                       text.size() > 40 ? "..." : "", " into Go value of type float64"),
                text.data());
    }
    value = Json::number(number);
    return true;
}

bool JsonParser::parse_string(std::string_view& text) {
    const char* start = ++at_;
    char* out = nullptr;   // where decoded text goes, once there was an escape
    for (;;) {
        if (!out) {
            size_t plain = 8;   // the padding is special, so this ends
            for (; plain == 8; at_ += plain) plain = first_special(at_);
        }
        if (at_ >= end_) return wrong("");
        const auto byte = static_cast<unsigned char>(*at_);
        if (byte == '"') {
            text = {start, static_cast<size_t>((out ? out : at_) - start)};
            ++at_;
            return true;
        }
        if (byte == '\\') {
            if (!out) out = at_;
            if (!parse_escape(out)) return false;
        } else if (byte < 0x20) {
            return wrong("in string literal");
        } else {
            const size_t length =
                byte < 0x80 ? 1 : utf8_length({at_, static_cast<size_t>(end_ - at_)});
            if (length == 0) return wrong_with("invalid UTF-8 in string literal", at_);
            if (out) {
                std::memmove(out, at_, length);
                out += length;
            }
            at_ += length;
        }
    }
}

bool JsonParser::parse_escape(char*& out) {
    ++at_;
    const auto plain = [&](char byte) {
        *out++ = byte;
        ++at_;
        return true;
    };
    switch (*at_) {
    case '"':
    case '\\':
    case '/': return plain(*at_);
    case 'b': return plain('\b');
    case 'f': return plain('\f');
    case 'n': return plain('\n');
    case 'r': return plain('\r');
    case 't': return plain('\t');
    case 'u': break;
    default: return wrong("in string escape code");
    }
    ++at_;
    auto point = parse_hex();
    if (!point) return wrong("in \\u hexadecimal character escape");
    if (*point >= 0xd800 && *point < 0xe000) {
        char* const behind = at_;
        std::optional<uint32_t> low;
        if (*point < 0xdc00 && at_[0] == '\\' && at_[1] == 'u') {
            at_ += 2;
            low = parse_hex();
        }
        if (low && *low >= 0xdc00 && *low < 0xe000) {
            point = 0x10000 + ((*point - 0xd800) << 10) + (*low - 0xdc00);
        } else {
            at_ = behind;   // what follows is read for itself
            point = 0xfffd;
        }
    }
    out = write_utf8(out, *point);
    return true;
}

// Four digits; on failure it stands on the one that is none.
std::optional<uint32_t> JsonParser::parse_hex() {
    uint32_t value = 0;
    for (int i = 0; i < 4; ++i, ++at_) {
        const char byte = *at_;
        uint32_t digit = 0;
        if (is_digit(byte))
            digit = static_cast<uint32_t>(byte - '0');
        else if ((byte | 0x20) >= 'a' && (byte | 0x20) <= 'f')
            digit = static_cast<uint32_t>((byte | 0x20) - 'a' + 10);
        else
            return std::nullopt;
        value = value * 16 + digit;
    }
    return value;
}

Result<Json> parse_json_into(Arena& arena, std::string_view text, const ParseOptions& options) {
    return JsonParser{arena, options}.parse(text);
}

Result<Document> parse_json(std::string_view text, const ParseOptions& options) {
    // The tree takes about one and a half times the text of a typical object, the copy once.
    Document document{.arena = Arena{text.size() + text.size() * 3 / 2 + 256}, .root = {}};
    TRY(document.root, parse_json_into(document.arena, text, options));
    return document;
}

}   // namespace skiff::codec
