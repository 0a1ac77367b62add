#include "client/json_scan.h"

#include <cstring>

namespace skiff::client {
namespace {

constexpr std::string_view white = " \t\r\n";

// Just behind the string that begins at `at`, npos when it does not end.
size_t string_end(std::string_view text, size_t at) {
    for (++at; at < text.size(); ++at) {
        at = text.find_first_of("\"\\", at);
        if (at == std::string_view::npos) return at;
        if (text[at] == '"') return at + 1;
        ++at;   // whatever is escaped
    }
    return std::string_view::npos;
}

size_t value_end(std::string_view text, size_t at) {
    if (at >= text.size()) return std::string_view::npos;
    if (text[at] == '"') return string_end(text, at);
    if (text[at] != '{' && text[at] != '[') {
        const size_t end = text.find_first_of(",]} \t\r\n", at);
        return end == at ? std::string_view::npos : std::min(end, text.size());
    }
    int depth = 0;
    while (at < text.size()) {
        switch (text[at]) {
        case '"':
            at = string_end(text, at);
            if (at == std::string_view::npos) return at;
            continue;
        case '{':
        case '[': ++depth; break;
        case '}':
        case ']':
            if (--depth == 0) return at + 1;
            break;
        default: break;
        }
        ++at;
    }
    return std::string_view::npos;
}

bool is_object(std::string_view text) {
    const size_t first = text.find_first_not_of(white);
    return first != std::string_view::npos && text[first] == '{';
}

std::optional<uint32_t> hex4(std::string_view text) {
    if (text.size() < 4) return std::nullopt;
    uint32_t value = 0;
    for (const char c : text.substr(0, 4)) {
        const int digit = c >= '0' && c <= '9'   ? c - '0'
                          : c >= 'a' && c <= 'f' ? c - 'a' + 10
                          : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                                 : -1;
        if (digit < 0) return std::nullopt;
        value = value * 16 + static_cast<uint32_t>(digit);
    }
    return value;
}

void append_utf8(std::string& out, uint32_t point) {
    const auto add = [&](uint32_t byte) { out += static_cast<char>(byte); };
    if (point < 0x80) {
        add(point);
    } else if (point < 0x800) {
        add(0xc0 | point >> 6);
        add(0x80 | (point & 63));
    } else if (point < 0x10000) {
        add(0xe0 | point >> 12);
        add(0x80 | (point >> 6 & 63));
        add(0x80 | (point & 63));
    } else {
        add(0xf0 | point >> 18);
        add(0x80 | (point >> 12 & 63));
        add(0x80 | (point >> 6 & 63));
        add(0x80 | (point & 63));
    }
}

// The escape whose backslash was consumed; `rest` begins behind it.
void take_escape(std::string_view& rest, std::string& out) {
    constexpr std::string_view names = "bfnrt";
    constexpr std::string_view meanings = "\b\f\n\r\t";
    const char c = rest[0];
    rest.remove_prefix(1);
    if (const size_t known = names.find(c); known != std::string_view::npos) {
        out += meanings[known];
        return;
    }
    if (c != 'u') {
        out += c;
        return;
    }
    uint32_t point = hex4(rest).value_or(0xfffd);
    rest.remove_prefix(std::min<size_t>(4, rest.size()));
    if (point >= 0xd800 && point < 0xe000) {   // half of a surrogate pair (RFC 8259, 7)
        const bool pair = point < 0xdc00 && rest.starts_with("\\u");
        const uint32_t low = pair ? hex4(rest.substr(2)).value_or(0) : 0;
        if (low >= 0xdc00 && low < 0xe000) {
            point = 0x10000 + ((point - 0xd800) << 10) + (low - 0xdc00);
            rest.remove_prefix(6);
        } else {
            point = 0xfffd;
        }
    }
    append_utf8(out, point);
}

}   // namespace

JsonCursor::JsonCursor(std::string_view text) : text_{text} {
    skip_space();
    const char open = at_ < text_.size() ? text_[at_] : '\0';
    close_ = open == '{' ? '}' : open == '[' ? ']' : '\0';
    broken_ = close_ == '\0';
    ++at_;
}

void JsonCursor::skip_space() { at_ = std::min(text_.find_first_not_of(white, at_), text_.size()); }

std::string_view JsonCursor::take_value() {
    skip_space();
    const size_t end = value_end(text_, at_);
    if (end == std::string_view::npos) {
        broken_ = true;
        return {};
    }
    const auto value = text_.substr(at_, end - at_);
    at_ = end;
    return value;
}

bool JsonCursor::next() {
    if (broken_) return false;
    skip_space();
    if (at_ < text_.size() && text_[at_] == close_) return false;
    if (!first_) {
        broken_ = at_ >= text_.size() || text_[at_] != ',';
        ++at_;
    }
    first_ = false;
    if (!broken_ && close_ == '}') {
        key_ = take_value();
        if (key_.size() < 2 || key_[0] != '"')
            broken_ = true;
        else
            key_ = key_.substr(1, key_.size() - 2);
        skip_space();
        if (at_ >= text_.size() || text_[at_] != ':') broken_ = true;
        ++at_;
    }
    if (!broken_) value_ = take_value();
    return !broken_;
}

std::string_view json_member(std::string_view object, std::string_view key) {
    JsonCursor cursor{object};
    while (cursor.next())
        if (cursor.key() == key) return cursor.value();
    return {};
}

std::string json_text(std::string_view value) {
    if (value.size() < 2 || value.front() != '"') return {};
    std::string_view rest = value.substr(1, value.size() - 2);
    std::string out;
    while (!rest.empty()) {
        const size_t plain = std::min(rest.find('\\'), rest.size());
        out += rest.substr(0, plain);
        rest.remove_prefix(plain);
        if (rest.size() < 2) break;
        rest.remove_prefix(1);
        take_escape(rest, out);
    }
    return out;
}

Result<ObjectIdentity> identity_of(std::string_view object) {
    ObjectIdentity identity;
    if (!is_object(object)) return fail(Reason::BadRequest, "what was received must be an object");
    JsonCursor top{object};
    std::string_view metadata;
    while (metadata.empty() && top.next())
        if (top.key() == "metadata") metadata = top.value();
    if (top.broken()) return fail(Reason::BadRequest, "the received object is malformed");
    if (metadata.empty()) return identity;
    JsonCursor member{metadata};
    while (member.next()) {
        if (member.key() == "name")
            identity.name = json_text(member.value());
        else if (member.key() == "namespace")
            identity.name_space = json_text(member.value());
        else if (member.key() == "uid")
            identity.uid = json_text(member.value());
        else if (member.key() == "resourceVersion")
            identity.resource_version = json_text(member.value());
        else if (member.key() == "ownerReferences")
            for (JsonCursor owner{member.value()}; owner.next();)
                identity.owner_uids.push_back(json_text(json_member(owner.value(), "uid")));
    }
    return identity;
}

Result<ListPage> list_page_of(std::string_view list) {
    ListPage page;
    if (!is_object(list)) return fail(Reason::BadRequest, "what was received must be a list");
    JsonCursor top{list};
    while (top.next()) {
        if (top.key() == "metadata") {
            page.resource_version = json_text(json_member(top.value(), "resourceVersion"));
            page.continue_token = json_text(json_member(top.value(), "continue"));
        } else if (top.key() == "items" && top.value() != "null") {
            JsonCursor item{top.value()};
            while (item.next()) page.items.push_back(item.value());
            if (item.broken()) return fail(Reason::BadRequest, "the list's items are malformed");
        }
    }
    if (top.broken()) return fail(Reason::BadRequest, "the received list is malformed");
    return page;
}

size_t FrameSplitter::complete() {
    while (scanned_ < buffer_.size()) {
        const char c = buffer_[scanned_++];
        if (escaped_) {
            escaped_ = false;
        } else if (in_string_) {
            if (c == '\\')
                escaped_ = true;
            else if (c == '"')
                in_string_ = false;
        } else if (c == '"') {
            in_string_ = true;
        } else if (c == '{' || c == '[') {
            ++depth_;
        } else if ((c == '}' || c == ']') && --depth_ <= 0) {
            depth_ = 0;
            return scanned_;
        }
    }
    return 0;
}

bool FrameSplitter::empty() const { return buffer_.find_first_not_of(white) == std::string::npos; }

}   // namespace skiff::client
