#include "codec/yaml_lookahead.h"

#include <algorithm>

namespace skiff::codec {
namespace {

// So that tokens and tree together keep to 16 times the text and a mebibyte.
constexpr size_t token_bytes = 400;
constexpr size_t bytes_per_input_byte = 6;
constexpr size_t bytes_free = 700u << 10;
constexpr size_t properties_max = 2;   // of a node: an anchor and a tag

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
bool is_flow_mark(char c) { return c == '[' || c == ']' || c == '{' || c == '}' || c == ','; }

}   // namespace

YamlLookahead::YamlLookahead(std::string_view text, unsigned depth_max)
    : text_{text},
      depth_max_{depth_max},
      tokens_max_{(bytes_free + bytes_per_input_byte * text.size()) / token_bytes} {}

bool YamlLookahead::blank_at(size_t at) const { return at >= text_.size() || is_blank(text_[at]); }

std::string_view YamlLookahead::check(size_t at) {
    if (at < checked_) return {};
    value_ = false;
    size_t properties = 0;
    for (at_ = at; at_ < text_.size();) {
        const char c = text_[at_];
        const bool line_start = at_ == 0 || text_[at_ - 1] == '\n';
        if (is_blank(c)) {
            if (c == '\n') value_ = false;
            ++at_;
        } else if (c == '#' || (c == '%' && line_start)) {
            at_ = std::min(text_.find('\n', at_), text_.size());
        } else if (c == '&' || c == '!') {
            if (++properties > properties_max) return "a node has an anchor and a tag at most";
            while (!blank_at(at_) && !is_flow_mark(text_[at_])) ++at_;
        } else if (c == '[' || c == '{') {
            const auto problem = flow();
            if (!problem.empty()) return problem;
            break;
        } else if (line_start && (text_.substr(at_, 3) == "---" || text_.substr(at_, 3) == "...")) {
            at_ += 3;
        } else if ((c == '-' || c == '?' || c == ':') && blank_at(at_ + 1)) {
            value_ = c == ':';
            properties = 0;
            ++at_;
        } else {
            break;
        }
    }
    checked_ = at_;
    return {};
}

// From its first bracket to its last, or to the end of the text.
std::string_view YamlLookahead::flow() {
    depth_ = held_depth_ = 0;
    held_tokens_ = 0;
    do {
        const char c = text_[at_];
        if (is_blank(c)) {
            ++at_;
            continue;
        }
        if (c == '#' && (at_ == 0 || is_blank(text_[at_ - 1]))) {
            at_ = std::min(text_.find('\n', at_), text_.size());
            continue;
        }
        if (held_depth_ > 0 && ++held_tokens_ > tokens_max_)
            return "a flow collection is too large to be read as YAML: write it as JSON";
        const bool behind_colon = value_;
        if (c != '&' && c != '!') value_ = false;
        if (c == '[' || c == '{') {
            value_ = behind_colon;
            if (const auto problem = open(); !problem.empty()) return problem;
        } else if (c == ']' || c == '}') {
            close();
        } else if (c == '"' || c == '\'') {
            quoted(c);
        } else if (c == ',') {
            ++at_;
        } else if (c == ':') {   // a plain text may begin with one, which changes nothing here
            value_ = true;
            ++at_;
        } else {
            word();
        }
    } while (depth_ > 0 && at_ < text_.size());
    return {};
}

std::string_view YamlLookahead::open() {
    if (++depth_ > depth_max_) return "exceeded max depth";
    if (!value_ && held_depth_ == 0) {
        held_depth_ = depth_;
        held_tokens_ = 1;
    }
    value_ = false;
    ++at_;
    return {};
}

void YamlLookahead::close() {
    if (held_depth_ == depth_) held_depth_ = 0;
    --depth_;
    ++at_;
}

void YamlLookahead::quoted(char quote) {
    for (++at_; at_ < text_.size(); ++at_) {
        if (quote == '"' && text_[at_] == '\\') {
            ++at_;
        } else if (text_[at_] == quote) {
            if (quote == '"' || text_.substr(at_ + 1, 1) != "'") break;
            ++at_;   // '' stands for one
        }
    }
    at_ = std::min(at_ + 1, text_.size());
}

// A plain text, an alias, an anchor or a tag: words, until what cannot be in one. Each word counts
// as a token, which is more than there are.
void YamlLookahead::word() {
    while (!blank_at(at_) && !is_flow_mark(text_[at_])) {
        if (text_[at_] == ':' && (blank_at(at_ + 1) || is_flow_mark(text_[at_ + 1]))) break;
        ++at_;
    }
}

}   // namespace skiff::codec
